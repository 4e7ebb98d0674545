//! What can go wrong when records are read and applied.

use ottla_model::Offset;

/// A record of the metadata log that cannot be read or does not fit the image.
///
/// All of these are reasons to stop the node: its metadata is in doubt (fail-stop).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The frame's version is none that this build knows.
    #[error(
        "the metadata record at offset {offset} has frame version {version}, but this build knows \
         only {known}: it was written by a newer Ottla, start that one"
    )]
    UnknownFrame {
        /// The record's offset.
        offset: Offset,
        /// The version that it carries.
        version: u32,
        /// The version that this build writes.
        known: u32,
    },
    /// The kind is none that this build knows.
    #[error(
        "the metadata record at offset {offset} is of kind {kind}, which this build does not know: \
         it was written by a newer Ottla, start that one"
    )]
    UnknownKind {
        /// The record's offset.
        offset: Offset,
        /// The kind's number.
        kind: u32,
    },
    /// The kind is known, but not in this version.
    #[error(
        "the {kind} at offset {offset} has version {version}, which this build does not know: it \
         was written by a newer Ottla, start that one"
    )]
    UnknownVersion {
        /// The record's offset.
        offset: Offset,
        /// The kind's name.
        kind: &'static str,
        /// The version that the record carries.
        version: u32,
    },
    /// The bytes are not a record.
    #[error("the metadata record at offset {offset} is corrupt: {reason}")]
    Corrupt {
        /// The record's offset.
        offset: Offset,
        /// What is wrong with it.
        reason: String,
    },
    /// A record has a value that its bytes cannot carry.
    #[error("a {kind} record cannot be written: {reason}")]
    Unencodable {
        /// The kind's name.
        kind: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// The record contradicts what earlier records have built.
    #[error("the {kind} record at offset {offset} does not fit the metadata before it: {reason}")]
    Impossible {
        /// The record's offset.
        offset: Offset,
        /// The kind's name.
        kind: &'static str,
        /// The contradiction.
        reason: String,
    },
    /// A command or an answer is too large to travel between nodes.
    #[error(
        "a command or an answer of {len} bytes is too large to travel between nodes: at most \
         {max} are allowed, ask for less at once"
    )]
    TooLarge {
        /// Its size.
        len: usize,
        /// The largest size.
        max: usize,
    },
    /// A command or an answer was written by another build.
    #[error(
        "a command or an answer between nodes has version {version}, but this build knows only \
         {known}: upgrade the older one of the two nodes"
    )]
    UnknownCommandVersion {
        /// The version that it carries.
        version: u8,
        /// The version that this build writes.
        known: u8,
    },
    /// The bytes are no command, or no answer, of this build.
    #[error(
        "a command or an answer between nodes cannot be read: {reason}; if one of the two nodes is \
         of an older version, upgrade it"
    )]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
}
