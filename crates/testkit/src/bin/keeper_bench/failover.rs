//! The leader is killed: how long until somebody else takes writes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use ottla_jute::{Request, SetData};
use ottla_testkit::keeper::{Answer, Connection, Opened, Session};
use ottla_testkit::report::{Goal, Report};

use crate::requests::create_all;
use crate::side::{Programs, Side, addresses};

const SERVERS: usize = 3;
const BETWEEN_WRITES: Duration = Duration::from_millis(5);
const BEFORE_A_KILL: Duration = Duration::from_secs(2);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(2);
/// How long a client believes in a write that nobody answers.
const WRITE_LIMIT: Duration = Duration::from_secs(8);
const LIMIT: Duration = Duration::from_secs(90);
const PATH: &str = "/failover";

/// A write that was answered.
struct Written {
    sent: Instant,
    answered: Instant,
}

/// One client on each server writes all the time, and goes to the next server when its own is gone.
pub(crate) fn measure(
    report: &mut Report,
    kills: usize,
    programs: &Programs,
    side: Side,
) -> Result<()> {
    let mut cluster = programs.start(side, SERVERS)?;
    let addresses = addresses(&cluster);
    create_all(addresses[0], [PATH.to_owned()].into_iter(), 10)?;
    let stop = AtomicBool::new(false);
    let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let writers: Vec<Receiver<Written>> = (0..SERVERS)
            .map(|server| {
                let (sender, receiver) = mpsc::channel();
                let (addresses, stop) = (&addresses, &stop);
                scope.spawn(move || write_on(addresses, server, stop, &sender));
                receiver
            })
            .collect();
        let outcome = (0..kills).try_for_each(|_| {
            thread::sleep(BEFORE_A_KILL);
            let leader = cluster.leader().context("nobody leads")?;
            let killed = Instant::now();
            cluster.kill(leader)?;
            let mut times = Vec::new();
            for writer in &writers {
                let written = first_behind(writer, killed)?;
                times.push((written.answered - killed).as_secs_f64() * 1000.0);
            }
            times.sort_by(f64::total_cmp);
            firsts.extend(times.first());
            lasts.extend(times.last());
            println!("  {} killed: writes again after {times:.0?} ms", leader + 1);
            cluster.spawn(leader)?;
            cluster.wait_ready(leader)
        });
        stop.store(true, Ordering::SeqCst);
        outcome
    })?;
    for (what, mut times) in [("the first client", firsts), ("all three clients", lasts)] {
        times.sort_by(f64::total_cmp);
        let goal = [Goal::AtMost(1000.0)];
        let (median, worst) = (times.get(times.len() / 2), times.last());
        for (which, time) in [("median", median), ("worst", worst)] {
            let name = format!("leader killed until {what} write again, {which} of {kills}");
            report.add(side, &name, "ms", &goal, *time.context("no kill")?);
        }
    }
    cluster.stop_all()
}

/// The first write that was sent after the kill and answered.
fn first_behind(writer: &Receiver<Written>, killed: Instant) -> Result<Written> {
    loop {
        let left = (killed + LIMIT).saturating_duration_since(Instant::now());
        match writer.recv_timeout(left) {
            Ok(written) if written.sent > killed => return Ok(written),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => bail!("no write after {LIMIT:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("a client has ended"),
        }
    }
}

/// Tells of each write that was answered.
fn write_on(addresses: &[SocketAddr], server: usize, stop: &AtomicBool, told: &Sender<Written>) {
    let request = Request::SetData(SetData {
        path: PATH.to_owned(),
        data: Some(Bytes::from(server.to_string())),
        version: -1,
    });
    let mut session: Option<Session> = None;
    let mut next = server;
    while !stop.load(Ordering::SeqCst) {
        let address = addresses[next % addresses.len()];
        next += 1;
        let opened = match &session {
            Some(session) => Connection::resume(address, session, 0, HANDSHAKE_LIMIT),
            None => Connection::open(address, 20_000, HANDSHAKE_LIMIT).map(Opened::Session),
        };
        let mut connection = match opened {
            Ok(Opened::Session(connection)) => connection,
            Ok(Opened::Expired) => {
                session = None;
                continue;
            }
            Ok(Opened::Closed) | Err(_) => {
                thread::sleep(BETWEEN_WRITES);
                continue;
            }
        };
        session = Some(connection.session().clone());
        loop {
            let sent = Instant::now();
            let Ok(Answer::Done { .. }) = connection.call(&request, WRITE_LIMIT) else {
                break;
            };
            let answered = Instant::now();
            let is_over = told.send(Written { sent, answered }).is_err();
            if is_over || stop.load(Ordering::SeqCst) {
                return;
            }
            thread::sleep(BETWEEN_WRITES);
        }
    }
}
