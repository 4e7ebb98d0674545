//! Containers that are empty and znodes whose time is over: the leader looks for them and has them
//! deleted. A command is void if a child or a change has come meanwhile.

use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::{Service, Shutdown};

use crate::server::Server;

/// So many are found at a time.
const AT_ONCE: usize = 10_000;

/// Looks for what is to be deleted.
pub(crate) struct Reaper {
    pub(crate) server: Arc<Server>,
}

impl Service for Reaper {
    async fn run(self, shutdown: Shutdown) -> Result<(), String> {
        let clock = self.server.runtime.clock.clone();
        let containers = self.server.config.containers.clone();
        let every = Duration::from_millis(containers.check_interval_ms.max(1));
        let minute_ms = 60_000;
        let pause_ms = minute_ms / containers.deletes_per_minute_max.clamp(1, minute_ms);
        loop {
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                () = clock.sleep(every) => {}
            }
            if self.server.desk.office().is_none() {
                continue;
            }
            let never_used_ms = containers.never_used_ms_max.map(i64::try_from);
            let never_used_ms = never_used_ms.and_then(Result::ok).unwrap_or(0);
            let now_ms = clock.now_ms();
            let tree = &self.server.tree;
            let commands = tree.reapable(now_ms, never_used_ms, AT_ONCE);
            for command in commands {
                self.server.desk.propose(&command);
                tokio::select! {
                    biased;
                    () = shutdown.announced() => return Ok(()),
                    () = clock.sleep(Duration::from_millis(pause_ms)) => {}
                }
            }
        }
    }
}
