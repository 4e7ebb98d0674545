//! From `send` to the acknowledgement of all replicas, at a steady rate.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::ClientContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::{Clients, LIMIT, NODES};
use crate::side::{Flushing, Programs, Side};
use ottla_testkit::report::{Goal, Report};

const RECORDS_PER_S: u32 = 2000;
const WARM_UP_S: u64 = 8;
const PARTITIONS: u32 = 6;
const RECORD_BYTES: usize = 100;
const TOPIC: &str = "latency";

#[derive(Default)]
struct Acknowledged {
    /// When each was due, and how long after that it was acknowledged.
    latencies: Mutex<Vec<(Instant, Duration)>>,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = Box<Instant>;

    fn delivery(&self, result: &DeliveryResult<'_>, due: Box<Instant>) {
        if result.is_ok() {
            let mut latencies = self
                .latencies
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            latencies.push((*due, due.elapsed()));
        }
    }
}

pub(crate) fn measure(
    report: &mut Report,
    programs: &Programs,
    side: Side,
    seconds: u64,
) -> Result<()> {
    let mut cluster = programs.cluster(side, Flushing::BeforeAcknowledging, NODES)?;
    let clients = Clients::of(&cluster)?;
    clients.create_one(TOPIC, i32::try_from(PARTITIONS)?)?;
    let config = clients
        .scenario
        .config(&[("acks", "all"), ("linger.ms", "0")]);
    let producer: BaseProducer<Acknowledged> =
        config.create_with_context(Acknowledged::default())?;
    let value = [7_u8; RECORD_BYTES];
    let begin = Instant::now();
    let total = u32::try_from(WARM_UP_S + seconds)? * RECORDS_PER_S;
    for number in 0..total {
        // A pause of the sender counts as latency, too.
        let due = begin + Duration::from_secs(1) * number / RECORDS_PER_S;
        while let Some(pause) = due.checked_duration_since(Instant::now()) {
            producer.poll(Duration::ZERO);
            thread::sleep(pause.min(Duration::from_micros(200)));
        }
        let record: BaseRecord<'_, (), [u8], Box<Instant>> =
            BaseRecord::with_opaque_to(TOPIC, Box::new(due))
                .partition(i32::try_from(number % PARTITIONS)?)
                .payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(LIMIT)?;
    let all = producer
        .context()
        .latencies
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let count = all.len();
    ensure!(
        count == total as usize,
        "{count} of {total} records are acknowledged"
    );
    let measured_from = begin + Duration::from_secs(WARM_UP_S);
    let mut latencies: Vec<Duration> = all
        .iter()
        .filter(|(due, _)| *due >= measured_from)
        .map(|(_, l)| *l)
        .collect();
    drop(all);
    latencies.sort();
    for (percentile, per_mille) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
        let latency = latencies.get(latencies.len() * per_mille / 1000);
        let ms = latency.context("no record was measured")?.as_secs_f64() * 1000.0;
        let name =
            format!("produce at 2,000 records/s, acks=all, three replicas, durable, {percentile}");
        let goal = if per_mille == 990 {
            Goal::AtMostOfTheirs(0.5)
        } else {
            Goal::None
        };
        report.add(side, &name, "ms", &[goal], ms);
    }
    cluster.stop_all()
}
