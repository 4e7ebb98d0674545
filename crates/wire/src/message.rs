//! What all messages have in common, and the version numbers in front of stored ones.

use bytes::Bytes;

use crate::error::{DecodeError, EncodeError};
use crate::reader::Reader;
use crate::writer::Writer;

/// A message of the schema: a request's or response's body, a header, a record of an internal
/// topic or of the metadata log.
pub trait Message: Sized {
    /// The name in the schema, which is Kafka's.
    const NAME: &'static str;
    /// The lowest version.
    const MIN_VERSION: i16;
    /// The highest version.
    const MAX_VERSION: i16;
    /// The first version with compact lengths and tagged fields (KIP-482).
    const FLEXIBLE_FROM: Option<i16>;

    /// Reads the fields; `version` has been checked.
    #[doc(hidden)]
    fn read_body(version: i16, reader: &mut Reader) -> Result<Self, DecodeError>;

    /// Writes the fields; `version` has been checked.
    #[doc(hidden)]
    fn write_body(&self, version: i16, writer: &mut Writer) -> Result<(), EncodeError>;

    /// A random value that `version` can carry.
    #[cfg(feature = "arbitrary")]
    fn arbitrary(version: i16, seed: &mut crate::arbitrary::Seed) -> Self;

    /// Decodes the fields of `version`. What follows them stays in the reader.
    fn decode(version: i16, reader: &mut Reader) -> Result<Self, DecodeError> {
        if (Self::MIN_VERSION..=Self::MAX_VERSION).contains(&version) {
            Self::read_body(version, reader)
        } else {
            Err(DecodeError::UnsupportedVersion {
                message: Self::NAME,
                version,
            })
        }
    }

    /// Appends the fields of `version`. A field that `version` lacks must have its default
    /// value, unless the schema calls it ignorable.
    fn encode(&self, version: i16, writer: &mut Writer) -> Result<(), EncodeError> {
        if (Self::MIN_VERSION..=Self::MAX_VERSION).contains(&version) {
            self.write_body(version, writer)
        } else {
            Err(EncodeError::UnsupportedVersion {
                message: Self::NAME,
                version,
            })
        }
    }

    /// The version as two bytes, then the fields: the values of `__consumer_offsets` and
    /// `__transaction_state`, and the consumer protocol inside of JoinGroup and SyncGroup.
    fn encode_versioned(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::new();
        writer.i16(version);
        self.encode(version, &mut writer)?;
        Ok(writer.into_bytes())
    }

    /// Reverses [`Message::encode_versioned`]; bytes left over are an error.
    fn decode_versioned(bytes: Bytes) -> Result<(i16, Self), DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        let message = Self::decode(version, &mut reader)?;
        reader.finish()?;
        Ok((version, message))
    }

    /// As [`Message::decode_versioned`], for the consumer protocol: a version that is newer than
    /// ours is read as our newest, and what it added at the end is not looked at.
    fn decode_versioned_or_newer(bytes: Bytes) -> Result<(i16, Self), DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        let message = Self::decode(version.min(Self::MAX_VERSION), &mut reader)?;
        Ok((version, message))
    }
}

/// The key of a record of an internal topic. What stands in front of it is not a version, but
/// the number of the record's type; the key itself has version 0 only.
pub trait CoordinatorKey: Message {
    /// The number, unique within its topic.
    const RECORD_TYPE: i16;

    /// The record type as two bytes, then the fields.
    fn encode_key(&self) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::new();
        writer.i16(Self::RECORD_TYPE);
        self.encode(0, &mut writer)?;
        Ok(writer.into_bytes())
    }

    /// Reverses [`CoordinatorKey::encode_key`]; another record type and bytes left over are
    /// errors.
    fn decode_key(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let found = reader.i16()?;
        if found != Self::RECORD_TYPE {
            let (message, expected) = (Self::NAME, Self::RECORD_TYPE);
            return Err(DecodeError::WrongRecordType {
                message,
                expected,
                found,
            });
        }
        let key = Self::decode(0, &mut reader)?;
        reader.finish()?;
        Ok(key)
    }
}

/// The number in front of the key of a record of an internal topic.
pub fn record_type(key: &Bytes) -> Result<i16, DecodeError> {
    Reader::new(key.clone()).i16()
}
