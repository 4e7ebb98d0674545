//! Control batches: one record each, written by brokers for brokers and transactional consumers.
//!
//! ```text
//! key:   version i16 (0) | type i16
//! value: version i16 (0) | coordinator epoch i32        for the end of a transaction
//! ```

use bytes::Bytes;
use ottla_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use crate::record::{Frame, walk};
use crate::{Batch, BatchBuilder, BatchOptions, Compression, DecompressLimit, Error};

/// The version of keys and of end markers that Kafka 4.4 writes; later ones only add fields.
const VERSION: i16 = 0;

/// What a control record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlType {
    /// A transaction was aborted (KIP-98).
    Abort,
    /// A transaction was committed (KIP-98).
    Commit,
    /// A KRaft leader began its epoch (KIP-595).
    LeaderChange,
    /// The first record of a KRaft snapshot (KIP-630).
    SnapshotHeader,
    /// The last record of a KRaft snapshot (KIP-630).
    SnapshotFooter,
    /// The version of the KRaft protocol (KIP-853).
    KraftVersion,
    /// The set of KRaft voters (KIP-853).
    KraftVoters,
    /// Something newer, which readers skip.
    Unknown(i16),
}

impl ControlType {
    /// The number in the key.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            ControlType::Abort => 0,
            ControlType::Commit => 1,
            ControlType::LeaderChange => 2,
            ControlType::SnapshotHeader => 3,
            ControlType::SnapshotFooter => 4,
            ControlType::KraftVersion => 5,
            ControlType::KraftVoters => 6,
            ControlType::Unknown(id) => id,
        }
    }

    /// The type with this number.
    #[must_use]
    pub fn from_id(id: i16) -> Self {
        match id {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            2 => ControlType::LeaderChange,
            3 => ControlType::SnapshotHeader,
            4 => ControlType::SnapshotFooter,
            5 => ControlType::KraftVersion,
            6 => ControlType::KraftVoters,
            id => ControlType::Unknown(id),
        }
    }

    /// Reads the key of a control record.
    pub fn parse_key(key: &[u8]) -> Result<Self, Error> {
        let bytes = version_prefixed(key, "the key is shorter than version and type")?;
        let id = bytes.first_chunk().ok_or(Error::Control {
            reason: "the key is shorter than version and type",
        })?;
        Ok(ControlType::from_id(i16::from_be_bytes(*id)))
    }

    /// The key of a control record.
    #[must_use]
    pub fn key(self) -> [u8; 4] {
        let [a, b] = VERSION.to_be_bytes();
        let [c, d] = self.id().to_be_bytes();
        [a, b, c, d]
    }
}

/// The end of a transaction, as it stands in a partition (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// Committed, or aborted.
    pub committed: bool,
    /// The epoch of the transaction coordinator that decided; older coordinators are fenced.
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    /// Reads the value of a control record of type commit or abort.
    pub fn parse(control_type: ControlType, value: &[u8]) -> Result<Self, Error> {
        let committed = match control_type {
            ControlType::Commit => true,
            ControlType::Abort => false,
            _ => {
                return Err(Error::Control {
                    reason: "the type is neither commit nor abort",
                });
            }
        };
        let reason = "the value is shorter than version and coordinator epoch";
        let bytes = version_prefixed(value, reason)?;
        let epoch = bytes.first_chunk().ok_or(Error::Control { reason })?;
        Ok(EndTxnMarker {
            committed,
            coordinator_epoch: i32::from_be_bytes(*epoch),
        })
    }

    /// The type and the value of the control record.
    #[must_use]
    pub fn encode(self) -> (ControlType, [u8; 6]) {
        let [a, b] = VERSION.to_be_bytes();
        let [c, d, e, f] = self.coordinator_epoch.to_be_bytes();
        let control_type = if self.committed {
            ControlType::Commit
        } else {
            ControlType::Abort
        };
        (control_type, [a, b, c, d, e, f])
    }
}

/// Builds a control batch of one record. `options.control` is set, and nothing is compressed.
pub fn control_batch(
    options: BatchOptions,
    timestamp: TimestampMs,
    control_type: ControlType,
    value: &[u8],
) -> Result<Batch, Error> {
    let mut builder = BatchBuilder::new(BatchOptions {
        control: true,
        compression: Compression::None,
        ..options
    });
    builder.append(timestamp, Some(&control_type.key()), Some(value), &[])?;
    builder.build_batch()
}

/// Builds the marker that ends a producer's transaction in one partition. Markers have no sequence.
pub fn end_txn_marker(
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    timestamp: TimestampMs,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    marker: EndTxnMarker,
) -> Result<Batch, Error> {
    let (control_type, value) = marker.encode();
    let options = BatchOptions {
        base_offset,
        leader_epoch,
        producer_id,
        producer_epoch,
        transactional: true,
        ..BatchOptions::default()
    };
    control_batch(options, timestamp, control_type, &value)
}

impl Batch {
    /// The type and the value of a control batch's record. An error for other batches, and for a
    /// control batch that compaction has emptied.
    pub fn control_record(&self, limit: DecompressLimit) -> Result<(ControlType, Bytes), Error> {
        let control = |reason| Error::Control { reason };
        if !self.header().attributes.is_control() {
            return Err(control("the batch holds no control records"));
        }
        if self.header().record_count != 1 {
            return Err(control("the batch does not hold exactly one record"));
        }
        let bytes = self.decompressed(limit)?;
        let mut found: Option<Frame> = None;
        walk(self.header(), &bytes, |_, frame| {
            found = Some(frame.clone());
            Ok(())
        })?;
        let frame = found.ok_or(control("the record is missing"))?;
        let key = frame.key.ok_or(control("the record has no key"))?;
        let control_type = ControlType::parse_key(bytes.get(key).unwrap_or_default())?;
        let value = frame.value.unwrap_or(0..0);
        Ok((control_type, bytes.slice(value)))
    }
}

/// Skips a version, which must not be negative; newer ones begin like version 0.
fn version_prefixed<'a>(bytes: &'a [u8], reason: &'static str) -> Result<&'a [u8], Error> {
    let (version, rest) = bytes
        .split_first_chunk::<2>()
        .ok_or(Error::Control { reason })?;
    if i16::from_be_bytes(*version) < 0 {
        return Err(Error::Control {
            reason: "the version is negative",
        });
    }
    Ok(rest)
}
