//! Many znodes: the memory that they take, and the start with them on disk.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ottla_jute::{GetData, Request};
use ottla_testkit::cluster::{Cluster, four_letters};
use ottla_testkit::keeper::{Answer, Connection, Load, Until};
use ottla_testkit::report::{Goal, Report};

use crate::Arguments;
use crate::requests::{Stored, create_all};
use crate::side::{Programs, Side, addresses, cpu_seconds, resident_mib};

const CONNECTIONS: usize = 30;
const PIPELINED: usize = 100;
/// Creates between two looks at the time.
const AT_ONCE: u64 = 50_000;
/// A server that takes longer for so many creates collects garbage most of the time.
const AT_ONCE_LIMIT: Duration = Duration::from_secs(90);
const START_LIMIT: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// A server that takes a connection before it serves may never answer it: a client tries again.
const HANDSHAKE_LIMIT: Duration = Duration::from_millis(300);
const READ_LIMIT: Duration = Duration::from_secs(5);
const SETTLED_LIMIT: Duration = Duration::from_secs(60);
const A_QUARTER: Goal = Goal::AtMostOfTheirs(0.25);

/// One server, three servers, and one with the smallest heap that bears it.
pub(crate) fn measure(
    report: &mut Report,
    arguments: &Arguments,
    programs: &Programs,
    side: Side,
) -> Result<()> {
    for (servers, named) in [(1, "one server"), (3, "a server of three")] {
        let mut cluster = programs.start(side, servers)?;
        let stored = store(&cluster, arguments)?;
        let restarted = restart(&mut cluster, arguments)?;
        add(report, arguments, side, named, &[stored, restarted]);
        cluster.stop_all()?;
    }
    let named = "one server, the smallest heap that bears it";
    let bearing = match side {
        // There is no heap to choose.
        Side::Keeper => try_heap(arguments, programs, side, 0)?,
        Side::ZooKeeper => {
            let mut heaps = arguments.small_heaps_mib.iter();
            heaps
                .find_map(|&heap| match try_heap(arguments, programs, side, heap) {
                    Ok(both) => {
                        let name = "the smallest heap (-Xmx) that bears it";
                        report.add(side, name, "MiB", &[Goal::None], heap.into());
                        Some(both)
                    }
                    Err(error) => {
                        println!("  a heap of {heap} MiB is too small: {error:#}");
                        None
                    }
                })
                .context("no heap that was named bears the znodes")?
        }
    };
    add(report, arguments, side, named, &bearing);
    Ok(())
}

/// What was seen at one point.
struct Seen {
    resident_mib: f64,
    /// Of a start; the time until all creates are done else.
    seconds: f64,
    imok_seconds: f64,
}

fn try_heap(
    arguments: &Arguments,
    programs: &Programs,
    side: Side,
    heap_mib: u32,
) -> Result<[Seen; 2]> {
    let mut cluster = programs.start_with_heap(side, 1, heap_mib)?;
    let stored = store(&cluster, arguments)?;
    let restarted = restart(&mut cluster, arguments)?;
    cluster.stop_all()?;
    Ok([stored, restarted])
}

fn add(report: &mut Report, arguments: &Arguments, side: Side, named: &str, seen: &[Seen; 2]) {
    let what = format!("{} znodes of {} B", arguments.znodes, arguments.data_bytes);
    let [stored, restarted] = seen;
    let mut add = |name: String, unit: &'static str, goal: Goal, value: f64| {
        report.add(side, &name, unit, &[goal], value);
    };
    let memory = |when: &str| format!("resident memory with {what}, {when}{named}");
    add(memory(""), "MiB", A_QUARTER, stored.resident_mib);
    add(
        memory("after a start, "),
        "MiB",
        Goal::None,
        restarted.resident_mib,
    );
    let start = |until: &str| format!("start with {what} until {until}, {named}");
    add(start("imok"), "s", Goal::None, restarted.imok_seconds);
    add(
        start("imok and the first read"),
        "s",
        A_QUARTER,
        restarted.seconds,
    );
    let name = format!("creating {what}, {named}");
    add(name, "s", Goal::None, stored.seconds);
}

/// Creates the znodes and waits until the servers have come to rest.
fn store(cluster: &Cluster, arguments: &Arguments) -> Result<Seen> {
    let addresses = addresses(cluster);
    create_all(addresses[0], Stored::parents(arguments.znodes), 0)?;
    let mut load = Load::connect(&addresses, CONNECTIONS, PIPELINED)?;
    let mut source = Stored::of(arguments.data_bytes);
    let began = Instant::now();
    let mut left = u64::try_from(arguments.znodes)?;
    while left > 0 {
        let some = left.min(AT_ONCE);
        let ran = load.run(Until::Count(some), &mut source)?;
        ran.all_good()?;
        let limit = AT_ONCE_LIMIT.as_secs_f64();
        ensure!(
            ran.wall_s < limit,
            "{some} creates took {:.0} s, and {limit} are borne",
            ran.wall_s
        );
        left -= some;
    }
    let seconds = began.elapsed().as_secs_f64();
    drop(load);
    settle(cluster)?;
    Ok(Seen {
        resident_mib: resident_mib(cluster)?,
        seconds,
        imok_seconds: 0.0,
    })
}

/// Snapshots that are being written and garbage that is being collected come to their end.
fn settle(cluster: &Cluster) -> Result<()> {
    let deadline = Instant::now() + SETTLED_LIMIT;
    let mut before = cpu_seconds(cluster)?;
    while Instant::now() < deadline {
        thread::sleep(Duration::from_secs(2));
        let now = cpu_seconds(cluster)?;
        if now - before < 0.1 {
            return Ok(());
        }
        before = now;
    }
    Ok(())
}

/// Kills all servers, starts them again, and waits until each answers `imok` and a read.
fn restart(cluster: &mut Cluster, arguments: &Arguments) -> Result<Seen> {
    cluster.kill_all()?;
    let began = Instant::now();
    for server in 0..cluster.len() {
        cluster.spawn(server)?;
    }
    let last = Stored::path(arguments.znodes.saturating_sub(1));
    let mut imok_seconds = 0.0_f64;
    for address in addresses(cluster) {
        until(cluster, began, "imok", || {
            four_letters(address, "ruok").is_ok_and(|answer| answer == "imok")
        })?;
        imok_seconds = imok_seconds.max(began.elapsed().as_secs_f64());
        until(cluster, began, "the first read", || {
            can_read(address, &last)
        })?;
    }
    let seconds = began.elapsed().as_secs_f64();
    settle(cluster)?;
    Ok(Seen {
        resident_mib: resident_mib(cluster)?,
        seconds,
        imok_seconds,
    })
}

fn until(
    cluster: &Cluster,
    began: Instant,
    what: &str,
    mut holds: impl FnMut() -> bool,
) -> Result<()> {
    while !holds() {
        if began.elapsed() > START_LIMIT {
            let logs = cluster.nodes().iter().map(|node| node.log_tail());
            let logs: Vec<String> = logs.collect();
            bail!("no {what} after {START_LIMIT:?}:\n{}", logs.join("\n\n"));
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

fn can_read(address: SocketAddr, path: &str) -> bool {
    let Ok(mut connection) = Connection::open(address, 10_000, HANDSHAKE_LIMIT) else {
        return false;
    };
    let (path, watch) = (path.to_owned(), false);
    let request = Request::GetData(GetData { path, watch });
    let answer = connection.call(&request, READ_LIMIT);
    matches!(answer, Ok(Answer::Done { .. }))
}
