//! What stands in the raft log: the records of one decision.
//!
//! ```text
//! version u8 │ term u64 │ decided at i64 │ ends at i64 │ record batches …
//! ```
//!
//! A decision holds only for the image that it was made on. An entry therefore names the term of
//! its leader and the offset of that image; one that comes to stand elsewhere (a leader lost its
//! office while the entry was on its way, or the entry before it was refused) is skipped, by all
//! members alike.

use bytes::{BufMut, Bytes, BytesMut};
use ottla_metadata::{Image, Record};
use ottla_model::{LeaderEpoch, Offset, TimestampMs};
use ottla_record::split_batches;

use crate::batch;
use crate::error::Error;

const VERSION: u8 = 1;
const HEADER_LEN: usize = 25;
/// So many records stand in one batch; the records of nearly every decision fit into one.
const RECORDS_PER_BATCH: usize = 10_000;

/// What is in front of an entry's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The term of the leader that decided.
    pub(crate) term: u64,
    /// The offset of the image that it decided on.
    pub(crate) decided_at: Offset,
    /// The offset of the image after the records.
    pub(crate) ends_at: Offset,
}

/// The entry of these records; each has one offset, and the last one that of `ends_at`.
pub(crate) fn encode(
    header: Header,
    records: &[Record],
    now_ms: TimestampMs,
) -> Result<Bytes, Error> {
    let mut out = BytesMut::with_capacity(HEADER_LEN + 64 * records.len());
    out.put_u8(VERSION);
    out.put_u64(header.term);
    out.put_i64(header.decided_at);
    out.put_i64(header.ends_at);
    let mut next = header.decided_at + 1;
    for chunk in records.chunks(RECORDS_PER_BATCH) {
        out.extend_from_slice(&batch::encode(chunk, next, epoch(header.term), now_ms)?);
        next += chunk.len() as Offset;
    }
    Ok(out.freeze())
}

/// The header of an entry, and its batches.
pub(crate) fn decode(entry: &[u8]) -> Result<(Header, Bytes), String> {
    let Some((fixed, batches)) = entry.split_at_checked(HEADER_LEN) else {
        return Err(format!("an entry of {} bytes is too short", entry.len()));
    };
    let (version, numbers) = (fixed[0], &fixed[1..]);
    if version != VERSION {
        return Err(format!(
            "an entry has version {version}, and this build knows {VERSION}: start a newer one"
        ));
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&numbers[at..at + 8]);
        bytes
    };
    let header = Header {
        term: u64::from_be_bytes(number(0)),
        decided_at: i64::from_be_bytes(number(8)),
        ends_at: i64::from_be_bytes(number(16)),
    };
    Ok((header, Bytes::copy_from_slice(batches)))
}

/// Applies the records of an entry's batches to the image that they were decided on.
pub(crate) fn apply(image: &mut Image, header: Header, batches: Bytes) -> Result<(), Error> {
    let mut next = header.decided_at + 1;
    for batch in split_batches(batches) {
        let bad = |error: ottla_record::Error| Error::BadBatch {
            offset: next,
            reason: error.to_string(),
        };
        let batch = batch.map_err(bad)?;
        batch.verify_crc().map_err(bad)?;
        batch::decode(&batch, |record, _| {
            image.apply(&record, next)?;
            next += 1;
            Ok(())
        })?;
    }
    let taken = std::mem::take(image);
    *image = taken.at_offset(header.ends_at);
    Ok(())
}

/// A term as Kafka's 32 bits.
pub(crate) fn epoch(term: u64) -> LeaderEpoch {
    LeaderEpoch::try_from(term).unwrap_or(LeaderEpoch::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_metadata::ClusterRecord;
    use ottla_model::ClusterId;

    #[test]
    fn an_entry_comes_back_and_ends_where_it_says() {
        let header = Header {
            term: 7,
            decided_at: -1,
            ends_at: 41,
        };
        let record = Record::Cluster(ClusterRecord {
            cluster_id: ClusterId("c".into()),
        });
        let bytes = encode(header, &[record], 5).unwrap();
        let (read, batches) = decode(&bytes).unwrap();
        assert_eq!(read, header);
        let mut image = Image::empty();
        apply(&mut image, read, batches).unwrap();
        assert_eq!(image.metadata_offset(), 41);
        assert_eq!(image.cluster_id(), Some(&ClusterId("c".into())));
    }

    #[test]
    fn what_is_no_entry_is_an_error() {
        assert!(decode(&[]).is_err());
        assert!(decode(&[9; HEADER_LEN]).unwrap_err().contains("version 9"));
        let header = Header {
            term: 1,
            decided_at: 0,
            ends_at: 1,
        };
        let mut image = Image::empty();
        assert!(apply(&mut image, header, Bytes::from_static(&[1; 80])).is_err());
    }
}
