//! Throughput and CPU for each GiB, over partitions, acknowledgements and record sizes.

use anyhow::Result;
use ottla_testkit::Broker;
use ottla_testkit::scenario::Scenario;

use crate::clients;
use crate::java::{Java, Load};
use crate::side::{Flushing, Programs, Side};
use ottla_testkit::meter::{Cost, gib, measured, mib};
use ottla_testkit::report::{Goal, Report};

const CPU: [Goal; 1] = [Goal::AtMostOfTheirs(1.0 / 3.0)];
const SPEED: [Goal; 1] = [Goal::AtLeastOfTheirs(1.0)];
/// Of one broker: what a JVM has not compiled yet is not what people run.
const WARM_UP_RECORDS: u64 = 300_000;

/// One broker for all combinations, so that a JVM has time to compile.
pub(crate) fn measure(
    report: &mut Report,
    programs: &Programs,
    java: &Java,
    side: Side,
    mib_each: u64,
) -> Result<()> {
    let mut broker = programs.start(side, Flushing::Off)?;
    warm_up(&broker, java)?;
    let mut run = Run {
        report,
        broker: &broker,
        java,
        side,
    };
    for (record_bytes, named) in [(1024, "1 KiB"), (100, "100 B")] {
        // Small records cost the clients so much that half the bytes take longer than all of the others.
        let bytes = (mib_each << 20) / if record_bytes < 1024 { 2 } else { 1 };
        let records = bytes / record_bytes;
        let mut produced = Vec::new();
        let mut consumed = Vec::new();
        for partitions in [1, 16] {
            for acks in ["1", "all"] {
                let what = format!("{named}, {partitions} partition(s), acks={acks}");
                let (p, c) = run.java(&what, partitions, acks, records, record_bytes)?;
                produced.push(p);
                consumed.extend(c);
            }
        }
        run.cpu(&format!("produced, {named}, Java"), &produced, bytes);
        run.cpu(&format!("consumed, {named}, Java"), &consumed, bytes);
        run.librdkafka(named, records, record_bytes)?;
    }
    let peak = mib(broker.process()?.peak_resident_kib()?);
    report.add(
        side,
        "resident memory, the most under load",
        "MiB",
        &[Goal::AtMostOfTheirs(0.2)],
        peak,
    );
    broker.stop()
}

fn warm_up(broker: &Broker, java: &Java) -> Result<()> {
    let clients = Scenario::new(broker.bootstrap());
    let topic = clients.create_topic("warm-up", 4)?;
    let load = Load {
        topic: &topic,
        records: WARM_UP_RECORDS,
        record_bytes: 512,
        properties: &["acks=all"],
    };
    java.produce(&broker.bootstrap(), load)?;
    java.consume(&broker.bootstrap(), &topic, WARM_UP_RECORDS)?;
    clients.delete_topic(&topic)
}

struct Run<'a> {
    report: &'a mut Report,
    broker: &'a Broker,
    java: &'a Java,
    side: Side,
}

impl Run<'_> {
    fn java(
        &mut self,
        what: &str,
        partitions: i32,
        acks: &str,
        records: u64,
        record_bytes: u64,
    ) -> Result<(Cost, Option<Cost>)> {
        let bootstrap = self.broker.bootstrap();
        let clients = Scenario::new(&bootstrap);
        let topic = clients.create_topic("volume", partitions)?;
        let acks = format!("acks={acks}");
        let load = Load {
            topic: &topic,
            records,
            record_bytes,
            properties: &[&acks],
        };
        let (throughput, produced) = measured(self.broker, || self.java.produce(&bootstrap, load))?;
        let name = format!("produced, {what}");
        self.report
            .add(self.side, &name, "MiB/s", &SPEED, throughput.mib_per_second);
        self.client_share(&name, &produced);
        // Reading does not know how the records were acknowledged.
        let consumed = if acks == "acks=all" {
            let (throughput, consumed) = measured(self.broker, || {
                self.java.consume(&bootstrap, &topic, records)
            })?;
            let name = format!("consumed, {what}");
            self.report
                .add(self.side, &name, "MiB/s", &SPEED, throughput.mib_per_second);
            Some(consumed)
        } else {
            None
        };
        clients.delete_topic(&topic)?;
        Ok((produced, consumed))
    }

    fn librdkafka(&mut self, named: &str, records: u64, record_bytes: u64) -> Result<()> {
        let bootstrap = self.broker.bootstrap();
        let clients = Scenario::new(&bootstrap);
        let topic = clients.create_topic("volume", 1)?;
        let size = usize::try_from(record_bytes)?;
        let ((), produced) = measured(self.broker, || {
            clients::produce(&bootstrap, &topic, 1, records, size)
        })?;
        let ((), consumed) = measured(self.broker, || {
            clients::consume(&bootstrap, &topic, 1, records)
        })?;
        let bytes = records * record_bytes;
        for (verb, cost) in [("produced", produced), ("consumed", consumed)] {
            let speed = gib(bytes) * 1024.0 / cost.wall_s;
            let name = format!("{verb}, {named}, 1 partition, librdkafka");
            self.report.add(self.side, &name, "MiB/s", &SPEED, speed);
            self.cpu(&format!("{verb}, {named}, librdkafka"), &[cost], bytes);
        }
        clients.delete_topic(&topic)
    }

    /// CPU for each GiB over some pieces of work of `bytes` each.
    fn cpu(&mut self, what: &str, costs: &[Cost], bytes: u64) {
        let cpu: f64 = costs.iter().map(|cost| cost.broker_cpu_s).sum();
        let gib: f64 = costs.iter().map(|_| gib(bytes)).sum();
        let name = format!("broker CPU per GiB {what}");
        self.report.add(self.side, &name, "s", &CPU, cpu / gib);
    }

    /// Where the client is the limit, a faster broker cannot be seen.
    fn client_share(&mut self, what: &str, cost: &Cost) {
        let cores = cost.client_cpu_s / cost.wall_s;
        let name = format!("cores that the client takes: {what}");
        self.report
            .add(self.side, &name, "cores", &[Goal::None], cores);
    }
}

/// Small batches that are on disk before they are acknowledged.
pub(crate) fn measure_durable(
    report: &mut Report,
    programs: &Programs,
    java: &Java,
    side: Side,
    records: u64,
) -> Result<()> {
    let mut broker = programs.start(side, Flushing::BeforeAcknowledging)?;
    let bootstrap = broker.bootstrap();
    let clients = Scenario::new(&bootstrap);
    for partitions in [16, 100] {
        let topic = clients.create_topic("durable", partitions)?;
        let load = |records| Load {
            topic: &topic,
            records,
            record_bytes: 100,
            properties: &[
                "acks=all",
                "batch.size=1000",
                "linger.ms=0",
                "partitioner.ignore.keys=true",
            ],
        };
        java.produce(&bootstrap, load(records / 10))?;
        let (throughput, cost) = measured(&broker, || java.produce(&bootstrap, load(records)))?;
        let name = format!("durable, 100 B in batches of 1 kB, {partitions} partitions");
        let goals = [Goal::AtLeastOfTheirs(3.0)];
        report.add(side, &name, "MiB/s", &goals, throughput.mib_per_second);
        let per_gib = cost.broker_cpu_s / gib(records * 100);
        report.add(
            side,
            &format!("broker CPU per GiB: {name}"),
            "s",
            &CPU,
            per_gib,
        );
        clients.delete_topic(&topic)?;
    }
    broker.stop()
}
