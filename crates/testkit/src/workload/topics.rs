//! The topics, and what is in the source before anything goes wrong.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

use super::{PARTITIONS, TRANSACTORS, WorkloadOptions, config};

pub(super) const PLAIN: &str = "plain";
pub(super) const SENT: &str = "sent";
pub(super) const SOURCE: &str = "source";
pub(super) const MOVED: &str = "moved";
/// All topics, with how many partitions they have.
pub const TOPICS: [(&str, i32); 4] = [
    (PLAIN, PARTITIONS),
    (SENT, PARTITIONS),
    (SOURCE, TRANSACTORS as i32),
    (MOVED, TRANSACTORS as i32),
];
/// Once all of it is moved, transactions go on with what they send themselves.
const SOURCE_RECORDS: usize = 20_000;
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn transactors() -> i32 {
    i32::try_from(TRANSACTORS).unwrap_or(i32::MAX)
}

/// Creates all topics and waits for their leaders.
pub(super) fn create(options: &WorkloadOptions) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = config(options, &[]).create()?;
    let in_sync = options.min_in_sync.to_string();
    let topics = TOPICS.map(|(name, partitions)| {
        let replication = TopicReplication::Fixed(options.replication_factor);
        NewTopic::new(name, partitions, replication).set("min.insync.replicas", &in_sync)
    });
    let how = AdminOptions::new().operation_timeout(Some(LIMIT));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for result in runtime.block_on(admin.create_topics(&topics, &how))? {
        result.map_err(|(topic, code)| anyhow!("topic {topic} was not created: {code}"))?;
    }
    let deadline = Instant::now() + LIMIT;
    while !all_led(&admin)? {
        ensure!(
            Instant::now() < deadline,
            "topics have no leaders after {LIMIT:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn all_led(admin: &AdminClient<DefaultClientContext>) -> Result<bool> {
    for (topic, _) in TOPICS {
        let metadata = admin.inner().fetch_metadata(Some(topic), LIMIT)?;
        let led = metadata.topics().iter().all(|topic| {
            !topic.partitions().is_empty() && topic.partitions().iter().all(|p| p.leader() >= 0)
        });
        if !led {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes what transactions will move.
pub(super) fn fill_source(options: &WorkloadOptions) -> Result<()> {
    let config = config(options, &[("acks", "all"), ("enable.idempotence", "true")]);
    let producer: BaseProducer<DefaultProducerContext> = config.create()?;
    for partition in 0..transactors() {
        for number in 0..SOURCE_RECORDS {
            let value = format!("moved/{partition}/{number}");
            let mut record = BaseRecord::<(), _>::to(SOURCE)
                .partition(partition)
                .payload(&value);
            while let Err((error, back)) = producer.send(record) {
                let full = rdkafka::types::RDKafkaErrorCode::QueueFull;
                ensure!(
                    error.rdkafka_error_code() == Some(full),
                    "the source: {error}"
                );
                producer.poll(Duration::from_millis(20));
                record = back;
            }
        }
    }
    Ok(producer.flush(LIMIT)?)
}
