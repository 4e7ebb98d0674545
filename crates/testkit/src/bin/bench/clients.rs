//! librdkafka as a client that keeps nothing of what it sends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ottla_testkit::scenario::Scenario;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const LIMIT: Duration = Duration::from_secs(900);
const POLL: Duration = Duration::from_millis(100);

/// Counts acknowledgements.
#[derive(Default)]
pub(crate) struct Counting {
    acknowledged: AtomicU64,
    refused: Mutex<Option<KafkaError>>,
}

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                refused.get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// Produces `records` of `record_bytes`, over the partitions in turn, and waits for all.
pub(crate) fn produce(
    bootstrap: &str,
    topic: &str,
    partitions: i32,
    records: u64,
    record_bytes: usize,
) -> Result<()> {
    let properties = [
        ("acks", "all"),
        ("linger.ms", "5"),
        ("batch.size", "1000000"),
        ("queue.buffering.max.kbytes", "131072"),
    ];
    let config = Scenario::new(bootstrap).config(&properties);
    let producer: BaseProducer<Counting> = config.create_with_context(Counting::default())?;
    let value = noise(record_bytes);
    for partition in (0..partitions).cycle().zip(0..records).map(|(p, _)| p) {
        let mut record: BaseRecord<'_, (), [u8]> =
            BaseRecord::to(topic).partition(partition).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            ensure!(full, "a record cannot be queued: {error}");
            producer.poll(POLL);
            record = back;
        }
    }
    producer.flush(LIMIT)?;
    let context = producer.context();
    let refused = context
        .refused
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = &*refused {
        anyhow::bail!("a record was refused: {error}");
    }
    let acknowledged = context.acknowledged.load(Ordering::Relaxed);
    ensure!(
        acknowledged == records,
        "{acknowledged} of {records} records are acknowledged"
    );
    Ok(())
}

/// Reads `records` records from the start of all partitions.
pub(crate) fn consume(bootstrap: &str, topic: &str, partitions: i32, records: u64) -> Result<()> {
    let config = Scenario::new(bootstrap).config(&[
        ("group.id", "unused"),
        ("enable.auto.commit", "false"),
        ("queued.max.messages.kbytes", "131072"),
    ]);
    let consumer: BaseConsumer = config.create()?;
    let mut at = TopicPartitionList::new();
    for partition in 0..partitions {
        at.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&at)?;
    let (mut read, began) = (0, Instant::now());
    while read < records {
        ensure!(began.elapsed() < LIMIT, "{read} of {records} records read");
        if let Some(message) = consumer.poll(POLL) {
            ensure!(message?.payload().is_some(), "a record has no value");
            read += 1;
        }
    }
    Ok(())
}

/// A value that does not compress, the same in each run.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut value = Vec::with_capacity(len + 8);
    while value.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value.extend_from_slice(&state.to_le_bytes());
    }
    value.truncate(len);
    value
}
