//! The records of `__transaction_state`: what they say, and how Kafka writes it.
//!
//! ```text
//!   key type 0     TransactionLogKey   transactional id     value version 1 (0 is read, too)
//! ```
//! A tombstone deletes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use ottla_model::{NO_PRODUCER_EPOCH, TopicName, TopicPartition};
use ottla_wire::messages::transaction_log_value::PartitionsSchema;
use ottla_wire::messages::{TransactionLogKey, TransactionLogValue};
use ottla_wire::{CoordinatorKey, DecodeError, Message, Text};

use crate::effect::KeyValue;
use crate::error::Error;
use crate::state::TransactionState;
use crate::transaction::Transaction;
use crate::version::TransactionVersion;

/// The version that Kafka 4.4 writes with `transaction.version` 1 and newer.
const VALUE_VERSION: i16 = 1;

/// The longest transactional id that a key can hold: its length has 16 bits.
const TEXT_LEN_MAX: usize = i16::MAX as usize;

/// Whether a transactional id can stand in a record.
pub(crate) fn fits(transactional_id: &str) -> bool {
    transactional_id.len() <= TEXT_LEN_MAX
}

/// Writes a record as Kafka does; `None` is the id's deletion.
pub(crate) fn encode(transactional_id: &str, transaction: Option<&Transaction>) -> KeyValue {
    let key = TransactionLogKey {
        transactional_id: Text::from(transactional_id),
    };
    let value = transaction.map(encode_value).transpose();
    key.encode_key()
        .and_then(|key| Ok((key, value?)))
        .expect("ids are checked to fit when they come in, and nothing else can be too large")
}

fn encode_value(transaction: &Transaction) -> Result<Bytes, ottla_wire::EncodeError> {
    let value = TransactionLogValue {
        producer_id: transaction.producer_id,
        previous_producer_id: transaction.previous_producer_id,
        next_producer_id: transaction.next_producer_id,
        producer_epoch: transaction.producer_epoch,
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_status: transaction.state.id(),
        transaction_partitions: encode_partitions(transaction),
        transaction_last_update_timestamp_ms: transaction.last_update_ms,
        transaction_start_timestamp_ms: transaction.start_ms,
        client_transaction_version: transaction.client_version.0,
        ..TransactionLogValue::default()
    };
    value.encode_versioned(VALUE_VERSION)
}

fn encode_partitions(transaction: &Transaction) -> Option<Vec<PartitionsSchema>> {
    if transaction.state == TransactionState::Empty {
        return None;
    }
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for at in &transaction.partitions {
        by_topic
            .entry(at.topic.as_str())
            .or_default()
            .push(at.partition);
    }
    let schemas = by_topic
        .into_iter()
        .map(|(topic, partition_ids)| PartitionsSchema {
            topic: Text::from(topic),
            partition_ids,
            ..PartitionsSchema::default()
        });
    Some(schemas.collect())
}

/// Reads a record; `None` for a kind that is not known here. Nothing of the input is kept alive.
#[expect(
    clippy::type_complexity,
    reason = "an id, and what is said of it or that it is deleted"
)]
pub(crate) fn decode(
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<Option<(Arc<str>, Option<Transaction>)>, Error> {
    let key = Bytes::copy_from_slice(key);
    let what = TransactionLogKey::NAME;
    let kind = ottla_wire::record_type(&key).map_err(|e| corrupt(what, &e))?;
    if kind != TransactionLogKey::RECORD_TYPE {
        return Ok(None);
    }
    let key = TransactionLogKey::decode_key(key).map_err(|e| corrupt(what, &e))?;
    let transaction = value.map(decode_value).transpose()?;
    Ok(Some((key.transactional_id.as_str().into(), transaction)))
}

fn decode_value(value: &[u8]) -> Result<Transaction, Error> {
    let what = TransactionLogValue::NAME;
    let value: TransactionLogValue =
        match TransactionLogValue::decode_versioned(Bytes::copy_from_slice(value)) {
            Ok((_, value)) => value,
            Err(DecodeError::UnsupportedVersion { version, .. }) => {
                return Err(Error::UnknownValueVersion { what, version });
            }
            Err(error) => return Err(corrupt(what, &error)),
        };
    let state =
        TransactionState::from_record(value.transaction_status).ok_or_else(|| Error::Corrupt {
            what,
            reason: format!("no state has the number {}", value.transaction_status),
        })?;
    let mut partitions = BTreeSet::new();
    if state != TransactionState::Empty {
        for topic in value.transaction_partitions.unwrap_or_default() {
            let name = TopicName::new(&topic.topic).map_err(|e| Error::Corrupt {
                what,
                reason: e.to_string(),
            })?;
            let named = topic.partition_ids.into_iter();
            partitions.extend(named.map(|index| TopicPartition::new(name.clone(), index)));
        }
    }
    Ok(Transaction {
        producer_id: value.producer_id,
        previous_producer_id: value.previous_producer_id,
        next_producer_id: value.next_producer_id,
        producer_epoch: value.producer_epoch,
        last_producer_epoch: NO_PRODUCER_EPOCH,
        timeout_ms: value.transaction_timeout_ms,
        state,
        partitions,
        start_ms: value.transaction_start_timestamp_ms,
        last_update_ms: value.transaction_last_update_timestamp_ms,
        client_version: TransactionVersion(value.client_transaction_version),
    })
}

fn corrupt(what: &'static str, error: &DecodeError) -> Error {
    Error::Corrupt {
        what,
        reason: error.to_string(),
    }
}
