//! From `send` to `poll`: at a steady rate with librdkafka, and one by one with Kafka's program.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottla_testkit::scenario::Scenario;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::clients::Counting;
use crate::java::Java;
use crate::side::{Flushing, Programs, Side};
use ottla_testkit::report::{Goal, Report};

const RECORDS_PER_S: u64 = 5_000;
const WARM_UP_S: u64 = 4;
const RECORD_BYTES: usize = 100;
const BEHIND: Duration = Duration::from_secs(30);
const HALF: [Goal; 1] = [Goal::AtMostOfTheirs(0.5)];

pub(crate) fn measure(
    report: &mut Report,
    programs: &Programs,
    java: &Java,
    side: Side,
    seconds: u64,
) -> Result<()> {
    for (flushing, named) in [
        (Flushing::Off, "from memory"),
        (Flushing::BeforeAcknowledging, "durable"),
    ] {
        let mut broker = programs.start(side, flushing)?;
        let latencies = steady(&broker.bootstrap(), seconds)?;
        for (percentile, per_mille) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
            let index = latencies.len() * per_mille / 1000;
            let value = latencies.get(index).context("no record was measured")?;
            let name = format!("end to end at 5,000 records/s, {named}, {percentile}");
            let goals: &[Goal] = if per_mille == 999 {
                &[Goal::None]
            } else {
                &HALF
            };
            report.add(side, &name, "ms", goals, value.as_secs_f64() * 1000.0);
        }
        let topic = Scenario::new(broker.bootstrap()).create_topic("one-by-one", 1)?;
        let mean = java.one_by_one_ms(&broker.bootstrap(), &topic, 5_000)?;
        let name = format!("end to end one by one, {named}, mean (EndToEndLatency)");
        report.add(side, &name, "ms", &HALF, mean);
        broker.stop()?;
    }
    Ok(())
}

/// The sorted latencies of `seconds` seconds.
fn steady(bootstrap: &str, seconds: u64) -> Result<Vec<Duration>> {
    let clients = Scenario::new(bootstrap);
    let topic = clients.create_topic("latency", 1)?;
    let origin = Instant::now();
    let count = (seconds + WARM_UP_S) * RECORDS_PER_S;
    let consumer: BaseConsumer = clients
        .config(&[
            ("group.id", "unused"),
            ("enable.auto.commit", "false"),
            ("fetch.wait.max.ms", "500"),
        ])
        .create()?;
    let mut at = TopicPartitionList::new();
    at.add_partition_offset(&topic, 0, Offset::Beginning)?;
    consumer.assign(&at)?;
    let reader = thread::spawn(move || read(&consumer, count, origin));
    send(&clients, &topic, count, origin)?;
    let mut latencies = reader.join().ok().context("the reader panicked")??;
    latencies.sort();
    Ok(latencies)
}

/// Sends records at even distances; each carries the time at which it was due, so that a pause of the
/// sender counts as latency too.
fn send(clients: &Scenario, topic: &str, count: u64, origin: Instant) -> Result<()> {
    let config = clients.config(&[("acks", "all"), ("linger.ms", "0")]);
    let producer: BaseProducer<Counting> = config.create_with_context(Counting::default())?;
    let distance = Duration::from_nanos(1_000_000_000 / RECORDS_PER_S);
    let begin = origin.elapsed();
    let mut value = [0; RECORD_BYTES];
    for number in 0..count {
        let due = begin + distance * u32::try_from(number)?;
        if let Some(pause) = due.checked_sub(origin.elapsed()) {
            producer.poll(Duration::ZERO);
            thread::sleep(pause);
        }
        let nanos = u64::try_from(due.as_nanos())?;
        value[..8].copy_from_slice(&nanos.to_le_bytes());
        let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic).partition(0).payload(&value);
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .context("a record cannot be queued")?;
    }
    producer.flush(BEHIND)?;
    Ok(())
}

fn read(consumer: &BaseConsumer, count: u64, origin: Instant) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut last = Instant::now();
    let mut read = 0;
    while read < count {
        ensure!(last.elapsed() < BEHIND, "{read} of {count} records arrived");
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        last = Instant::now();
        let stamp = message.payload().and_then(|value| value.first_chunk::<8>());
        let sent = Duration::from_nanos(u64::from_le_bytes(
            *stamp.context("a record without its time")?,
        ));
        if read >= WARM_UP_S * RECORDS_PER_S {
            latencies.push(origin.elapsed().saturating_sub(sent));
        }
        read += 1;
    }
    Ok(latencies)
}
