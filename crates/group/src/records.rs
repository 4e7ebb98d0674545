//! The records of `__consumer_offsets`: what they say, and how Kafka writes it.
//!
//! ```text
//!   key type 0, 1  OffsetCommitKey    group, topic, partition   value version 4, or 1 when the
//!                                                               commit brings its own retention
//!   key type 2     GroupMetadataKey   group                     value version 3
//! ```
//! A tombstone deletes. Key types 3 to 8 and 16 are those of [consumer groups](consumer::records);
//! others belong to other kinds of groups (KIP-932, 1071).

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::{PartitionIndex, TimestampMs};
use ottla_wire::messages::group_metadata_value::MemberMetadata;
use ottla_wire::messages::{
    GroupMetadataKey, GroupMetadataValue, LegacyOffsetCommitKey, OffsetCommitKey, OffsetCommitValue,
};
use ottla_wire::{CoordinatorKey, DecodeError, Message, Text};

use crate::consumer::{self, records::ConsumerRecord};
use crate::effect::KeyValue;
use crate::error::Error;
use crate::offsets::CommittedOffset;

/// The versions that Kafka 4.4 writes.
const GROUP_VALUE_VERSION: i16 = 3;
const OFFSET_VALUE_VERSION: i16 = 4;
/// The only version with an expire timestamp.
const OFFSET_VALUE_VERSION_EXPIRING: i16 = 1;

/// The longest text that a record can hold: keys and [`GROUP_VALUE_VERSION`] give the length in 16
/// bits. Requests can be longer, so they are checked with [`fits`] before anything is decided.
const TEXT_LEN_MAX: usize = i16::MAX as usize;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// The offset of one partition, or its deletion.
    Offset {
        group_id: Arc<str>,
        topic: Arc<str>,
        partition: PartitionIndex,
        value: Option<CommittedOffset>,
    },
    /// One generation of a group, or the group's deletion.
    Group {
        group_id: Arc<str>,
        value: Option<GroupValue>,
    },
    /// Something about a group of the new protocol.
    Consumer(Arc<str>, ConsumerRecord),
}

/// One generation of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupValue {
    /// Empty when none was ever set.
    pub(crate) protocol_type: Arc<str>,
    pub(crate) generation_id: i32,
    pub(crate) protocol_name: Option<Arc<str>>,
    pub(crate) leader: Option<Arc<str>>,
    pub(crate) state_timestamp_ms: Option<TimestampMs>,
    pub(crate) members: Vec<MemberValue>,
}

/// One member of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberValue {
    pub(crate) member_id: Arc<str>,
    pub(crate) group_instance_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    pub(crate) subscription: Bytes,
    pub(crate) assignment: Bytes,
}

/// Whether a text can stand in a record.
pub(crate) fn fits(text: &str) -> bool {
    text.len() <= TEXT_LEN_MAX
}

/// Writes a record as Kafka does.
pub(crate) fn encode(record: &Record) -> KeyValue {
    let written = match record {
        Record::Offset {
            group_id,
            topic,
            partition,
            value,
        } => {
            let key = OffsetCommitKey {
                group: text(group_id),
                topic: text(topic),
                partition: *partition,
            };
            let value = value.as_ref().map(encode_offset).transpose();
            key.encode_key().and_then(|key| Ok((key, value?)))
        }
        Record::Group { group_id, value } => {
            let key = GroupMetadataKey {
                group: text(group_id),
            };
            let value = value.as_ref().map(encode_group).transpose();
            key.encode_key().and_then(|key| Ok((key, value?)))
        }
        Record::Consumer(group_id, record) => consumer::records::encode(group_id, record),
    };
    written.expect("texts are checked to fit when they come in, and nothing else can be too large")
}

fn encode_offset(offset: &CommittedOffset) -> Result<Bytes, ottla_wire::EncodeError> {
    let version = match offset.expire_timestamp_ms {
        Some(_) => OFFSET_VALUE_VERSION_EXPIRING,
        None => OFFSET_VALUE_VERSION,
    };
    let value = OffsetCommitValue {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch,
        metadata: text(&offset.metadata),
        commit_timestamp: offset.commit_timestamp_ms,
        expire_timestamp: offset.expire_timestamp_ms.unwrap_or(-1),
        topic_id: offset.topic_id,
        ..OffsetCommitValue::default()
    };
    value.encode_versioned(version)
}

fn encode_group(group: &GroupValue) -> Result<Bytes, ottla_wire::EncodeError> {
    let members = group.members.iter().map(|m| MemberMetadata {
        member_id: text(&m.member_id),
        group_instance_id: m.group_instance_id.as_deref().map(text),
        client_id: text(&m.client_id),
        client_host: text(&m.client_host),
        rebalance_timeout: m.rebalance_timeout_ms,
        session_timeout: m.session_timeout_ms,
        subscription: m.subscription.clone(),
        assignment: m.assignment.clone(),
        ..MemberMetadata::default()
    });
    let value = GroupMetadataValue {
        protocol_type: text(&group.protocol_type),
        generation: group.generation_id,
        protocol: group.protocol_name.as_deref().map(text),
        leader: group.leader.as_deref().map(text),
        current_state_timestamp: group.state_timestamp_ms.unwrap_or(-1),
        members: members.collect(),
        ..GroupMetadataValue::default()
    };
    value.encode_versioned(GROUP_VALUE_VERSION)
}

