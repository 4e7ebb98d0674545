//! What raft tells of its disk, counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ottla_raft::Observer;

use crate::server::{LastSnapshot, Server};

/// Counts what the member of the group does.
pub(crate) struct RaftObserver {
    server: Arc<Server>,
    /// `fsync.warningthresholdms`
    warning_after: Duration,
}

impl RaftObserver {
    pub(crate) fn new(server: &Arc<Server>) -> Self {
        let warning_ms = server.config.storage.fsync_warning_threshold_ms;
        RaftObserver {
            server: Arc::clone(server),
            warning_after: Duration::from_millis(warning_ms),
        }
    }
}

impl fmt::Debug for RaftObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftObserver").finish_non_exhaustive()
    }
}

impl Observer for RaftObserver {
    fn flushed(&self, took: Duration) {
        self.server.meters.flushed(took, self.warning_after);
    }

    fn snapshot_written(&self, took: Duration) {
        let server = &self.server;
        server.meters.snapshots.took(took);
        let zxid = server.snapshot_zxid.load(Ordering::Relaxed);
        let written_s = Some(server.runtime.clock.now_ms() / 1_000);
        *server.last_snapshot.lock() = Some(LastSnapshot { zxid, written_s });
    }

    fn snapshot_sent(&self) {
        self.server.meters.snapshots_sent.add(1);
    }
}
