//! Why the controller cannot start or must stop.

use std::io;
use std::path::PathBuf;

use ottla_model::{ClusterId, Offset};

/// Why the controller cannot start or must stop. The messages say which file is concerned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("could not {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, for example `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// `meta.properties` cannot be understood.
    #[error("{path} is damaged: {reason}; restore it, or start with an empty folder", path = path.display())]
    MetaProperties {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The volume belongs to another node or cluster.
    #[error(
        "{path} says that this volume belongs to {key} {stored}, but the configuration says \
         {configured}: mount the right volume or correct {key}",
        path = path.display()
    )]
    ForeignVolume {
        /// The file.
        path: PathBuf,
        /// `node.id` or `cluster.id`.
        key: &'static str,
        /// What the volume says.
        stored: String,
        /// What the configuration says.
        configured: String,
    },
    /// The node met another cluster than its own.
    #[error(
        "{path} says that this volume belongs to cluster.id {own}, but the controllers that were \
         met belong to cluster.id {met}: mount the right volume, or correct \
         controller.quorum.bootstrap.servers",
        path = path.display()
    )]
    ForeignCluster {
        /// The file.
        path: PathBuf,
        /// The volume's cluster.
        own: ClusterId,
        /// The cluster of the others.
        met: ClusterId,
    },
    /// The controllers that were met belong to different clusters.
    #[error(
        "the configured controllers belong to different clusters: {one}, and {other}; correct \
         controller.quorum.bootstrap.servers or controller.quorum.voters"
    )]
    SeveralClusters {
        /// A controller and its cluster.
        one: String,
        /// Another one, with another cluster.
        other: String,
    },
    /// Another node does not take this one.
    #[error("{place} refuses this node: {reason}")]
    Refused {
        /// Whom it asked.
        place: String,
        /// Its words.
        reason: String,
    },
    /// More controllers than there should be want to found a cluster.
    #[error(
        "{met} controllers want to found a cluster, but {expected} are expected: {list}; correct \
         ottla.quorum.bootstrap.expect, or take the others away"
    )]
    TooMany {
        /// How many were met.
        met: usize,
        /// How many are configured.
        expected: usize,
        /// Who they are.
        list: String,
    },
    /// The controller's listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ottla_net::Error),
    /// The member of the quorum cannot be started.
    #[error(transparent)]
    Raft(#[from] ottla_raft::Error),
    /// The quorum's membership cannot be set up.
    #[error("the metadata quorum cannot be founded: {0}")]
    Found(ottla_raft::ChangeError),
    /// The node was told to stop before it had found its cluster.
    #[error("stopped before a metadata quorum was found")]
    Stopped,
    /// A snapshot's bytes are not what was written.
    #[error(
        "the metadata snapshot {path} is corrupt at position {position}: {reason}; restore the \
         folder from a backup",
        path = path.display()
    )]
    CorruptSnapshot {
        /// The file.
        path: PathBuf,
        /// The byte at which the bad batch begins.
        position: usize,
        /// What is wrong.
        reason: String,
    },
    /// The metadata is that of another cluster.
    #[error(
        "the metadata in {path} is that of another cluster: {reason} Mount the right volume",
        path = path.display()
    )]
    ForeignMetadata {
        /// The folder.
        path: PathBuf,
        /// Which cluster it is, and which was expected.
        reason: String,
    },
    /// Records between the snapshot and the log are missing.
    #[error(
        "the metadata in {path} has a gap: the snapshot ends before offset {snapshot_end} and the \
         log begins at {log_start}; restore the folder from a backup",
        path = path.display()
    )]
    Gap {
        /// The folder.
        path: PathBuf,
        /// The first offset that the snapshot does not cover; 0 without a snapshot.
        snapshot_end: Offset,
        /// The log's first offset.
        log_start: Offset,
    },
    /// A batch of the metadata log holds something else than records of metadata.
    #[error("the metadata log has a bad batch at offset {offset}: {reason}")]
    BadBatch {
        /// The batch's first offset.
        offset: Offset,
        /// What is wrong.
        reason: String,
    },
    /// A record cannot be read or applied.
    #[error(transparent)]
    Metadata(#[from] ottla_metadata::Error),
    /// Bytes that were acknowledged are not what was written.
    #[error(
        "the metadata log {path} is corrupt at position {position}: {reason}; restore the folder \
         from a backup",
        path = path.display()
    )]
    CorruptLog {
        /// The segment.
        path: PathBuf,
        /// The byte at which the bad batch begins.
        position: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is a snapshot, but no log that goes on behind it.
    #[error(
        "the metadata in {path} has a snapshot but no log: the newest changes are missing; restore \
         the folder from a backup",
        path = path.display()
    )]
    MissingLog {
        /// The folder.
        path: PathBuf,
    },
}

impl Error {
    /// An [`Error::Io`] for `map_err`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }
}
