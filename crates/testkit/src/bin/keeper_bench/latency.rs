//! One connection, one write after the other, on three servers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use ottla_jute::{Request, SetData};
use ottla_testkit::keeper::{Answer, Connection, Load, Until};
use ottla_testkit::report::{Goal, Report};

use crate::Arguments;
use crate::requests::{Prepared, create_all, create_for_loads};
use crate::side::{Programs, Side, addresses};

const SERVERS: usize = 3;
const LIMIT: Duration = Duration::from_secs(30);
const PATH: &str = "/latency";

/// Percentiles over connections to each of the servers, an equal time each: clients choose any.
pub(crate) fn measure(
    report: &mut Report,
    arguments: &Arguments,
    programs: &Programs,
    side: Side,
) -> Result<()> {
    let mut cluster = programs.start(side, SERVERS)?;
    let addresses = addresses(&cluster);
    let data_bytes = arguments.data_bytes;
    create_for_loads(addresses[0], SERVERS, data_bytes)?;
    create_all(addresses[0], [PATH.to_owned()].into_iter(), data_bytes)?;
    // A JVM compiles what it runs: a load makes sure that it has run.
    let mut load = Load::connect(&addresses, SERVERS, arguments.pipelined)?;
    let warm_up = Until::Time(Duration::from_secs(arguments.warm_up_seconds));
    load.run(warm_up, &mut Prepared::writes(SERVERS, data_bytes))?
        .all_good()?;
    drop(load);
    let time = Duration::from_secs(arguments.seconds) / u32::try_from(SERVERS)?;
    let mut all = Vec::new();
    for &address in &addresses {
        all.extend(latencies(address, data_bytes, time)?);
    }
    all.sort_unstable();
    for (percentile, per_mille, goal) in [
        ("p50", 500, Goal::AtMostOfTheirs(0.5)),
        ("p99", 990, Goal::AtMostOfTheirs(0.5)),
        ("p99.9", 999, Goal::None),
    ] {
        let latency = all.get(all.len() * per_mille / 1000);
        let ms = latency.context("no write was measured")?.as_secs_f64() * 1000.0;
        let name = format!("write latency, one connection, {SERVERS} servers, {percentile}");
        report.add(side, &name, "ms", &[goal], ms);
    }
    cluster.stop_all()
}

fn latencies(address: SocketAddr, data_bytes: usize, time: Duration) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(address, 30_000, LIMIT)?;
    let request = Request::SetData(SetData {
        path: PATH.to_owned(),
        data: Some(Bytes::from(vec![b'l'; data_bytes])),
        version: -1,
    });
    let began = Instant::now();
    let mut latencies = Vec::new();
    while began.elapsed() < time {
        let sent = Instant::now();
        let answer = connection.call(&request, LIMIT)?;
        let latency = sent.elapsed();
        ensure!(matches!(answer, Answer::Done { .. }), "a write: {answer:?}");
        latencies.push(latency);
    }
    connection.call(&Request::CloseSession, LIMIT)?;
    Ok(latencies)
}
