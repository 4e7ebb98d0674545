//! What a data folder does by itself: retention, checkpoints, late flushes, forgetting of silent
//! producers, removal of deleted files, closing of idle ones.

use std::time::Duration;

use ottla_runtime::{Clock, Instant, Service, Shutdown};

use crate::LogDir;

/// How often it is looked whether too many files are open.
const CLOSE_INTERVAL: Duration = Duration::from_secs(10);

/// The running half; its handle is the [`LogDir`].
pub struct Housekeeping {
    dir: LogDir,
}

impl Housekeeping {
    /// For `dir`, with the intervals of its options.
    #[must_use]
    pub fn new(dir: &LogDir) -> Self {
        Housekeeping { dir: dir.clone() }
    }

    async fn tick(&self, due: &Due) {
        let inner = &self.dir.0;
        self.dir.flush_overdue();
        if due.close {
            let dir = self.dir.clone();
            inner.tasks.blocking(move || dir.flush_to_close()).await;
        }
        if due.retention {
            let now = inner.context.clock.now_ms();
            if let Err(error) = self.dir.enforce_retention(now).await {
                tracing::error!(%error, "retention failed; it is tried again");
            }
        }
        if due.checkpoint
            && let Err(error) = self.dir.checkpoint(false).await
        {
            tracing::warn!(%error, "checkpoints were not written; they are tried again");
        }
        if due.producers {
            let dir = self.dir.clone();
            inner.tasks.blocking(move || dir.expire_producers()).await;
        }
        if !inner.context.trash.lock().is_empty() {
            let dir = self.dir.clone();
            inner.tasks.blocking(move || dir.empty_trash()).await;
        }
    }
}

impl Service for Housekeeping {
    async fn run(self, shutdown: Shutdown) -> Result<(), String> {
        let clock = self.dir.0.context.clock.clone();
        let options = self.dir.0.context.options.clone();
        let step = options
            .flush_check_interval
            .min(options.retention_interval)
            .min(options.checkpoint_interval)
            .min(options.producer_id_check_interval)
            .max(Duration::from_millis(1));
        let mut retention = Timer::new(&clock, options.retention_interval);
        let mut checkpoint = Timer::new(&clock, options.checkpoint_interval);
        let mut producers = Timer::new(&clock, options.producer_id_check_interval);
        let mut close = Timer::new(&clock, CLOSE_INTERVAL);
        while clock.timeout(step, shutdown.announced()).await.is_none() {
            let now = clock.instant();
            self.tick(&Due {
                retention: retention.is_due(now),
                checkpoint: checkpoint.is_due(now),
                producers: producers.is_due(now),
                close: close.is_due(now),
            })
            .await;
        }
        Ok(())
    }
}

/// What is to be done now.
struct Due {
    retention: bool,
    checkpoint: bool,
    producers: bool,
    close: bool,
}

/// Something that is done again and again.
struct Timer {
    interval: Duration,
    next: Instant,
}

impl Timer {
    fn new(clock: &Clock, interval: Duration) -> Self {
        Timer {
            interval,
            next: clock.instant() + interval,
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.next = now + self.interval;
        }
        is_due
    }
}
