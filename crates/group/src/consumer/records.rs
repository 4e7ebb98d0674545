//! The records of consumer groups, as Kafka writes them.
//!
//! ```text
//!   key type 3   ConsumerGroupMetadata                  group          epoch, hash of its topics
//!   key type 4   ConsumerGroupPartitionMetadata         group          written before Kafka 4.1
//!   key type 5   ConsumerGroupMemberMetadata            group, member  what the member says
//!   key type 6   ConsumerGroupTargetAssignmentMetadata  group          the epoch of the targets
//!   key type 7   ConsumerGroupTargetAssignmentMember    group, member  what it shall have
//!   key type 8   ConsumerGroupCurrentMemberAssignment   group, member  what it has, and its epoch
//!   key type 16  ConsumerGroupRegularExpression         group, regex   the topics that match
//! ```

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::TimestampMs;
use ottla_wire::messages::consumer_group_current_member_assignment_value::TopicPartitions;
use ottla_wire::messages::consumer_group_member_metadata_value::{
    ClassicMemberMetadata, ClassicProtocol,
};
use ottla_wire::messages::consumer_group_target_assignment_member_value::TopicPartition;
use ottla_wire::messages::*;
use ottla_wire::{CoordinatorKey, EncodeError, Message, Text};

use super::assignor::Assignment;
use super::member::{ClassicMember, Current, MemberMetadata, MemberState, Partitions};
use super::regex::ResolvedRegex;
use crate::effect::KeyValue;
use crate::error::Error;
use crate::records::{corrupt, decode_value, owned};
use crate::request::Protocol;

/// The version of all values.
const VALUE_VERSION: i16 = 0;

/// What a record of a consumer group says, or with `None` that it says so no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConsumerRecord {
    Group(Option<GroupEpoch>),
    /// The topics' partitions, which were kept here before there was a hash. Only that there is
    /// one matters: it is deleted when the group changes.
    PartitionMetadata(Option<()>),
    Member(Arc<str>, Option<MemberMetadata>),
    TargetEpoch(Option<TargetEpoch>),
    Target(Arc<str>, Option<Arc<Assignment>>),
    Current(Arc<str>, Option<Current>),
    Regex(Arc<str>, Option<ResolvedRegex>),
}

/// How often a group has changed, and the hash of its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupEpoch {
    pub(crate) epoch: i32,
    pub(crate) metadata_hash: i64,
}

/// The group epoch that the targets are for, and when they were computed; 0 when that is long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetEpoch {
    pub(crate) epoch: i32,
    pub(crate) timestamp_ms: TimestampMs,
}

/// Writes a record of a group.
pub(crate) fn encode(group_id: &str, record: &ConsumerRecord) -> Result<KeyValue, EncodeError> {
    let group_id = text(group_id);
    Ok(match record {
        ConsumerRecord::Group(value) => {
            let key = ConsumerGroupMetadataKey { group_id };
            let value = value.map(|v| ConsumerGroupMetadataValue {
                epoch: v.epoch,
                metadata_hash: v.metadata_hash,
                ..ConsumerGroupMetadataValue::default()
            });
            pair(&key, value)?
        }
        ConsumerRecord::PartitionMetadata(value) => {
            let key = ConsumerGroupPartitionMetadataKey { group_id };
            let value = value.map(|()| ConsumerGroupPartitionMetadataValue::default());
            pair(&key, value)?
        }
        ConsumerRecord::Member(member_id, value) => {
            let member_id = text(member_id);
            let key = ConsumerGroupMemberMetadataKey {
                group_id,
                member_id,
            };
            pair(&key, value.as_ref().map(member_value))?
        }
        ConsumerRecord::TargetEpoch(value) => {
            let key = ConsumerGroupTargetAssignmentMetadataKey { group_id };
            let value = value.map(|v| ConsumerGroupTargetAssignmentMetadataValue {
                assignment_epoch: v.epoch,
                assignment_timestamp: v.timestamp_ms,
                ..ConsumerGroupTargetAssignmentMetadataValue::default()
            });
            pair(&key, value)?
        }
        ConsumerRecord::Target(member_id, value) => {
            let member_id = text(member_id);
            let key = ConsumerGroupTargetAssignmentMemberKey {
                group_id,
                member_id,
            };
            pair(&key, value.as_deref().map(target_value))?
        }
        ConsumerRecord::Current(member_id, value) => {
            let member_id = text(member_id);
            let key = ConsumerGroupCurrentMemberAssignmentKey {
                group_id,
                member_id,
            };
            pair(&key, value.as_ref().map(current_value))?
        }
        ConsumerRecord::Regex(expression, value) => {
            let regular_expression = text(expression);
            let key = ConsumerGroupRegularExpressionKey {
                group_id,
                regular_expression,
            };
            let value = value.as_ref().map(|v| ConsumerGroupRegularExpressionValue {
                topics: v.topics.iter().map(|t| text(t)).collect(),
                version: v.version,
                timestamp: v.timestamp_ms,
                ..ConsumerGroupRegularExpressionValue::default()
            });
            pair(&key, value)?
        }
    })
}

