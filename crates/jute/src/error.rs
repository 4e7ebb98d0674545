//! What can be wrong with bytes that should be ZooKeeper's.

/// Bytes that are not what they should be. A server answers a request of that kind with
/// `MARSHALLINGERROR`, as ZooKeeper does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end inside a field.
    #[error(
        "the record ends early: a field of {needed} bytes was due and {remaining} are left; the sender speaks another protocol, or the frame was cut"
    )]
    Ended {
        /// The size of the field in bytes.
        needed: usize,
        /// The bytes that were left.
        remaining: usize,
    },
    /// A length that can be no length.
    #[error(
        "a {what} has the length {length}, which is below -1; the sender speaks another protocol"
    )]
    BadLength {
        /// `string`, `buffer` or `vector`.
        what: &'static str,
        /// What was read.
        length: i32,
    },
    /// A string is not text.
    #[error("a string is not UTF-8 from byte {at} on; send paths and names as UTF-8")]
    NotUtf8 {
        /// Where in the string.
        at: usize,
    },
    /// A string that must be there is null.
    #[error("a string is null where a value is due; send the path or the name")]
    Null,
    /// A number that names nothing.
    #[error("{value} is no {what}; see the class {class} of ZooKeeper for those that are")]
    Unknown {
        /// What should have been named.
        what: &'static str,
        /// The number.
        value: i32,
        /// Where ZooKeeper declares them.
        class: &'static str,
    },
    /// An operation that this kind of multi cannot contain.
    #[error(
        "operation {op} cannot be part of a {multi}; send reads with multiRead and changes with multi"
    )]
    NotInMulti {
        /// The number of the operation.
        op: i32,
        /// `multi` or `multiRead`.
        multi: &'static str,
    },
    /// A mode of creation that cannot stand in a multi.
    #[error(
        "the create flags {flags} are not allowed for operation {op} of a multi; nodes with a time to live need createTTL"
    )]
    FlagsInMulti {
        /// The number of the operation.
        op: i32,
        /// The flags.
        flags: i32,
    },
    /// A create without an ACL in a multi.
    #[error("the ACL of operation {op} of a multi is null; send a list, though it be empty")]
    NullAclInMulti {
        /// The number of the operation.
        op: i32,
    },
    /// The operation has no body that could be decoded here.
    #[error("operation {op} is not sent by clients; only servers know it")]
    NotARequest {
        /// The operation's name.
        op: &'static str,
    },
    /// A file cannot be read.
    #[error("reading failed behind byte {at}: {reason}; see whether the file is whole")]
    Source {
        /// How many bytes were read before.
        at: u64,
        /// What the source said.
        reason: String,
    },
    /// A field of a file that nobody can have written.
    #[error(
        "a field of {length} bytes is longer than any that ZooKeeper writes (at most {max} are read); the file is damaged"
    )]
    TooLong {
        /// What its length says, in bytes.
        length: usize,
        /// What is read, in bytes.
        max: usize,
    },
    /// A file of another kind.
    #[error(
        "this is no {what} of ZooKeeper: it begins with {found:#010x}; name files of the directory version-2"
    )]
    NotThisFile {
        /// What was to be read.
        what: &'static str,
        /// Its first four bytes.
        found: u32,
    },
    /// A file of a version that is not known.
    #[error(
        "the {what} has format version {version}, and only version 2 is known; let ZooKeeper 3.4 or newer write it"
    )]
    FileVersion {
        /// What was to be read.
        what: &'static str,
        /// Its version.
        version: i32,
    },
    /// A part of a file is not what was written.
    #[error(
        "the {what} at byte {at} is damaged: its checksum is {computed:#x} and {stored:#x} was written; take another copy of the file"
    )]
    Checksum {
        /// The part.
        what: &'static str,
        /// Where it, or its checksum, begins.
        at: u64,
        /// The checksum in the file.
        stored: i64,
        /// The checksum of the bytes.
        computed: i64,
    },
}
