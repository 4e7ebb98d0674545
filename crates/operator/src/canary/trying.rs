//! The canary's task: produce, consume, wait, and again.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use ottla_client::{
    Client, ClientOptions, Consumer, ConsumerOptions, Error, NewTopic, Producer, ProducerOptions,
    ProducerRecord, Start,
};
use ottla_model::ErrorCode;
use ottla_runtime::Runtime;

use super::Task;

/// How long a try may take in all: longer than a change of leaders, which clients do not notice
/// either.
const LIMIT: Duration = Duration::from_secs(12);
const CONNECT: Duration = Duration::from_secs(3);
const REQUEST: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);
/// The canary's records are of no use to anybody.
const RETENTION: [(&str, &str); 4] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "600000"),
    ("segment.ms", "600000"),
    ("segment.bytes", "1048576"),
];

/// Tries all listeners, for ever, and tells what came of it.
pub(super) async fn run(
    runtime: &Runtime,
    task: &Task,
    found: impl Fn(&str, Result<Duration, String>),
) {
    let mut is_made = false;
    let mut clients: BTreeMap<&str, Through> = BTreeMap::new();
    loop {
        if !is_made {
            let making = runtime.clock.timeout(LIMIT, make(runtime, task)).await;
            match making {
                Some(Ok(())) => is_made = true,
                Some(Err(error)) => tracing::debug!(topic = task.topic, "not made: {error}"),
                None => tracing::debug!(topic = task.topic, "not made in time"),
            }
        }
        let tries = task.listeners.iter().map(|(listener, bootstrap)| {
            let through = clients.remove(listener.as_str());
            async move {
                let trying = attempt(runtime, task, bootstrap, through);
                let outcome = match runtime.clock.timeout(LIMIT, trying).await {
                    Some(outcome) => outcome.map_err(|error| error.to_string()),
                    None => Err(format!("no record came back in {} s", LIMIT.as_secs())),
                };
                (listener.as_str(), outcome)
            }
        });
        for (listener, outcome) in join_all(tries).await {
            let outcome = outcome.map(|(through, took)| {
                clients.insert(listener, through);
                took
            });
            // The topic may have been deleted.
            is_made &= outcome.is_ok();
            found(listener, outcome);
        }
        runtime.clock.sleep(task.interval).await;
    }
}

/// Makes the topic, or gives it a partition for each broker.
async fn make(runtime: &Runtime, task: &Task) -> Result<(), Error> {
    let client = connect(runtime, &task.bootstrap).await?;
    let topic = NewTopic {
        name: task.topic.clone(),
        partitions: Some(task.partitions),
        replication_factor: Some(task.replicas),
        assignments: Vec::new(),
        configs: RETENTION
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    };
    for (_, outcome) in client.create_topics(&[topic], false).await? {
        match outcome {
            Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => {}
            outcome => {
                outcome?;
            }
        }
    }
    let now = client.partitions(&task.topic).await?.len();
    if i32::try_from(now).is_ok_and(|now| now < task.partitions) {
        let grown = client.create_partitions(&task.topic, task.partitions, false);
        grown.await?;
    }
    Ok(())
}

async fn connect(runtime: &Runtime, bootstrap: &[String]) -> Result<Client, Error> {
    let options = ClientOptions {
        client_id: "ottla-canary".to_owned(),
        connect_timeout: CONNECT,
        request_timeout: REQUEST,
        deadline: DEADLINE,
        ..ClientOptions::default()
    };
    Client::connect(runtime.clone(), bootstrap.to_vec(), options).await
}

/// Connections through a listener, which are kept while they work.
struct Through {
    client: Client,
    producer: Producer,
}

/// Produces to each partition and reads it back; how long that took.
async fn attempt(
    runtime: &Runtime,
    task: &Task,
    bootstrap: &[String],
    through: Option<Through>,
) -> Result<(Through, Duration), Error> {
    let through = match through {
        Some(through) => through,
        None => {
            let client = connect(runtime, bootstrap).await?;
            let options = ProducerOptions {
                idempotence: false,
                linger: Duration::ZERO,
                ..ProducerOptions::default()
            };
            let producer = Producer::new(client.clone(), options);
            Through { client, producer }
        }
    };
    let begin = runtime.clock.instant();
    let value = Bytes::from(format!("{}", runtime.clock.now_ms()));
    let partitions = through.client.partitions(&task.topic).await?;
    let mut deliveries = Vec::new();
    for partition in &partitions {
        let record = ProducerRecord {
            topic: task.topic.clone(),
            partition: Some(partition.partition),
            value: Some(value.clone()),
            ..ProducerRecord::default()
        };
        deliveries.push(through.producer.send(record).await?);
    }
    let mut consumer = Consumer::new(through.client.clone(), ConsumerOptions::default());
    let mut waited: BTreeMap<i32, i64> = BTreeMap::new();
    for delivery in deliveries {
        let place = delivery.await?;
        let (partition, offset) = (place.partition, place.offset);
        let (one, start) = ([partition], Start::Offset(offset));
        consumer.assign(&task.topic, Some(&one), start).await?;
        waited.insert(partition, offset);
    }
    // The caller bounds the time.
    while !waited.is_empty() {
        let Some(read) = consumer.next(REQUEST).await? else {
            continue;
        };
        if waited.get(&read.partition) == Some(&read.record.offset) {
            waited.remove(&read.partition);
        }
    }
    let took = runtime.clock.instant().duration_since(begin);
    Ok((through, took))
}