/// Reads a record; `None` for a kind that is not known here. Nothing of the input is kept alive.
pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, Error> {
    let key = Bytes::copy_from_slice(key);
    let what = "a key";
    let kind = ottla_wire::record_type(&key).map_err(|e| corrupt(what, &e))?;
    let record = match kind {
        LegacyOffsetCommitKey::RECORD_TYPE | OffsetCommitKey::RECORD_TYPE => {
            let (group, topic, partition) = decode_offset_key(kind, key)?;
            Record::Offset {
                group_id: owned(OffsetCommitKey::NAME, &group)?,
                topic: owned(OffsetCommitKey::NAME, &topic)?,
                partition,
                value: value.map(decode_offset).transpose()?,
            }
        }
        GroupMetadataKey::RECORD_TYPE => {
            let what = GroupMetadataKey::NAME;
            let key = GroupMetadataKey::decode_key(key).map_err(|e| corrupt(what, &e))?;
            Record::Group {
                group_id: owned(what, &key.group)?,
                value: value.map(decode_group).transpose()?,
            }
        }
        _ => {
            let read = consumer::records::decode(kind, key, value)?;
            return Ok(read.map(|(group_id, record)| Record::Consumer(group_id, record)));
        }
    };
    Ok(Some(record))
}

/// Both kinds of offset keys say the same; very old logs have the first.
fn decode_offset_key(kind: i16, key: Bytes) -> Result<(Text, Text, PartitionIndex), Error> {
    if kind == LegacyOffsetCommitKey::RECORD_TYPE {
        let what = LegacyOffsetCommitKey::NAME;
        let key = LegacyOffsetCommitKey::decode_key(key).map_err(|e| corrupt(what, &e))?;
        Ok((key.group, key.topic, key.partition))
    } else {
        let what = OffsetCommitKey::NAME;
        let key = OffsetCommitKey::decode_key(key).map_err(|e| corrupt(what, &e))?;
        Ok((key.group, key.topic, key.partition))
    }
}

fn decode_offset(value: &[u8]) -> Result<CommittedOffset, Error> {
    let value: OffsetCommitValue = decode_value(value)?;
    Ok(CommittedOffset {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.as_str().into(),
        commit_timestamp_ms: value.commit_timestamp,
        expire_timestamp_ms: Some(value.expire_timestamp).filter(|&ms| ms != -1),
        topic_id: value.topic_id,
        log_order: 0,
    })
}

fn decode_group(value: &[u8]) -> Result<GroupValue, Error> {
    let what = GroupMetadataValue::NAME;
    let value: GroupMetadataValue = decode_value(value)?;
    if value.protocol.is_none() && !value.members.is_empty() {
        return Err(Error::Corrupt {
            what,
            reason: "it has members but no protocol".into(),
        });
    }
    let member = |m: &MemberMetadata| {
        Ok(MemberValue {
            member_id: owned(what, &m.member_id)?,
            group_instance_id: owned_option(what, m.group_instance_id.as_ref())?,
            client_id: owned(what, &m.client_id)?,
            client_host: owned(what, &m.client_host)?,
            // Version 0 has none; its members took the session timeout.
            rebalance_timeout_ms: match m.rebalance_timeout {
                -1 => m.session_timeout,
                timeout_ms => timeout_ms,
            },
            session_timeout_ms: m.session_timeout,
            subscription: Bytes::copy_from_slice(&m.subscription),
            assignment: Bytes::copy_from_slice(&m.assignment),
        })
    };
    Ok(GroupValue {
        protocol_type: owned(what, &value.protocol_type)?,
        generation_id: value.generation,
        protocol_name: owned_option(what, value.protocol.as_ref())?,
        leader: owned_option(what, value.leader.as_ref())?,
        state_timestamp_ms: Some(value.current_state_timestamp).filter(|&ms| ms != -1),
        members: value.members.iter().map(member).collect::<Result<_, _>>()?,
    })
}

pub(crate) fn decode_value<M: Message>(value: &[u8]) -> Result<M, Error> {
    match M::decode_versioned(Bytes::copy_from_slice(value)) {
        Ok((_, message)) => Ok(message),
        Err(DecodeError::UnsupportedVersion { version, .. }) => Err(Error::UnknownValueVersion {
            what: M::NAME,
            version,
        }),
        Err(error) => Err(corrupt(M::NAME, &error)),
    }
}

pub(crate) fn corrupt(what: &'static str, error: &DecodeError) -> Error {
    Error::Corrupt {
        what,
        reason: error.to_string(),
    }
}

fn text(text: &str) -> Text {
    Text::from(text)
}

/// A text with memory of its own that can be written again.
pub(crate) fn owned(what: &'static str, text: &Text) -> Result<Arc<str>, Error> {
    if fits(text) {
        return Ok(text.as_str().into());
    }
    Err(Error::Corrupt {
        what,
        reason: format!(
            "a text has {} bytes, {TEXT_LEN_MAX} are allowed",
            text.len()
        ),
    })
}

fn owned_option(what: &'static str, text: Option<&Text>) -> Result<Option<Arc<str>>, Error> {
    text.map(|text| owned(what, text)).transpose()
}

#[cfg(test)]
mod tests;
