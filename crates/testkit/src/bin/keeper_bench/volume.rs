//! Many connections with many requests under way, on three servers.

use std::time::Duration;

use anyhow::Result;
use ottla_testkit::cluster::Cluster;
use ottla_testkit::keeper::{Load, Until};
use ottla_testkit::meter::measured_by;
use ottla_testkit::report::{Goal, Report};

use crate::Arguments;
use crate::requests::{Prepared, create_for_loads};
use crate::side::{Programs, Side, addresses, cpu_seconds, resident_mib};

const SERVERS: usize = 3;

/// Writes, then reads: how many each second, and what they cost.
pub(crate) fn measure(
    report: &mut Report,
    arguments: &Arguments,
    programs: &Programs,
    side: Side,
) -> Result<()> {
    let mut cluster = programs.start(side, SERVERS)?;
    let addresses = addresses(&cluster);
    let (connections, pipelined) = (arguments.connections, arguments.pipelined);
    create_for_loads(addresses[0], connections, arguments.data_bytes)?;
    let mut load = Load::connect(&addresses, connections, pipelined)?;
    let mut run = |named: &str, goal: Goal, requests: &mut Prepared| {
        let work = Work {
            cluster: &cluster,
            arguments,
            named,
            goal,
        };
        work.measure(report, side, &mut load, requests)
    };
    let mut writes = Prepared::writes(connections, arguments.data_bytes);
    run("writes", Goal::AtLeastOfTheirs(3.0), &mut writes)?;
    let mut reads = Prepared::reads(connections);
    run("reads", Goal::AtLeastOfTheirs(2.0), &mut reads)?;
    let name = "resident memory of a server after the loads";
    report.add(side, name, "MiB", &[Goal::None], resident_mib(&cluster)?);
    drop(load);
    cluster.stop_all()
}

struct Work<'a> {
    cluster: &'a Cluster,
    arguments: &'a Arguments,
    named: &'a str,
    goal: Goal,
}

impl Work<'_> {
    fn measure(
        &self,
        report: &mut Report,
        side: Side,
        load: &mut Load,
        requests: &mut Prepared,
    ) -> Result<()> {
        let seconds = |seconds| Until::Time(Duration::from_secs(seconds));
        load.run(seconds(self.arguments.warm_up_seconds), requests)?
            .all_good()?;
        let (ran, cost) = measured_by(
            || cpu_seconds(self.cluster),
            || load.run(seconds(self.arguments.seconds), requests),
        )?;
        ran.all_good()?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
        let millions = ran.answered as f64 / 1e6;
        let Arguments {
            connections,
            pipelined,
            data_bytes,
            ..
        } = self.arguments;
        let named = self.named;
        let name = format!(
            "{named}, {SERVERS} servers, {connections} connections pipelining {pipelined}, {data_bytes} B"
        );
        report.add(side, &name, "/s", &[self.goal], ran.per_second());
        let name = format!("CPU of all servers per million {named}");
        let cpu_s = cost.broker_cpu_s / millions;
        report.add(side, &name, "s", &[Goal::None], cpu_s);
        let name = format!("cores that the client takes, {named}");
        let cores = cost.client_cpu_s / cost.wall_s;
        report.add(side, &name, "cores", &[Goal::None], cores);
        Ok(())
    }
}
