//! Throughput and CPU for each GiB with three replicas.

use anyhow::Result;

use super::{Clients, NODES, cpu_seconds};
use crate::java::{Java, Load};
use crate::side::{Flushing, Programs, Side};
use ottla_testkit::meter::{gib, measured_by};
use ottla_testkit::report::{Goal, Report};

const PARTITIONS: i32 = 6;
const RECORD_BYTES: u64 = 1024;
const WARM_UP_RECORDS: u64 = 100_000;

/// Produces 1 KiB records with acks=all, from memory and durable, and reads them again.
pub(crate) fn measure(
    report: &mut Report,
    programs: &Programs,
    java: &Java,
    side: Side,
    mib: u64,
) -> Result<()> {
    for (flushing, named) in [
        (Flushing::Off, "from memory"),
        (Flushing::BeforeAcknowledging, "durable"),
    ] {
        let mut cluster = programs.cluster(side, flushing, NODES)?;
        let clients = Clients::of(&cluster)?;
        let bootstrap = cluster.bootstrap();
        let load = |topic, records| Load {
            topic,
            records,
            record_bytes: RECORD_BYTES,
            properties: &["acks=all"],
        };
        clients.create_one("warm-up", PARTITIONS)?;
        java.produce(&bootstrap, load("warm-up", WARM_UP_RECORDS))?;
        clients.scenario.delete_topic("warm-up")?;
        clients.create_one("volume", PARTITIONS)?;
        let bytes = mib << 20;
        let records = bytes / RECORD_BYTES;
        let (throughput, cost) = measured_by(
            || cpu_seconds(&cluster),
            || java.produce(&bootstrap, load("volume", records)),
        )?;
        let what = format!("acks=all, three replicas, {named}");
        let name = format!("produced, {what}");
        let goals = [Goal::AtLeastOfTheirs(1.0)];
        report.add(side, &name, "MiB/s", &goals, throughput.mib_per_second);
        let name = format!("CPU of all nodes per GiB, {what}");
        let goals = [Goal::AtMostOfTheirs(1.0 / 3.0)];
        report.add(side, &name, "s", &goals, cost.broker_cpu_s / gib(bytes));
        let name = format!("cores that the client takes, {what}");
        report.add(
            side,
            &name,
            "cores",
            &[Goal::None],
            cost.client_cpu_s / cost.wall_s,
        );
        cluster.stop_all()?;
    }
    Ok(())
}
