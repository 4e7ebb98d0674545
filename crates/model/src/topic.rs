//! Topic names and ids.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Uuid;

/// The number of a partition in its topic, from 0.
pub type PartitionIndex = i32;

/// The longest topic name, in bytes. With `-` and a partition number it must stay a file name.
pub const MAX_TOPIC_NAME_LEN: usize = 249;
/// The internal topic that holds groups and their committed offsets.
pub const CONSUMER_OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The internal topic that holds the state of transactions.
pub const TRANSACTION_STATE_TOPIC: &str = "__transaction_state";

/// Whether Kafka treats the topic as internal: clients may read it but not create or write it.
#[must_use]
pub fn is_internal_topic(name: &str) -> bool {
    matches!(name, CONSUMER_OFFSETS_TOPIC | TRANSACTION_STATE_TOPIC)
}

/// A legal topic name: 1 to 249 characters of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`.
///
/// Cloning is cheap; the text is shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicName(Arc<str>);

/// Why a topic name is refused; the texts are the ones Kafka's clients show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicName {
    /// The name has no characters.
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    /// The name is `.` or `..`, which are folders.
    #[error("Topic name is invalid: '{0}' is not allowed")]
    Reserved(String),
    /// The name is longer than [`MAX_TOPIC_NAME_LEN`].
    #[error("Topic name is invalid: the length of '{0}' is longer than the max allowed length 249")]
    TooLong(String),
    /// The name has a character outside the alphabet.
    #[error(
        "Topic name is invalid: '{0}' contains one or more characters other than ASCII \
         alphanumerics, '.', '_' and '-'"
    )]
    Alphabet(String),
}

impl TryFrom<String> for TopicName {
    type Error = InvalidTopicName;

    fn try_from(name: String) -> Result<Self, InvalidTopicName> {
        TopicName::new(&name)
    }
}

impl From<TopicName> for String {
    fn from(name: TopicName) -> String {
        name.as_str().to_owned()
    }
}

impl TopicName {
    /// Checks and takes a name.
    pub fn new(name: &str) -> Result<Self, InvalidTopicName> {
        if name.is_empty() {
            return Err(InvalidTopicName::Empty);
        }
        if name == "." || name == ".." {
            return Err(InvalidTopicName::Reserved(name.to_owned()));
        }
        if name.len() > MAX_TOPIC_NAME_LEN {
            return Err(InvalidTopicName::TooLong(name.to_owned()));
        }
        if !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        {
            return Err(InvalidTopicName::Alphabet(name.to_owned()));
        }
        Ok(TopicName(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Two names collide when they differ only in `.` and `_`: metric names fold these together,
    /// so Kafka refuses the second one.
    #[must_use]
    pub fn collides_with(&self, other: &TopicName) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .bytes()
                .zip(other.0.bytes())
                .all(|(a, b)| fold(a) == fold(b))
    }
}

fn fold(b: u8) -> u8 {
    if b == b'.' { b'_' } else { b }
}

impl FromStr for TopicName {
    type Err = InvalidTopicName;
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        TopicName::new(name)
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for TopicName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A topic's identity (KIP-516).
pub type TopicId = Uuid;

/// One partition of one topic, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition's number.
    pub partition: PartitionIndex,
}

impl TopicPartition {
    /// Names a partition.
    #[must_use]
    pub fn new(topic: TopicName, partition: PartitionIndex) -> Self {
        TopicPartition { topic, partition }
    }
}

/// Kafka's form: `topic-partition`. It is also the name of the partition's folder.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(TopicName::new("a.b_c-1").is_ok());
        assert!(TopicName::new(&"x".repeat(249)).is_ok());
        assert!(matches!(TopicName::new(""), Err(InvalidTopicName::Empty)));
        assert!(matches!(
            TopicName::new(".."),
            Err(InvalidTopicName::Reserved(_))
        ));
        assert!(matches!(
            TopicName::new(&"x".repeat(250)),
            Err(InvalidTopicName::TooLong(_))
        ));
        assert!(matches!(
            TopicName::new("a b"),
            Err(InvalidTopicName::Alphabet(_))
        ));
        assert!(matches!(
            TopicName::new("ä"),
            Err(InvalidTopicName::Alphabet(_))
        ));
    }

    #[test]
    fn names_that_differ_in_dots_and_underscores_collide() {
        let name = |s| TopicName::new(s).unwrap();
        assert!(name("a.b").collides_with(&name("a_b")));
        assert!(!name("a.b").collides_with(&name("a-b")));
    }
}
