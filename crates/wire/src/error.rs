//! What can be wrong with bytes that came in, and with values that should go out.

/// Bytes that are not what the schema says. `at` is the offset in the frame, length prefix
/// excluded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A value reaches beyond the end of its frame or tagged field.
    #[error("at byte {at}: {wanted} bytes are needed, {left} are left")]
    Truncated {
        /// Where the value begins.
        at: usize,
        /// How many bytes it needs.
        wanted: usize,
        /// How many there are.
        left: usize,
    },
    /// A length below -1, or one that the type does not allow.
    #[error("at byte {at}: {length} is no valid length")]
    InvalidLength {
        /// Where the length stands.
        at: usize,
        /// What it says.
        length: i64,
    },
    /// Null where the schema allows none.
    #[error("at byte {at}: null is not allowed here")]
    UnexpectedNull {
        /// Where the length or marker stands.
        at: usize,
    },
    /// A variable-length integer with more bytes than its type can have.
    #[error("at byte {at}: the variable-length integer does not end")]
    VarintTooLong {
        /// Where the integer begins.
        at: usize,
    },
    /// A string that is not UTF-8.
    #[error("at byte {at}: the string is not UTF-8")]
    InvalidUtf8 {
        /// Where the string begins, after its length.
        at: usize,
    },
    /// The decoded form would need more memory than the frame's size justifies.
    #[error("at byte {at}: decoding needs {wanted} more bytes of memory, {left} are allowed")]
    OverBudget {
        /// Where the array begins.
        at: usize,
        /// What the array would take.
        wanted: usize,
        /// What is left of the budget.
        left: usize,
    },
    /// Tags must ascend, and none may come twice (KIP-482).
    #[error("at byte {at}: tag {tag} is out of order")]
    TagOrder {
        /// Where the tag stands.
        at: usize,
        /// The tag.
        tag: u32,
    },
    /// A tagged field whose value is shorter than its declared size.
    #[error("at byte {at}: {left} bytes of tagged field {tag} are left over")]
    TagSize {
        /// Where the value should have ended.
        at: usize,
        /// The tag.
        tag: u32,
        /// How many bytes are left over.
        left: usize,
    },
    /// Bytes after the end of the body.
    #[error("at byte {at}: {left} bytes are left over")]
    TrailingBytes {
        /// Where the body ends.
        at: usize,
        /// How many bytes follow.
        left: usize,
    },
    /// The message does not exist in this version.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// The message's name in the schema.
        message: &'static str,
        /// What was asked for.
        version: i16,
    },
    /// The number in front of an internal record's key is not that of the wanted record.
    #[error("record type {found} was found where {message} is {expected}")]
    WrongRecordType {
        /// The wanted message.
        message: &'static str,
        /// Its number.
        expected: i16,
        /// The number found.
        found: i16,
    },
    /// No record has this number.
    #[error("record {id} is not known")]
    UnknownRecord {
        /// The number found.
        id: i16,
    },
    /// A frame around a record in a version that does not exist.
    #[error("frame version {version} is not known")]
    UnknownFrameVersion {
        /// The version found.
        version: u32,
    },
}

/// A value that cannot be written in the wanted version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A field is set that this version cannot carry, and that must not get lost.
    #[error("{field} is set, but version {version} cannot carry it")]
    FieldNotInVersion {
        /// `Struct.field`
        field: &'static str,
        /// The version that was asked for.
        version: i16,
    },
    /// A field is null in a version in which it must not be.
    #[error("{field} is null, which version {version} does not allow")]
    UnexpectedNull {
        /// `Struct.field`
        field: &'static str,
        /// The version that was asked for.
        version: i16,
    },
    /// A string, array, or frame that is longer than its length field can say.
    #[error("{length} is more than the {limit} that the protocol allows here")]
    TooLong {
        /// Bytes or elements.
        length: usize,
        /// The most that is possible.
        limit: usize,
    },
    /// An unknown tagged field has the tag of a known one, or tags do not ascend.
    #[error("tag {tag} is written twice or out of order")]
    TagOrder {
        /// The tag.
        tag: u32,
    },
    /// The message does not exist in this version.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// The message's name in the schema.
        message: &'static str,
        /// What was asked for.
        version: i16,
    },
}

impl EncodeError {
    #[cold]
    pub(crate) fn absent(field: &'static str, version: i16) -> Self {
        Self::FieldNotInVersion { field, version }
    }
}
