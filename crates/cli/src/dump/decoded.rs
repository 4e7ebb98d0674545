//! Records that brokers write for themselves, as JSON.

use std::fmt::Debug;
use std::path::Path;

use bytes::Bytes;
use ottla_wire::messages::{
    ConsumerProtocolAssignment, GroupMetadataKey, GroupMetadataValue, LegacyOffsetCommitKey,
    OffsetCommitKey, OffsetCommitValue, TransactionLogKey, TransactionLogValue,
};
use ottla_wire::{CoordinatorKey, Message, MetadataRecord, messages, record_type};
use serde_json::{Value, json};

/// What the records of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Contents {
    /// Those of clients, shown as they are
    Plain,
    /// Those of __consumer_offsets
    Offsets,
    /// Those of __transaction_state
    Transactions,
    /// Those of an Ottla node's metadata log
    Metadata,
    /// Those of control batches
    #[value(skip)]
    Control,
}

impl Contents {
    /// What the name of the file's folder tells.
    pub(super) fn of_folder(path: &Path) -> Self {
        let folder = path
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str());
        match folder
            .and_then(|name| name.rsplit_once('-'))
            .map(|(topic, _)| topic)
        {
            Some("__consumer_offsets") => Contents::Offsets,
            Some("__transaction_state") => Contents::Transactions,
            Some("__cluster_metadata") => Contents::Metadata,
            _ => Contents::Plain,
        }
    }
}

/// What a record says; `None` for those of clients.
pub(super) fn decode(
    contents: Contents,
    key: Option<&Bytes>,
    value: Option<&Bytes>,
) -> Option<Value> {
    let decoded = match contents {
        Contents::Plain | Contents::Control => return None,
        Contents::Metadata => metadata(value),
        Contents::Offsets | Contents::Transactions => {
            let Some(key) = key else {
                return Some(json!({ "undecodable": "it has no key" }));
            };
            match contents {
                Contents::Transactions => transaction(key, value),
                _ => group(key, value),
            }
        }
    };
    Some(decoded.unwrap_or_else(|reason| json!({ "undecodable": reason })))
}

fn metadata(value: Option<&Bytes>) -> Result<Value, String> {
    let value = value.ok_or("it has no value")?;
    let record = MetadataRecord::decode_framed(value.clone()).map_err(|e| e.to_string())?;
    Ok(json!({ "type": "metadata", "value": debug(&record) }))
}

fn transaction(key: &Bytes, value: Option<&Bytes>) -> Result<Value, String> {
    let key = TransactionLogKey::decode_key(key.clone()).map_err(|e| e.to_string())?;
    let value = match value {
        None => Value::Null,
        Some(bytes) => {
            let (version, v) =
                TransactionLogValue::decode_versioned(bytes.clone()).map_err(|e| e.to_string())?;
            let partitions = v.transaction_partitions.unwrap_or_default().into_iter();
            let partitions: serde_json::Map<String, Value> = partitions
                .map(|p| (p.topic.to_string(), json!(p.partition_ids)))
                .collect();
            json!({
                "version": version,
                "state": transaction_state(v.transaction_status),
                "producer_id": v.producer_id,
                "producer_epoch": v.producer_epoch,
                "previous_producer_id": v.previous_producer_id,
                "next_producer_id": v.next_producer_id,
                "timeout_ms": v.transaction_timeout_ms,
                "start_ms": v.transaction_start_timestamp_ms,
                "last_update_ms": v.transaction_last_update_timestamp_ms,
                "client_transaction_version": v.client_transaction_version,
                "partitions": partitions,
            })
        }
    };
    Ok(json!({ "type": "transaction", "transactional_id": &*key.transactional_id, "value": value }))
}

/// Kafka's numbers of transaction states.
fn transaction_state(status: i8) -> Value {
    let names = [
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "PrepareAbort",
        "CompleteCommit",
        "CompleteAbort",
        "Dead",
        "PrepareEpochFence",
    ];
    let name = usize::try_from(status).ok().and_then(|at| names.get(at));
    name.map_or_else(|| json!(status), |name| json!(name))
}

fn group(key: &Bytes, value: Option<&Bytes>) -> Result<Value, String> {
    let kind = record_type(key).map_err(|e| e.to_string())?;
    match kind {
        LegacyOffsetCommitKey::RECORD_TYPE => {
            let key = LegacyOffsetCommitKey::decode_key(key.clone()).map_err(|e| e.to_string())?;
            offset([&key.group, &key.topic], key.partition, value)
        }
        OffsetCommitKey::RECORD_TYPE => {
            let key = OffsetCommitKey::decode_key(key.clone()).map_err(|e| e.to_string())?;
            offset([&key.group, &key.topic], key.partition, value)
        }
        GroupMetadataKey::RECORD_TYPE => {
            let key = GroupMetadataKey::decode_key(key.clone()).map_err(|e| e.to_string())?;
            classic_group(&key.group, value)
        }
        other => any(other, key, value),
    }
}

