//! Batches of the source made into batches for the target.
//!
//! A batch without gaps is passed on as it is, still compressed; only its header is new. Small
//! batches are put together, and those that lost records are made anew.

use bytes::Bytes;
use ottla_record::{
    Batch, BatchBuilder, BatchHeader, BatchOptions, Compression, DecompressLimit, Error, Record,
    TimestampType,
};

/// Below this many bytes a batch is worth putting together with its neighbours.
const SMALL: usize = 4 * 1024;
const DECOMPRESS_LIMIT: DecompressLimit = DecompressLimit(128 * 1024 * 1024);

/// Records of the source whose offsets follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) source: i64,
    pub(super) records: i64,
}

/// A batch for the target, still without its producer.
#[derive(Debug)]
pub(super) struct Packed {
    batch: Batch,
    /// What is in it, in order.
    pub(super) spans: Vec<Span>,
}

impl Packed {
    pub(super) fn records(&self) -> i64 {
        self.spans.iter().map(|span| span.records).sum()
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.batch.bytes().len()).unwrap_or(0)
    }

    /// The bytes to send, of this producer and with this sequence.
    pub(super) fn seal(&self, producer: (i64, i16), sequence: i32) -> Result<Bytes, Error> {
        let header = BatchHeader {
            base_offset: 0,
            partition_leader_epoch: -1,
            attributes: self.batch.header().attributes.with_transactional(false),
            producer_id: producer.0,
            producer_epoch: producer.1,
            base_sequence: sequence,
            ..*self.batch.header()
        };
        Ok(Batch::assemble(header, &self.batch.body())?.bytes().clone())
    }
}

/// Packs the records from an offset on. Batches that are made anew stay below `limit` bytes unless
/// a single record is larger.
pub(super) fn pack(batches: &[Batch], from: i64, limit: usize) -> Result<Vec<Packed>, Error> {
    let mut packing = Packing {
        limit,
        done: Vec::new(),
        open: None,
    };
    for batch in batches {
        if passes_as_it_is(batch.header(), from) && batch.bytes().len() >= SMALL.min(limit) {
            packing.close()?;
            let header = batch.header();
            let span = Span {
                source: header.base_offset,
                records: i64::from(header.record_count),
            };
            packing.done.push(Packed {
                batch: batch.clone(),
                spans: vec![span],
            });
            continue;
        }
        let compression = batch.header().attributes.compression()?;
        for record in batch.records(DECOMPRESS_LIMIT)? {
            let record = record?;
            if record.offset >= from {
                packing.add(&record, compression)?;
            }
        }
    }
    packing.close()?;
    Ok(packing.done)
}

fn passes_as_it_is(header: &BatchHeader, from: i64) -> bool {
    header.base_offset >= from
        && header.last_offset_delta.checked_add(1) == Some(header.record_count)
        // A producer may not say that the broker set the time, nor when tombstones go.
        && header.attributes.timestamp_type() == TimestampType::CreateTime
        && !header.attributes.has_delete_horizon()
}

struct Open {
    builder: BatchBuilder,
    compression: Compression,
    spans: Vec<Span>,
}

struct Packing {
    limit: usize,
    done: Vec<Packed>,
    open: Option<Open>,
}

impl Packing {
    fn add(&mut self, record: &Record, compression: Compression) -> Result<(), Error> {
        let fits = self.open.as_ref().is_none_or(|open| {
            open.compression == compression
                && open.builder.size_estimate() + size(record) <= self.limit
        });
        if !fits {
            self.close()?;
        }
        let open = self.open.get_or_insert_with(|| Open {
            builder: BatchBuilder::new(BatchOptions {
                compression,
                ..BatchOptions::default()
            }),
            compression,
            spans: Vec::new(),
        });
        open.builder.append(
            record.timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            &record.headers,
        )?;
        match open.spans.last_mut() {
            Some(span) if span.source + span.records == record.offset => span.records += 1,
            _ => open.spans.push(Span {
                source: record.offset,
                records: 1,
            }),
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some(open) = self.open.take() {
            self.done.push(Packed {
                batch: open.builder.build_batch()?,
                spans: open.spans,
            });
        }
        Ok(())
    }
}

/// At most as many bytes as a record takes.
fn size(record: &Record) -> usize {
    const NUMBERS: usize = 32;
    let len = |bytes: Option<&Bytes>| bytes.map_or(0, Bytes::len);
    let headers = record.headers.iter();
    let headers = headers.map(|h| h.key.len() + len(h.value.as_ref()) + NUMBERS);
    NUMBERS + len(record.key.as_ref()) + len(record.value.as_ref()) + headers.sum::<usize>()
}
