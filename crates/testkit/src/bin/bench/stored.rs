//! What is stored already: a start after a kill, reading it all again, many partitions.

use std::time::Instant;

use anyhow::Result;
use ottla_testkit::Broker;
use ottla_testkit::scenario::Scenario;

use crate::clients;
use crate::java::Java;
use crate::side::{Flushing, Programs, Side};
use crate::start::until_acknowledged;
use ottla_testkit::meter::{gib, measured, mib};
use ottla_testkit::report::{Goal, Report};

const PARTITIONS: i32 = 100;
const RECORD_BYTES: u64 = 1024;
const MANY_TOPICS: i32 = 10;
const PARTITIONS_EACH: i32 = 1_000;

/// Fills 100 partitions, kills the broker, starts it again, and reads everything.
pub(crate) fn measure(
    report: &mut Report,
    programs: &Programs,
    java: &Java,
    side: Side,
    gib_stored: u64,
) -> Result<()> {
    let mut broker = programs.start(side, Flushing::Off)?;
    let bootstrap = broker.bootstrap();
    let topic = Scenario::new(&bootstrap).create_topic("stored", PARTITIONS)?;
    let records = (gib_stored << 30) / RECORD_BYTES;
    let size = usize::try_from(RECORD_BYTES)?;
    clients::produce(&bootstrap, &topic, PARTITIONS, records, size)?;
    broker.kill()?;
    let began = Instant::now();
    broker.spawn()?;
    until_acknowledged(&broker, &topic, PARTITIONS, began)?;
    let seconds = began.elapsed().as_secs_f64();
    let name = format!(
        "start after kill -9 with {gib_stored} GiB in {PARTITIONS} partitions, until all serve"
    );
    report.add(side, &name, "s", &[Goal::AtMost(2.0)], seconds);
    broker.wait_ready()?;
    let (throughput, cost) = measured(&broker, || java.consume(&bootstrap, &topic, records))?;
    let name = format!("catch-up read of {gib_stored} GiB");
    let goals = [Goal::AtLeastOfTheirs(1.5)];
    report.add(side, &name, "MiB/s", &goals, throughput.mib_per_second);
    let cores = cost.client_cpu_s / cost.wall_s;
    report.add(
        side,
        &format!("cores that the client takes: {name}"),
        "cores",
        &[Goal::None],
        cores,
    );
    let cpu = cost.broker_cpu_s / gib(records * RECORD_BYTES);
    let goals = [Goal::AtMostOfTheirs(1.0 / 3.0)];
    report.add(
        side,
        &format!("broker CPU per GiB: {name}"),
        "s",
        &goals,
        cpu,
    );
    let ((), cost) = measured(&broker, || {
        clients::consume(&bootstrap, &topic, PARTITIONS, records)
    })?;
    let speed = gib(records * RECORD_BYTES) * 1024.0 / cost.wall_s;
    let goals = [Goal::AtLeastOfTheirs(1.5)];
    report.add(side, &format!("{name}, librdkafka"), "MiB/s", &goals, speed);
    let cores = cost.client_cpu_s / cost.wall_s;
    report.add(
        side,
        &format!("cores that the client takes: {name}, librdkafka"),
        "cores",
        &[Goal::None],
        cores,
    );
    broker.kill()
}

/// Ten thousand partitions with a record in each: in ten topics, because Kafka creates no more at once.
pub(crate) fn measure_many(report: &mut Report, programs: &Programs, side: Side) -> Result<()> {
    let mut broker = programs.start(side, Flushing::Off)?;
    let clients = Scenario::new(broker.bootstrap());
    let topics = (0..MANY_TOPICS)
        .map(|number| clients.create_topic(&format!("many-{number}"), PARTITIONS_EACH))
        .collect::<Result<Vec<String>>>()?;
    let write = |broker: &Broker, began| {
        topics
            .iter()
            .try_for_each(|topic| until_acknowledged(broker, topic, PARTITIONS_EACH, began))
    };
    write(&broker, Instant::now())?;
    broker.stop()?;
    let began = Instant::now();
    broker.spawn()?;
    broker.wait_ready()?;
    let seconds = began.elapsed().as_secs_f64();
    let name = "start with 10,000 partitions with records";
    report.add(side, name, "s", &[Goal::AtMost(3.0)], seconds);
    write(&broker, began)?;
    let seconds = began.elapsed().as_secs_f64();
    let name = "the same, until a record for each of them is acknowledged";
    report.add(side, name, "s", &[Goal::None], seconds);
    let memory = mib(broker.process()?.resident_kib()?);
    let name = "resident memory with 10,000 partitions";
    report.add(side, name, "MiB", &[Goal::AtMost(300.0)], memory);
    broker.kill()
}
