//! What a leader changes in a producer's batch: the header, never the records.

use bytes::Bytes;
use ottla_model::{LeaderEpoch, Offset, TimestampMs};

use crate::{Batch, BatchHeader, TimestampType};

/// What goes to disk: new header bytes, and the records' memory as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StampedBatch {
    /// The fields of `head`.
    pub header: BatchHeader,
    /// The 61 bytes of the header.
    pub head: Bytes,
    /// Everything after the header.
    pub body: Bytes,
}

impl StampedBatch {
    /// The whole batch in bytes.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// The batch in one piece of memory; this copies.
    #[must_use]
    pub fn to_batch(&self) -> Batch {
        let mut bytes = Vec::with_capacity(self.total_len());
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(&self.body);
        Batch::from_parts(self.header, bytes.into())
    }
}

/// Gives a batch its place in the log.
///
/// Offset and epoch lie before the CRC's reach. A log append time does not: it sets the timestamp
/// type and the max timestamp, and the CRC is computed anew over the header's part and the body,
/// without copying the body.
#[must_use]
pub fn stamp(
    batch: &Batch,
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    log_append_time: Option<TimestampMs>,
) -> StampedBatch {
    let body = batch.body();
    let mut header = *batch.header();
    header.base_offset = base_offset;
    header.partition_leader_epoch = leader_epoch;
    let head = match log_append_time {
        None => header.encode(),
        Some(now) => {
            header.attributes = header
                .attributes
                .with_timestamp_type(TimestampType::LogAppendTime);
            header.max_timestamp = now;
            header.seal(&body)
        }
    };
    StampedBatch {
        header,
        head: Bytes::copy_from_slice(&head),
        body,
    }
}
