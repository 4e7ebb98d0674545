//! What can be wrong with bytes that hold commands or a snapshot.

/// Bytes that are no entry of the log, or no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field cannot be read.
    #[error("a command or a snapshot cannot be read: {0}")]
    Field(#[from] ottla_jute::Error),
    /// A version that another release wrote.
    #[error(
        "the {what} has format version {version}, which this release does not know; run the release that wrote it"
    )]
    Version {
        /// An entry of the log, or a snapshot.
        what: &'static str,
        /// Its version.
        version: u8,
    },
    /// A number that stands for nothing.
    #[error("{value} is no {what}; the log or the snapshot is damaged")]
    Unknown {
        /// What should have been named.
        what: &'static str,
        /// The number.
        value: i64,
    },
    /// A snapshot contradicts itself.
    #[error("the snapshot contradicts itself at {at}: {reason}; take another one")]
    Snapshot {
        /// The path or the session.
        at: String,
        /// What is wrong.
        reason: String,
    },
}
