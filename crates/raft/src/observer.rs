//! Who wants to know how a member fares: for figures, not for decisions.

use std::fmt::Debug;
use std::time::Duration;

/// Is told what a member has done and how long it took.
///
/// The calls come from the threads that do the work, and hold it up: whoever is told counts, and
/// does nothing else.
pub trait Observer: Debug + Send + Sync {
    /// Entries were made durable.
    fn flushed(&self, took: Duration);
    /// A snapshot of the own state is on disk.
    fn snapshot_written(&self, took: Duration);
    /// A snapshot was sent to another member, which was too far behind for the log.
    fn snapshot_sent(&self);
}
