//! A node with many leaders is told to stop: how long a producer stalls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::ClientContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::{Clients, IMPATIENT, LIMIT, NODES};
use crate::side::{Flushing, Programs, Side};
use ottla_testkit::report::{Goal, Report};

const TOPIC: &str = "hand-over";
const LEADERS_EACH: i32 = 1000;
/// More partitions than this tell nothing new of the longest stall.
const WATCHED: usize = 50;
const BETWEEN_RECORDS: Duration = Duration::from_millis(2);
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(10);

/// The times from `send` to the acknowledgement, with the moment of the acknowledgement.
#[derive(Default)]
struct Latencies {
    seen: Mutex<Vec<(Instant, Duration)>>,
    refused: Mutex<VecDeque<String>>,
}

impl ClientContext for Latencies {}

impl ProducerContext for Latencies {
    type DeliveryOpaque = Box<Instant>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Instant>) {
        match result {
            Ok(_) => {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push((Instant::now(), sent.elapsed()));
            }
            Err((error, _)) => {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                refused.push_back(error.to_string());
            }
        }
    }
}

/// Stops a node with SIGTERM while a producer sends to partitions that it leads.
pub(crate) fn measure(report: &mut Report, programs: &Programs, side: Side) -> Result<()> {
    let mut cluster = programs.cluster(side, Flushing::BeforeAcknowledging, NODES)?;
    let clients = Clients::of(&cluster)?;
    let all = LEADERS_EACH * i32::try_from(NODES)?;
    clients.create_one(TOPIC, all)?;
    let node = clients.leader(TOPIC, 0)?;
    let led = clients.led_by(TOPIC, node)?;
    println!(
        "  node {} leads {} of {all} partitions",
        node + 1,
        led.len()
    );
    let watched: Vec<i32> = led.into_iter().take(WATCHED).collect();
    let config = clients.scenario.config(&IMPATIENT);
    let producer: BaseProducer<Latencies> = config.create_with_context(Latencies::default())?;
    let context = Arc::clone(producer.context());
    let told = Instant::now() + BEFORE;
    let sender = thread::spawn(move || -> Result<()> {
        let until = told + AFTER;
        for partition in watched.iter().cycle() {
            if Instant::now() > until {
                break;
            }
            let sent = Box::new(Instant::now());
            let record: BaseRecord<'_, (), str, Box<Instant>> =
                BaseRecord::with_opaque_to(TOPIC, sent)
                    .partition(*partition)
                    .payload("steady");
            producer.send(record).map_err(|(error, _)| error)?;
            producer.poll(BETWEEN_RECORDS);
        }
        Ok(producer.flush(LIMIT)?)
    });
    thread::sleep(told.saturating_duration_since(Instant::now()));
    let began = Instant::now();
    cluster.stop(node)?;
    let stopping_ms = began.elapsed().as_secs_f64() * 1000.0;
    sender.join().ok().context("the sender panicked")??;
    let refused = context
        .refused
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    ensure!(
        refused.is_empty(),
        "records were refused: {:?}",
        refused.front()
    );
    let seen = context.seen.lock().unwrap_or_else(PoisonError::into_inner);
    // librdkafka's first requests find out where the leaders are, which is not what is measured.
    let settled = told - BEFORE / 2;
    let after_settling = seen.iter().filter(|(at, _)| *at > settled);
    let longest = after_settling
        .map(|(_, latency)| *latency)
        .max()
        .context("no record")?;
    let leaders = "stop of a node with 1,000 leaders";
    let name = format!("{leaders}: longest stall of a producer");
    report.add(
        side,
        &name,
        "ms",
        &[Goal::AtMost(100.0)],
        longest.as_secs_f64() * 1000.0,
    );
    let name = format!("{leaders}: SIGTERM to its end");
    report.add(side, &name, "ms", &[Goal::None], stopping_ms);
    cluster.stop_all()
}
