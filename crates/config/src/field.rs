//! The Rust types that properties are read into.

use std::fmt;

use ottla_model::Secret;

use crate::property::{ValueType, split_list};

/// A type that a declared property can have.
pub(crate) trait Field: Sized {
    /// Kafka's type of it.
    const TYPE: ValueType;

    /// Reads a text that [`Property::check`](crate::Property::check) has let pass; `None` when the
    /// text is not of this type after all.
    fn read(text: &str) -> Option<Self>;

    /// The value of a property that is unset and has no default.
    fn unset() -> Option<Self> {
        None
    }
}

impl Field for bool {
    const TYPE: ValueType = ValueType::Boolean;
    fn read(text: &str) -> Option<Self> {
        text.trim().to_ascii_lowercase().parse().ok()
    }
}

impl Field for i16 {
    const TYPE: ValueType = ValueType::Short;
    fn read(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
}

impl Field for i32 {
    const TYPE: ValueType = ValueType::Int;
    fn read(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
}

impl Field for i64 {
    const TYPE: ValueType = ValueType::Long;
    fn read(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
}

impl Field for f64 {
    const TYPE: ValueType = ValueType::Double;
    fn read(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
}

impl Field for String {
    const TYPE: ValueType = ValueType::String;
    fn read(text: &str) -> Option<Self> {
        Some(text.trim().to_owned())
    }
}

impl Field for Secret {
    const TYPE: ValueType = ValueType::Password;
    fn read(text: &str) -> Option<Self> {
        Some(Secret::new(text.trim()))
    }
}

impl Field for Vec<String> {
    const TYPE: ValueType = ValueType::List;
    fn read(text: &str) -> Option<Self> {
        Some(split_list(text))
    }
}

impl<T: Field> Field for Option<T> {
    const TYPE: ValueType = T::TYPE;
    fn read(text: &str) -> Option<Self> {
        T::read(text).map(Some)
    }
    fn unset() -> Option<Self> {
        Some(None)
    }
}

/// How the broker compresses what it stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionType {
    /// Batches stay as the producer sent them.
    Producer,
    /// Batches are stored uncompressed.
    Uncompressed,
    /// gzip.
    Gzip,
    /// snappy.
    Snappy,
    /// lz4.
    Lz4,
    /// zstd (KIP-110).
    Zstd,
}

impl CompressionType {
    /// The names that `compression.type` takes, in Kafka's order.
    pub const NAMES: &'static [&'static str] =
        &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CompressionType::Producer => "producer",
            CompressionType::Uncompressed => "uncompressed",
            CompressionType::Gzip => "gzip",
            CompressionType::Snappy => "snappy",
            CompressionType::Lz4 => "lz4",
            CompressionType::Zstd => "zstd",
        }
    }
}

impl fmt::Display for CompressionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Field for CompressionType {
    const TYPE: ValueType = ValueType::String;
    fn read(text: &str) -> Option<Self> {
        Some(match text.trim() {
            "producer" => CompressionType::Producer,
            "uncompressed" => CompressionType::Uncompressed,
            "gzip" => CompressionType::Gzip,
            "snappy" => CompressionType::Snappy,
            "lz4" => CompressionType::Lz4,
            "zstd" => CompressionType::Zstd,
            _ => return None,
        })
    }
}

/// Which time a record carries (KIP-32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The time that the producer set.
    CreateTime,
    /// The time at which the broker appended it.
    LogAppendTime,
}

impl TimestampType {
    /// The names that `message.timestamp.type` takes.
    pub const NAMES: &'static [&'static str] = &["CreateTime", "LogAppendTime"];
}

impl Field for TimestampType {
    const TYPE: ValueType = ValueType::String;
    fn read(text: &str) -> Option<Self> {
        match text.trim() {
            "CreateTime" => Some(TimestampType::CreateTime),
            "LogAppendTime" => Some(TimestampType::LogAppendTime),
            _ => None,
        }
    }
}

/// What happens to old segments. With neither, everything is kept for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Segments beyond the retention time or size are deleted.
    pub delete: bool,
    /// Only the newest record of each key is kept.
    pub compact: bool,
}

impl CleanupPolicy {
    /// The names that `cleanup.policy` takes.
    pub const NAMES: &'static [&'static str] = &["compact", "delete"];
}

impl Field for CleanupPolicy {
    const TYPE: ValueType = ValueType::List;
    fn read(text: &str) -> Option<Self> {
        let entries = split_list(text);
        Some(CleanupPolicy {
            delete: entries.iter().any(|entry| entry == "delete"),
            compact: entries.iter().any(|entry| entry == "compact"),
        })
    }
}