fn pair<V: Message>(key: &impl CoordinatorKey, value: Option<V>) -> Result<KeyValue, EncodeError> {
    let value = value.map(|v| v.encode_versioned(VALUE_VERSION));
    Ok((key.encode_key()?, value.transpose()?))
}

fn member_value(member: &MemberMetadata) -> ConsumerGroupMemberMetadataValue {
    let classic = |c: &ClassicMember| ClassicMemberMetadata {
        session_timeout_ms: c.session_timeout_ms,
        supported_protocols: c.protocols.iter().map(classic_protocol).collect(),
        ..ClassicMemberMetadata::default()
    };
    ConsumerGroupMemberMetadataValue {
        instance_id: member.instance_id.as_deref().map(text),
        rack_id: member.rack_id.as_deref().map(text),
        client_id: text(&member.client_id),
        client_host: text(&member.client_host),
        subscribed_topic_names: member.topics.iter().map(|t| text(t)).collect(),
        subscribed_topic_regex: member.regex.as_deref().map(text),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: member.assignor.as_deref().map(text),
        classic_member_metadata: member.classic.as_ref().map(classic),
        ..ConsumerGroupMemberMetadataValue::default()
    }
}

fn classic_protocol(protocol: &Protocol) -> ClassicProtocol {
    ClassicProtocol {
        name: text(&protocol.name),
        metadata: protocol.metadata.clone(),
        ..ClassicProtocol::default()
    }
}

fn target_value(target: &Assignment) -> ConsumerGroupTargetAssignmentMemberValue {
    let topics = target.iter().map(|(&topic_id, partitions)| TopicPartition {
        topic_id,
        partitions: partitions.iter().copied().collect(),
        ..TopicPartition::default()
    });
    ConsumerGroupTargetAssignmentMemberValue {
        topic_partitions: topics.collect(),
        ..ConsumerGroupTargetAssignmentMemberValue::default()
    }
}

fn current_value(current: &Current) -> ConsumerGroupCurrentMemberAssignmentValue {
    ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: current.epoch,
        previous_member_epoch: current.previous_epoch,
        state: current.state.number(),
        assigned_partitions: topic_partitions(&current.assigned),
        partitions_pending_revocation: topic_partitions(&current.revoking),
        ..ConsumerGroupCurrentMemberAssignmentValue::default()
    }
}

fn topic_partitions(partitions: &Partitions) -> Vec<TopicPartitions> {
    let topics = partitions
        .iter()
        .map(|(&topic_id, epochs)| TopicPartitions {
            topic_id,
            partitions: epochs.keys().copied().collect(),
            assignment_epochs: Some(epochs.values().copied().collect()),
            ..TopicPartitions::default()
        });
    topics.collect()
}

/// Reads a record; `None` for a kind that is not one of a consumer group.
pub(crate) fn decode(
    kind: i16,
    key: Bytes,
    value: Option<&[u8]>,
) -> Result<Option<(Arc<str>, ConsumerRecord)>, Error> {
    let read = match kind {
        ConsumerGroupMetadataKey::RECORD_TYPE => {
            let key: ConsumerGroupMetadataKey = decode_key(key)?;
            let value = value
                .map(decode_value::<ConsumerGroupMetadataValue>)
                .transpose()?;
            let value = value.map(|v| GroupEpoch {
                epoch: v.epoch,
                metadata_hash: v.metadata_hash,
            });
            (key.group_id, ConsumerRecord::Group(value))
        }
        ConsumerGroupPartitionMetadataKey::RECORD_TYPE => {
            let key: ConsumerGroupPartitionMetadataKey = decode_key(key)?;
            (
                key.group_id,
                ConsumerRecord::PartitionMetadata(value.map(|_| ())),
            )
        }
        ConsumerGroupMemberMetadataKey::RECORD_TYPE => {
            let key: ConsumerGroupMemberMetadataKey = decode_key(key)?;
            let member_id = owned(ConsumerGroupMemberMetadataKey::NAME, &key.member_id)?;
            let value = value.map(read_member).transpose()?;
            (key.group_id, ConsumerRecord::Member(member_id, value))
        }
        ConsumerGroupTargetAssignmentMetadataKey::RECORD_TYPE => {
            let key: ConsumerGroupTargetAssignmentMetadataKey = decode_key(key)?;
            let decode = decode_value::<ConsumerGroupTargetAssignmentMetadataValue>;
            let value = value.map(decode).transpose()?.map(|v| TargetEpoch {
                epoch: v.assignment_epoch,
                timestamp_ms: v.assignment_timestamp,
            });
            (key.group_id, ConsumerRecord::TargetEpoch(value))
        }
        ConsumerGroupTargetAssignmentMemberKey::RECORD_TYPE => {
            let key: ConsumerGroupTargetAssignmentMemberKey = decode_key(key)?;
            let member_id = owned(ConsumerGroupTargetAssignmentMemberKey::NAME, &key.member_id)?;
            let value = value.map(read_target).transpose()?.map(Arc::new);
            (key.group_id, ConsumerRecord::Target(member_id, value))
        }
        ConsumerGroupCurrentMemberAssignmentKey::RECORD_TYPE => {
            let key: ConsumerGroupCurrentMemberAssignmentKey = decode_key(key)?;
            let member_id = owned(
                ConsumerGroupCurrentMemberAssignmentKey::NAME,
                &key.member_id,
            )?;
            let value = value.map(read_current).transpose()?;
            (key.group_id, ConsumerRecord::Current(member_id, value))
        }
        ConsumerGroupRegularExpressionKey::RECORD_TYPE => {
            let key: ConsumerGroupRegularExpressionKey = decode_key(key)?;
            let what = ConsumerGroupRegularExpressionKey::NAME;
            let expression = owned(what, &key.regular_expression)?;
            let value = value.map(read_regex).transpose()?;
            (key.group_id, ConsumerRecord::Regex(expression, value))
        }
        _ => return Ok(None),
    };
    let group_id = owned("the key of a consumer group", &read.0)?;
    Ok(Some((group_id, read.1)))
}