fn offset(
    [group, topic]: [&str; 2],
    partition: i32,
    value: Option<&Bytes>,
) -> Result<Value, String> {
    let value = match value {
        None => Value::Null,
        Some(bytes) => {
            let decoded = OffsetCommitValue::decode_versioned(bytes.clone());
            let (version, v) = decoded.map_err(|e| e.to_string())?;
            json!({
                "version": version,
                "offset": v.offset,
                "leader_epoch": v.leader_epoch,
                "metadata": &*v.metadata,
                "commit_ms": v.commit_timestamp,
                "expire_ms": v.expire_timestamp,
                "topic_id": (!v.topic_id.is_zero()).then(|| v.topic_id.to_string()),
            })
        }
    };
    Ok(json!({
        "type": "offset", "group": group, "topic": topic, "partition": partition, "value": value,
    }))
}

fn classic_group(group: &str, value: Option<&Bytes>) -> Result<Value, String> {
    let value = match value {
        None => Value::Null,
        Some(bytes) => {
            let decoded = GroupMetadataValue::decode_versioned(bytes.clone());
            let (version, v) = decoded.map_err(|e| e.to_string())?;
            let members: Vec<Value> = v.members.iter().map(member).collect();
            json!({
                "version": version,
                "protocol_type": &*v.protocol_type,
                "generation": v.generation,
                "protocol": v.protocol.as_deref(),
                "leader": v.leader.as_deref(),
                "state_since_ms": v.current_state_timestamp,
                "members": members,
            })
        }
    };
    Ok(json!({ "type": "group", "group": group, "value": value }))
}

fn member(member: &messages::group_metadata_value::MemberMetadata) -> Value {
    let assigned = ConsumerProtocolAssignment::decode_versioned_or_newer(member.assignment.clone());
    let assigned = assigned.ok().map(|(_, assignment)| {
        let topics = assignment.assigned_partitions.into_iter();
        let topics = topics.map(|t| (t.topic.to_string(), json!(t.partitions)));
        topics.collect::<serde_json::Map<String, Value>>()
    });
    json!({
        "member_id": &*member.member_id,
        "instance_id": member.group_instance_id.as_deref(),
        "client_id": &*member.client_id,
        "host": &*member.client_host,
        "session_timeout_ms": member.session_timeout,
        "rebalance_timeout_ms": member.rebalance_timeout,
        "assignment": assigned,
    })
}

/// A record of the newer groups: its fields as text.
fn any(kind: i16, key: &Bytes, value: Option<&Bytes>) -> Result<Value, String> {
    macro_rules! try_each {
        ($($key:ident $value:ident,)*) => {
            match kind {
                $(messages::$key::RECORD_TYPE => {
                    let key = messages::$key::decode_key(key.clone()).map_err(|e| e.to_string())?;
                    let value = value.map(|bytes| {
                        let decoded = messages::$value::decode_versioned(bytes.clone());
                        decoded.map(|(_, value)| debug(&value)).map_err(|e| e.to_string())
                    });
                    let name = messages::$key::NAME.trim_end_matches("Key");
                    Ok(json!({ "type": name, "key": debug(&key), "value": value.transpose()? }))
                })*
                other => Err(format!("records of type {other} are newer than this program")),
            }
        };
    }
    try_each!(
        ConsumerGroupMetadataKey ConsumerGroupMetadataValue,
        ConsumerGroupPartitionMetadataKey ConsumerGroupPartitionMetadataValue,
        ConsumerGroupMemberMetadataKey ConsumerGroupMemberMetadataValue,
        ConsumerGroupTargetAssignmentMetadataKey ConsumerGroupTargetAssignmentMetadataValue,
        ConsumerGroupTargetAssignmentMemberKey ConsumerGroupTargetAssignmentMemberValue,
        ConsumerGroupCurrentMemberAssignmentKey ConsumerGroupCurrentMemberAssignmentValue,
        ConsumerGroupRegularExpressionKey ConsumerGroupRegularExpressionValue,
        ShareGroupMetadataKey ShareGroupMetadataValue,
        ShareGroupMemberMetadataKey ShareGroupMemberMetadataValue,
        ShareGroupTargetAssignmentMetadataKey ShareGroupTargetAssignmentMetadataValue,
        ShareGroupTargetAssignmentMemberKey ShareGroupTargetAssignmentMemberValue,
        ShareGroupCurrentMemberAssignmentKey ShareGroupCurrentMemberAssignmentValue,
        ShareGroupStatePartitionMetadataKey ShareGroupStatePartitionMetadataValue,
        StreamsGroupMetadataKey StreamsGroupMetadataValue,
        StreamsGroupMemberMetadataKey StreamsGroupMemberMetadataValue,
        StreamsGroupTargetAssignmentMetadataKey StreamsGroupTargetAssignmentMetadataValue,
        StreamsGroupTargetAssignmentMemberKey StreamsGroupTargetAssignmentMemberValue,
        StreamsGroupCurrentMemberAssignmentKey StreamsGroupCurrentMemberAssignmentValue,
        StreamsGroupTopologyKey StreamsGroupTopologyValue,
    )
}

/// The fields as Rust prints them, without the room for unknown ones.
fn debug(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.replace(", unknown_tags: UnknownTags(None)", "")
        .replace("unknown_tags: UnknownTags(None)", "")
}
