//! Trying again, within a deadline.

use std::time::Duration;

use ottla_model::ErrorCode;
use ottla_runtime::Instant;
use ottla_runtime::Runtime;

use crate::{ClientOptions, Error};

/// How long a topic is looked for that nobody creates: long enough for one that was created a
/// moment ago, and short enough for a person who has mistyped a name.
const UNKNOWN_TOPIC_PATIENCE: Duration = Duration::from_secs(3);

/// The state of one call's retries.
pub(crate) struct Retry {
    runtime: Runtime,
    started: Instant,
    deadline: Duration,
    unknown_topic_deadline: Duration,
    wait: Duration,
    wait_max: Duration,
}

impl Retry {
    pub(crate) fn new(runtime: &Runtime, options: &ClientOptions) -> Self {
        let unknown_topic_deadline = if options.allow_auto_topic_creation {
            options.deadline
        } else {
            options.deadline.min(UNKNOWN_TOPIC_PATIENCE)
        };
        Retry {
            runtime: runtime.clone(),
            unknown_topic_deadline,
            started: runtime.clock.instant(),
            deadline: options.deadline,
            wait: options.retry_backoff,
            wait_max: options.retry_backoff_max,
        }
    }

    /// Returns the error when another try cannot help or the time is up; else waits a moment.
    pub(crate) async fn after(&mut self, error: Error) -> Result<(), Error> {
        if !error.is_retriable() {
            return Err(error);
        }
        if self.runtime.shutdown().is_announced() {
            return Err(Error::Stopping);
        }
        let deadline = match error.code() {
            Some(ErrorCode::UnknownTopicOrPartition) => self.unknown_topic_deadline,
            _ => self.deadline,
        };
        let after = self.runtime.clock.instant() - self.started;
        if after + self.wait >= deadline {
            let last = Box::new(error);
            return Err(Error::Deadline { after, last });
        }
        tracing::debug!(%error, "trying again");
        // Between half and all of the wait, so that many clients do not come at once.
        let half_us = u64::try_from(self.wait.as_micros() / 2).unwrap_or(u64::MAX);
        let jitter = Duration::from_micros(self.runtime.random.below(half_us));
        self.runtime.clock.sleep(self.wait / 2 + jitter).await;
        self.wait = (self.wait * 2).min(self.wait_max);
        Ok(())
    }
}
