//! What a server with nothing to do needs.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use ottla_testkit::report::{Goal, Report};

use crate::side::{Programs, Side, cpu_seconds, resident_mib};

const IDLE: Duration = Duration::from_secs(10);

/// Memory of one server alone, and of one of three; CPU time of three.
pub(crate) fn measure(report: &mut Report, programs: &Programs, side: Side) -> Result<()> {
    for (servers, named) in [(1, "one server"), (3, "a server of three")] {
        let mut cluster = programs.start(side, servers)?;
        thread::sleep(IDLE);
        let before = cpu_seconds(&cluster)?;
        thread::sleep(IDLE);
        let busy = (cpu_seconds(&cluster)? - before) / IDLE.as_secs_f64();
        let goals = [Goal::AtMost(30.0), Goal::AtMostOfTheirs(0.25)];
        let name = format!("resident memory, idle, {named}");
        report.add(side, &name, "MiB", &goals, resident_mib(&cluster)?);
        let name = format!("CPU, idle, all of {servers}");
        report.add(side, &name, "% of a core", &[Goal::None], busy * 100.0);
        cluster.stop_all()?;
    }
    Ok(())
}