fn decode_key<K: CoordinatorKey>(key: Bytes) -> Result<K, Error> {
    K::decode_key(key).map_err(|e| corrupt(K::NAME, &e))
}

fn read_member(value: &[u8]) -> Result<MemberMetadata, Error> {
    let what = ConsumerGroupMemberMetadataValue::NAME;
    let value: ConsumerGroupMemberMetadataValue = decode_value(value)?;
    let some = |t: &Option<Text>| t.as_ref().map(|t| owned(what, t)).transpose();
    let classic = |c: &ClassicMemberMetadata| {
        let protocols = c.supported_protocols.iter().map(|p| {
            Ok(Protocol {
                name: owned(what, &p.name)?,
                metadata: Bytes::copy_from_slice(&p.metadata),
            })
        });
        Ok(ClassicMember {
            session_timeout_ms: c.session_timeout_ms,
            protocols: protocols.collect::<Result<_, Error>>()?,
        })
    };
    let topics = value.subscribed_topic_names.iter().map(|t| owned(what, t));
    Ok(MemberMetadata {
        instance_id: some(&value.instance_id)?,
        rack_id: some(&value.rack_id)?,
        client_id: owned(what, &value.client_id)?,
        client_host: owned(what, &value.client_host)?,
        topics: topics.collect::<Result<_, _>>()?,
        regex: some(&value.subscribed_topic_regex)?.filter(|r| !r.is_empty()),
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        assignor: some(&value.server_assignor)?,
        classic: value
            .classic_member_metadata
            .as_ref()
            .map(classic)
            .transpose()?,
    })
}

fn read_target(value: &[u8]) -> Result<Assignment, Error> {
    let value: ConsumerGroupTargetAssignmentMemberValue = decode_value(value)?;
    let topics = value.topic_partitions.into_iter();
    Ok(topics
        .map(|t| (t.topic_id, t.partitions.into_iter().collect()))
        .collect())
}

fn read_current(value: &[u8]) -> Result<Current, Error> {
    let value: ConsumerGroupCurrentMemberAssignmentValue = decode_value(value)?;
    let epoch = value.member_epoch;
    Ok(Current {
        epoch,
        previous_epoch: value.previous_member_epoch,
        state: MemberState::of_number(value.state),
        assigned: read_partitions(epoch, value.assigned_partitions)?,
        revoking: read_partitions(epoch, value.partitions_pending_revocation)?,
    })
}

/// Records of older releases have no epochs: the member's own stands for them.
fn read_partitions(epoch: i32, topics: Vec<TopicPartitions>) -> Result<Partitions, Error> {
    let mut partitions = Partitions::new();
    for topic in topics {
        let epochs = match topic.assignment_epochs {
            Some(epochs) if epochs.len() == topic.partitions.len() => epochs,
            Some(epochs) => {
                return Err(Error::Corrupt {
                    what: ConsumerGroupCurrentMemberAssignmentValue::NAME,
                    reason: format!(
                        "{} epochs for {} partitions",
                        epochs.len(),
                        topic.partitions.len()
                    ),
                });
            }
            None => vec![epoch; topic.partitions.len()],
        };
        let of_topic = topic.partitions.into_iter().zip(epochs).collect();
        partitions.insert(topic.topic_id, of_topic);
    }
    Ok(partitions)
}

fn read_regex(value: &[u8]) -> Result<ResolvedRegex, Error> {
    let what = ConsumerGroupRegularExpressionValue::NAME;
    let value: ConsumerGroupRegularExpressionValue = decode_value(value)?;
    let topics = value.topics.iter().map(|t| owned(what, t));
    Ok(ResolvedRegex {
        topics: topics.collect::<Result<_, _>>()?,
        version: value.version,
        timestamp_ms: value.timestamp,
    })
}

fn text(text: &str) -> Text {
    Text::from(text)
}
