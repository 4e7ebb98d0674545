//! A record that is written and read back, as a client does it: by the advertised addresses.

use bytes::Bytes;
use ottla_client::{
    Client, ClientOptions, ConfigResource, Consumer, ConsumerOptions, Error as ClientError,
    Producer, ProducerOptions, ProducerRecord, Start,
};
use ottla_runtime::Runtime;

use super::facts::RoundTrip;
use crate::globals::Globals;

pub(super) async fn round_trip(
    topic: &str,
    globals: &Globals,
    runtime: &Runtime,
) -> Result<RoundTrip, String> {
    let trip = travel(topic, globals, runtime).await;
    let trip = trip.map_err(|error| error.to_string())?;
    trip.ok_or_else(|| "the record was acknowledged, but could not be read back".to_owned())
}

async fn travel(
    topic: &str,
    globals: &Globals,
    runtime: &Runtime,
) -> Result<Option<RoundTrip>, ClientError> {
    let clock = &runtime.clock;
    let options = ClientOptions {
        client_id: "ottla-doctor".to_owned(),
        connect_timeout: globals.timeout,
        request_timeout: globals.timeout,
        deadline: globals.timeout,
        ..ClientOptions::default()
    };
    let servers = globals.bootstrap_servers.split(',').map(str::to_owned);
    let client = Client::connect(runtime.clone(), servers.collect(), options).await?;
    let key = ["message.timestamp.type"];
    let configs = client.describe_configs(ConfigResource::Topic(topic), Some(&key));
    // Who may write may still not be allowed to look at settings: then there is no skew.
    let configs = configs.await.unwrap_or_default();
    let has_brokers_time = configs
        .iter()
        .any(|config| config.value.as_deref() == Some("LogAppendTime"));

    let value = Bytes::from(format!(
        "written by ottla doctor, {:016x}",
        runtime.random.below(u64::MAX)
    ));
    let producer = Producer::new(client.clone(), ProducerOptions::default());
    let record = ProducerRecord {
        topic: topic.to_owned(),
        value: Some(value.clone()),
        ..ProducerRecord::default()
    };
    let (began, began_ms) = (clock.instant(), clock.now_ms());
    let place = producer.send(record).await?.await?;
    let (written, written_ms) = (clock.instant(), clock.now_ms());

    let mut consumer = Consumer::new(client, ConsumerOptions::default());
    let start = Start::Offset(place.offset);
    consumer
        .assign(topic, Some(&[place.partition]), start)
        .await?;
    let read = consumer.next(globals.timeout).await?;
    let read = read.filter(|read| read.record.offset == place.offset);
    let read = read.filter(|read| read.record.value.as_ref() == Some(&value));
    Ok(read.map(|read| RoundTrip {
        partition: place.partition,
        offset: place.offset,
        write: written - began,
        read: clock.instant() - written,
        skew_ms: has_brokers_time.then(|| read.record.timestamp - began_ms.midpoint(written_ms)),
    }))
}
