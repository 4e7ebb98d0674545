//! Counts the times without a leader.

use ottla_raft::State;
use ottla_runtime::published::Published;
use ottla_runtime::{Clock, Instant, Service, Shutdown};

use std::sync::Arc;

use crate::monitor::Meters;

/// Watches who leads.
pub(crate) struct Elections {
    pub(crate) meters: Arc<Meters>,
    pub(crate) clock: Clock,
    pub(crate) state: Published<State>,
}

impl Service for Elections {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        // Whoever starts knows no leader (`QuorumPeer` begins with LOOKING).
        let mut looks_since: Option<Instant> = Some(self.clock.instant());
        self.meters.lookings.add(1);
        loop {
            let has_leader = self.state.get().leader.is_some();
            match looks_since {
                Some(since) if has_leader => {
                    let now = self.clock.instant();
                    self.meters
                        .elections
                        .took(now.saturating_duration_since(since));
                    looks_since = None;
                }
                None if !has_leader => {
                    looks_since = Some(self.clock.instant());
                    self.meters.lookings.add(1);
                }
                _ => {}
            }
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                alive = self.state.changed() => if !alive {
                    return Ok(());
                },
            }
        }
    }
}
