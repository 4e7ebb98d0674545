//! What a data folder does by itself: retention, checkpoints, late flushes, removal of deleted
//! files.

use std::time::Duration;

use ottla_runtime::{Service, Shutdown};

use crate::LogDir;

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

    async fn tick(&self, retention: bool, checkpoint: bool, producers: bool) {
        let inner = &self.dir.0;
        self.dir.flush_overdue();
        if retention {
            let now = inner.context.clock.now_ms();
            if let Err(error) = self.dir.enforce_retention(now).await {
                tracing::error!(%error, "retention failed; it is tried again");
            }
        }
        if checkpoint && let Err(error) = self.dir.checkpoint(false).await {
            tracing::warn!(%error, "checkpoints were not written; they are tried again");
        }
        if producers {
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
        let mut next_retention = clock.instant() + options.retention_interval;
        let mut next_checkpoint = clock.instant() + options.checkpoint_interval;
        let mut next_producers = clock.instant() + options.producer_id_check_interval;
        while clock.timeout(step, shutdown.announced()).await.is_none() {
            let now = clock.instant();
            let retention = now >= next_retention;
            let checkpoint = now >= next_checkpoint;
            let producers = now >= next_producers;
            self.tick(retention, checkpoint, producers).await;
            if producers {
                next_producers = now + options.producer_id_check_interval;
            }
            if retention {
                next_retention = now + options.retention_interval;
            }
            if checkpoint {
                next_checkpoint = now + options.checkpoint_interval;
            }
        }
        Ok(())
    }
}
