//! Every message of the schema as one table, for tests and fuzz targets.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::arbitrary::Seed;
use crate::error::{DecodeError, EncodeError};
use crate::message::Message;
use crate::reader::Reader;
use crate::writer::Writer;

/// One message of the schema behind functions that do not name its type.
#[derive(Debug, Clone, Copy)]
pub struct AnyMessage {
    /// The name in the schema.
    pub name: &'static str,
    first: i16,
    last: i16,
    random: fn(i16, &mut Seed) -> Result<Bytes, EncodeError>,
    round_trip: fn(i16, &mut Seed) -> Result<Bytes, String>,
    recode: fn(i16, Bytes) -> Result<Bytes, DecodeError>,
}

impl AnyMessage {
    pub(crate) const fn of<M: Message + PartialEq + std::fmt::Debug>() -> Self {
        Self {
            name: M::NAME,
            first: M::MIN_VERSION,
            last: M::MAX_VERSION,
            random: |version, seed| encode(&M::arbitrary(version, seed), version),
            round_trip: round_trip::<M>,
            recode: recode::<M>,
        }
    }

    /// All versions of the message.
    #[must_use]
    pub fn versions(&self) -> RangeInclusive<i16> {
        self.first..=self.last
    }

    /// A random value, encoded.
    pub fn random(&self, version: i16, seed: &mut Seed) -> Result<Bytes, EncodeError> {
        (self.random)(version, seed)
    }

    /// Encodes a random value and decodes it again; returns the bytes, or what went wrong.
    pub fn round_trip(&self, version: i16, seed: &mut Seed) -> Result<Bytes, String> {
        (self.round_trip)(version, seed)
    }

    /// Decodes the bytes, and encodes what came out. What was decoded can always be encoded: a
    /// value that cannot be is a panic here.
    pub fn recode(&self, version: i16, bytes: Bytes) -> Result<Bytes, DecodeError> {
        (self.recode)(version, bytes)
    }
}

fn encode<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    message.encode(version, &mut writer)?;
    Ok(writer.into_bytes())
}

fn round_trip<M: Message + PartialEq + std::fmt::Debug>(
    version: i16,
    seed: &mut Seed,
) -> Result<Bytes, String> {
    let before = M::arbitrary(version, seed);
    let bytes = encode(&before, version).map_err(|e| e.to_string())?;
    let mut reader = Reader::new(bytes.clone());
    let after = M::decode(version, &mut reader).map_err(|e| format!("{e}: {before:?}"))?;
    reader.finish().map_err(|e| e.to_string())?;
    if after == before {
        Ok(bytes)
    } else {
        Err(format!("{before:?} became {after:?}"))
    }
}

fn recode<M: Message>(version: i16, bytes: Bytes) -> Result<Bytes, DecodeError> {
    let mut reader = Reader::new(bytes);
    let message = M::decode(version, &mut reader)?;
    reader.finish()?;
    match encode(&message, version) {
        Ok(bytes) => Ok(bytes),
        Err(error) => panic!(
            "{} {version} was decoded, but cannot be encoded: {error}",
            M::NAME
        ),
    }
}
