//! Why the controller cannot start or must stop.

use std::io;
use std::path::PathBuf;

use ottla_model::Offset;

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
