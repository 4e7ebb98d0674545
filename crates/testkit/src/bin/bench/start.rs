//! How long a start takes, and what a broker with nothing to do needs.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ottla_testkit::scenario::{Acknowledgements, Outcome, Record, Scenario, send};
use ottla_testkit::{Broker, Launch};
use rdkafka::producer::{BaseProducer, Producer};

use crate::side::{Flushing, Programs, Side};
use ottla_testkit::meter::mib;
use ottla_testkit::report::{Goal, Report};

const IDLE: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(180);
/// librdkafka waits long before it looks again; here the broker is measured, not its patience.
const IMPATIENT: [(&str, &str); 6] = [
    ("acks", "all"),
    ("linger.ms", "0"),
    ("reconnect.backoff.ms", "1"),
    ("reconnect.backoff.max.ms", "5"),
    ("retry.backoff.ms", "1"),
    ("topic.metadata.refresh.fast.interval.ms", "1"),
];

/// Start until the first acknowledged record, and memory when idle.
pub(crate) fn measure(report: &mut Report, programs: &Programs, side: Side) -> Result<()> {
    let launch = programs.launch(side, Flushing::BeforeAcknowledging);
    let goals = [Goal::AtMost(150.0), Goal::AtMostOfTheirs(0.05)];
    let ms = until_first_record_ms(&launch)?;
    report.add(
        side,
        "start until the first acknowledged record",
        "ms",
        &goals,
        ms,
    );
    let mut broker = Broker::start(launch)?;
    thread::sleep(IDLE);
    let idle = mib(broker.process()?.resident_kib()?);
    report.add(
        side,
        "resident memory, idle for 10 s",
        "MiB",
        &[Goal::AtMost(40.0)],
        idle,
    );
    broker.stop()
}

fn until_first_record_ms(launch: &Launch) -> Result<f64> {
    let mut broker = Broker::prepare(launch.clone())?;
    let began = Instant::now();
    broker.spawn()?;
    until_acknowledged(&broker, "first", 1, began)?;
    let ms = began.elapsed().as_secs_f64() * 1000.0;
    broker.wait_ready()?;
    broker.stop()?;
    Ok(ms)
}

/// Waits until one record for each of the topic's partitions is acknowledged.
pub(crate) fn until_acknowledged(
    broker: &Broker,
    topic: &str,
    partitions: i32,
    began: Instant,
) -> Result<()> {
    let patient = |what: &str| {
        let log = broker.log_tail();
        ensure!(began.elapsed() < LIMIT, "{what} after {LIMIT:?}: {log}");
        Ok(())
    };
    // librdkafka starts when somebody listens: it would look only once a second.
    while TcpStream::connect(broker.bootstrap()).is_err() {
        patient("no listener")?;
        thread::sleep(Duration::from_millis(1));
    }
    let producer = Scenario::new(broker.bootstrap()).producer(&IMPATIENT)?;
    while !has_leaders(&producer, topic) {
        patient("no leader")?;
    }
    let mut next = 0;
    for partition in 0..partitions {
        let record = Record {
            partition,
            ..Record::of("first")
        };
        send(&producer, topic, next, &record)?;
        next += 1;
    }
    while producer.context().count() < next {
        producer.poll(Duration::from_millis(1));
        patient("no acknowledgement")?;
    }
    for (number, outcome) in producer.context().outcomes() {
        if let Outcome::Refused(error) = outcome {
            anyhow::bail!("record {number} was refused: {error}");
        }
    }
    Ok(())
}

/// Whether the topic, created by the question if need be, has a leader for each partition.
fn has_leaders(producer: &BaseProducer<Acknowledgements>, topic: &str) -> bool {
    let metadata = producer.client().fetch_metadata(Some(topic), LIMIT);
    metadata.is_ok_and(|metadata| {
        metadata.topics().first().is_some_and(|topic| {
            let partitions = topic.partitions();
            !partitions.is_empty() && partitions.iter().all(|p| p.leader() >= 0)
        })
    })
}
