//! Metadata records as they stand in the log.
//!
//! ```text
//!   frame version uvarint = 1 │ record id uvarint │ version uvarint │ fields
//! ```

use bytes::Bytes;

use crate::error::{DecodeError, EncodeError};
use crate::reader::Reader;
use crate::registry::MetadataRecord;
use crate::writer::Writer;

const FRAME_VERSION: u32 = 1;

impl MetadataRecord {
    /// Encodes the record with its id, in its highest version.
    pub fn encode_framed(&self) -> Result<Bytes, EncodeError> {
        let version = self.max_version();
        let mut writer = Writer::with_capacity(64);
        writer.uvarint(FRAME_VERSION);
        // Ids and versions are never negative: the schema's parser reads them as `N` or `A-B`.
        writer.uvarint(u32::from(self.record_id().unsigned_abs()));
        writer.uvarint(u32::from(version.unsigned_abs()));
        self.encode(version, &mut writer)?;
        Ok(writer.into_bytes())
    }

    /// Reverses [`MetadataRecord::encode_framed`], for records of any version that we know.
    pub fn decode_framed(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let frame = reader.uvarint()?;
        if frame != FRAME_VERSION {
            return Err(DecodeError::UnknownFrameVersion { version: frame });
        }
        let (id, version) = (number(&mut reader)?, number(&mut reader)?);
        let record = Self::decode(id, version, &mut reader)?;
        reader.finish()?;
        Ok(record)
    }
}

/// An id or version: at most 15 bits.
fn number(reader: &mut Reader) -> Result<i16, DecodeError> {
    let at = reader.position();
    let value = reader.uvarint()?;
    let length = i64::from(value);
    i16::try_from(value).map_err(|_| DecodeError::InvalidLength { at, length })
}
