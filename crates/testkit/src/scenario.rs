//! librdkafka as a test's client: produce, consume, groups, topics.

mod acknowledgements;
mod member;

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

pub use acknowledgements::{Acknowledgements, Outcome};
pub use member::Member;

const DELIVERY_LIMIT: Duration = Duration::from_secs(60);
const READ_LIMIT: Duration = Duration::from_secs(60);
const ADMIN_LIMIT: Duration = Duration::from_secs(30);
/// Short: whoever asks for a leader has something else to do when there is none.
const METADATA_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// A record as a producer gives it, or as a consumer gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Null when absent.
    pub key: Option<Vec<u8>>,
    /// Null when absent: a tombstone.
    pub value: Option<Vec<u8>>,
    /// In order; names may repeat, values may be null.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since the epoch; the client's clock when absent.
    pub timestamp_ms: Option<i64>,
    /// The partition to produce to, or that it was read from.
    pub partition: i32,
}

impl Record {
    /// A record with nothing but a value, for partition 0.
    pub fn of(value: impl Into<Vec<u8>>) -> Record {
        Record {
            value: Some(value.into()),
            ..Record::default()
        }
    }

    /// The value as text; "null" for a tombstone.
    pub fn text(&self) -> String {
        self.value
            .as_deref()
            .map_or("null".into(), |v| String::from_utf8_lossy(v).into_owned())
    }
}

/// Clients of one broker.
#[derive(Clone, Debug)]
pub struct Scenario {
    bootstrap: String,
}

impl Scenario {
    /// Clients of the broker at `HOST:PORT`.
    pub fn new(bootstrap: impl Into<String>) -> Scenario {
        Scenario {
            bootstrap: bootstrap.into(),
        }
    }

    /// A client configuration with these properties.
    pub fn config(&self, properties: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        for (name, value) in properties {
            config.set(*name, *value);
        }
        config
    }

    /// Creates a topic with one replica and waits until its partitions have a leader. A process id
    /// is added to the name, so that runs against one broker do not meet; the name is returned.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<String> {
        let name = format!("{name}-{}", std::process::id());
        let admin: AdminClient<DefaultClientContext> = self.config(&[]).create()?;
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(ADMIN_LIMIT));
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        for result in runtime.block_on(admin.create_topics([&topic], &options))? {
            result.map_err(|(topic, code)| anyhow!("topic {topic} was not created: {code}"))?;
        }
        let deadline = Instant::now() + ADMIN_LIMIT;
        loop {
            let metadata = admin.inner().fetch_metadata(Some(&name), ADMIN_LIMIT)?;
            let led = metadata.topics().first().is_some_and(|topic| {
                topic.partitions().len() == usize::try_from(partitions).unwrap_or(0)
                    && topic.partitions().iter().all(|p| p.leader() >= 0)
            });
            if led {
                return Ok(name);
            }
            ensure!(Instant::now() < deadline, "topic {name} has no leaders");
            std::thread::sleep(POLL);
        }
    }

    /// The node that leads a partition, if one does.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<Option<i32>> {
        let consumer: BaseConsumer = self.config(&[("socket.timeout.ms", "3000")]).create()?;
        let metadata = consumer.fetch_metadata(Some(topic), METADATA_LIMIT)?;
        let mut partitions = metadata.topics().iter().flat_map(|t| t.partitions());
        let found = partitions.find(|p| p.id() == partition);
        Ok(found.map(|p| p.leader()).filter(|leader| *leader >= 0))
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.config(&[]).create()?;
        let options = AdminOptions::new().operation_timeout(Some(ADMIN_LIMIT));
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        for result in runtime.block_on(admin.delete_topics(&[name], &options))? {
            result.map_err(|(topic, code)| anyhow!("topic {topic} was not deleted: {code}"))?;
        }
        Ok(())
    }

    /// A producer that remembers the outcome of each record by its number.
    pub fn producer(&self, properties: &[(&str, &str)]) -> Result<BaseProducer<Acknowledgements>> {
        Ok(self
            .config(properties)
            .create_with_context(Acknowledgements::default())?)
    }

    /// Produces all records in order and waits for the acknowledgements; their offsets are
    /// returned. The first refused record is an error.
    pub fn produce(
        &self,
        topic: &str,
        records: &[Record],
        properties: &[(&str, &str)],
    ) -> Result<Vec<i64>> {
        let producer = self.producer(properties)?;
        for (number, record) in records.iter().enumerate() {
            send(&producer, topic, number, record)?;
        }
        producer.flush(DELIVERY_LIMIT)?;
        let outcomes = producer.context().outcomes();
        (0..records.len())
            .map(|number| match outcomes.get(&number) {
                Some(Outcome::Acknowledged { offset, .. }) => Ok(*offset),
                Some(Outcome::Refused(error)) => Err(error.clone().into()),
                None => Err(anyhow!(
                    "record {number} was neither acknowledged nor refused"
                )),
            })
            .collect()
    }

    /// Reads `count` records of one partition from `start` on, with their offsets.
    pub fn consume(
        &self,
        topic: &str,
        partition: i32,
        start: i64,
        count: usize,
    ) -> Result<Vec<(i64, Record)>> {
        let consumer: BaseConsumer = self.reader().create()?;
        let mut at = TopicPartitionList::new();
        at.add_partition_offset(topic, partition, Offset::Offset(start))?;
        consumer.assign(&at)?;
        let mut records = Vec::with_capacity(count);
        let deadline = Instant::now() + READ_LIMIT;
        while records.len() < count {
            let read = records.len();
            ensure!(
                Instant::now() < deadline,
                "{read} of {count} records within {READ_LIMIT:?}"
            );
            match consumer.poll(POLL) {
                Some(Ok(message)) => records.push((message.offset(), to_record(&message))),
                Some(Err(error)) if passes_by(&error) => {}
                Some(Err(error)) => return Err(error.into()),
                None => {}
            }
        }
        Ok(records)
    }

    /// The first offset of a partition and the offset behind its last record.
    pub fn bounds(&self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        let consumer: BaseConsumer = self.reader().create()?;
        Ok(consumer.fetch_watermarks(topic, partition, ADMIN_LIMIT)?)
    }

    fn reader(&self) -> ClientConfig {
        self.config(&[
            ("group.id", "unused"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("check.crcs", "true"),
        ])
    }
}

/// Queues a record; waits while the producer's queue is full.
pub fn send(
    producer: &BaseProducer<Acknowledgements>,
    topic: &str,
    number: usize,
    record: &Record,
) -> Result<()> {
    let headers = record
        .headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: value.as_ref(),
            })
        });
    let mut queued: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(topic, number)
        .partition(record.partition)
        .headers(headers);
    queued.key = record.key.as_deref();
    queued.payload = record.value.as_deref();
    queued.timestamp = record.timestamp_ms;
    loop {
        match producer.send(queued) {
            Ok(()) => {
                producer.poll(Duration::ZERO);
                return Ok(());
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(POLL);
                queued = back;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// Errors that librdkafka reports and gets over by itself, such as a broker that restarts.
fn passes_by(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
        )
    )
}

fn to_record(message: &impl Message) -> Record {
    let headers = message.headers().map(|headers| {
        headers
            .iter()
            .map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)))
            .collect()
    });
    Record {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
        timestamp_ms: message.timestamp().to_millis(),
        partition: message.partition(),
    }
}
