//! What a member needs to know.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use ottla_model::Uuid;

use crate::member::NodeId;
use crate::observer::Observer;

/// What a member needs to know. [`Options::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who this is.
    pub id: NodeId,
    /// The id of the volume that `directory` is on: see [`Member`](crate::Member).
    pub directory_id: Uuid,
    /// Names the group; members of another one are refused by name. At most 255 bytes.
    pub group: Bytes,
    /// The folder of the log, the vote and the snapshots. Nothing else may be in it.
    pub directory: PathBuf,
    /// How often a leader says that it is there.
    pub heartbeat_ms: u64,
    /// The least time without a leader after which a voter stands for election; up to twice as
    /// long, at random. A leader that a majority has not answered for twice this time accepts no
    /// proposals, and voters that heard from a leader within it elect no other one.
    pub election_timeout_ms: u64,
    /// A snapshot is written after so many bytes of entries.
    pub snapshot_after_bytes: u64,
    /// A snapshot is written after so many entries.
    pub snapshot_after_entries: u64,
    /// So many entries stay in the log although a snapshot holds them, for members that are a
    /// little behind.
    pub keep_entries: u64,
    /// The largest entry that may be proposed.
    pub entry_bytes_max: usize,
    /// A new segment of the log is begun after so many bytes.
    pub segment_bytes: u64,
    /// Who is told what the member does, for figures.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Options {
    /// The defaults: a heartbeat each 50 ms, an election after 300 to 600 ms of silence, a snapshot
    /// every 20 MiB or 20,000 entries.
    #[must_use]
    pub fn new(id: NodeId, directory_id: Uuid, group: Bytes, directory: PathBuf) -> Self {
        Options {
            id,
            directory_id,
            group,
            directory,
            heartbeat_ms: 50,
            election_timeout_ms: 150,
            snapshot_after_bytes: 20 << 20,
            snapshot_after_entries: 20_000,
            keep_entries: 1_000,
            entry_bytes_max: 8 << 20,
            segment_bytes: 16 << 20,
            observer: None,
        }
    }
}
