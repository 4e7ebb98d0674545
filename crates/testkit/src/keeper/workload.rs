//! Clients of an ensemble that is to lose nothing: workers are clients of the crate `zookeeper-client`,
//! which look after their connection themselves; nomads move their session from server to server, let
//! it live on without a connection, and end it in every way.
//!
//! ```text
//!   /register-0…      written (sometimes only over a known version), read, watched
//!   /pair-0, /pair-1  written together, with one `multi`
//!   /kept/n-…         sequential nodes that stay
//!   /mortal/n-…       sequential nodes that live as long as their session
//! ```

mod ending;
mod nomad;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use ottla_jute::{Acl, Create, ErrorCode, Request};

use super::check::PAIR;
use super::connection::{Answer as Reply, Connection};
use super::history::{Entry, Event, History};
use crate::dice::Dice;
use crate::history::now_us;

use nomad::Nomad;
use worker::Worker;

const REGISTERS: usize = 5;
const PAIRS: usize = 2;
const KEPT: &str = "/kept";
const MORTAL: &str = "/mortal";
/// Both kinds of sequential nodes are called so.
const NAME: &str = "n-";
/// Of sessions that are to live through most faults, and of those that are to end now and then.
const WORKER_TIMEOUT_MS: u64 = 6000;
const NOMAD_TIMEOUT_MS: i32 = 2500;
/// How long a request may take before its client gives it up.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);
const PREPARE_LIMIT: Duration = Duration::from_secs(60);
/// How long clients may take to come to their end when all is well.
const END_LIMIT: Duration = Duration::from_secs(120);

/// How much is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// The servers' addresses.
    pub servers: Vec<SocketAddr>,
    /// What clients choose follows from it.
    pub seed: u64,
    /// How many clients of `zookeeper-client`.
    pub workers: usize,
    /// How many clients that move.
    pub nomads: usize,
    /// The longest time between two requests of a client.
    pub pause: Duration,
}

/// Clients at work.
#[derive(Debug)]
pub struct Workload {
    options: Options,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    runtime: tokio::runtime::Runtime,
    workers: Vec<tokio::task::JoinHandle<Vec<Entry>>>,
    nomads: Vec<JoinHandle<Result<Vec<Entry>>>>,
}

impl Workload {
    /// Makes the znodes that clients use, and starts the clients.
    pub fn start(options: Options) -> Result<Workload> {
        prepare(&options.servers)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let (stop, done) = (Arc::default(), Arc::default());
        let journal = || Journal {
            stop: Arc::clone(&stop),
            done: Arc::clone(&done),
            session: 0,
            entries: Vec::new(),
        };
        let mut workers = Vec::new();
        for number in 0..options.workers {
            let dice = Dice::named(options.seed, &format!("worker-{number}"));
            let worker = Worker::new(number, &options, dice, journal());
            workers.push(runtime.spawn(worker.work()));
        }
        let mut nomads = Vec::new();
        for number in 0..options.nomads {
            let dice = Dice::named(options.seed, &format!("nomad-{number}"));
            let nomad = Nomad::new(&options, dice, journal());
            nomads.push(std::thread::spawn(move || nomad.wander()));
        }
        Ok(Workload {
            options,
            stop,
            done,
            runtime,
            workers,
            nomads,
        })
    }

    /// How many events there were so far.
    pub fn events(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Brings all clients to their end, waits until their sessions are over, and looks what there is on
    /// every server. All faults must be mended.
    pub fn finish(self) -> Result<History> {
        self.stop.store(true, Ordering::SeqCst);
        let mut clients = Vec::new();
        let deadline = Instant::now() + END_LIMIT;
        for worker in self.workers {
            let left = deadline.saturating_duration_since(Instant::now());
            let ended = self
                .runtime
                .block_on(async { tokio::time::timeout(left, worker).await });
            match ended {
                Ok(entries) => clients.push(entries?),
                Err(_) => bail!("a client does not come to its end within {END_LIMIT:?}"),
            }
        }
        for nomad in self.nomads {
            while !nomad.is_finished() {
                ensure!(
                    Instant::now() < deadline,
                    "a client that moves does not come to its end within {END_LIMIT:?}"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
            match nomad.join() {
                Ok(entries) => clients.push(entries?),
                Err(_) => bail!("a client that moves has panicked"),
            }
        }
        // Clients that are dropped end their sessions behind our back.
        let trees = ending::trees(&self.options.servers)?;
        Ok(History { clients, trees })
    }
}

fn register(number: usize) -> String {
    format!("/register-{number}")
}

fn pair(number: usize) -> String {
    format!("{PAIR}{number}")
}

fn prepare(servers: &[SocketAddr]) -> Result<()> {
    let deadline = Instant::now() + PREPARE_LIMIT;
    let mut paths: Vec<String> = (0..REGISTERS).map(register).collect();
    paths.extend((0..PAIRS).map(pair));
    paths.extend([KEPT, MORTAL].map(str::to_owned));
    for at in (0..servers.len()).cycle() {
        ensure!(Instant::now() < deadline, "nothing can be written");
        let opened = Connection::open(servers[at], NOMAD_TIMEOUT_MS, REQUEST_LIMIT);
        let Ok(mut connection) = opened else { continue };
        let mut is_done = true;
        for path in &paths {
            is_done &= is_made(&mut connection, path)?;
        }
        if is_done {
            connection.call(&Request::CloseSession, REQUEST_LIMIT)?;
            return Ok(());
        }
    }
    bail!("there are no servers")
}

fn is_made(connection: &mut Connection, path: &str) -> Result<bool> {
    let request = create(path.to_owned(), "", 0);
    match connection.call(&request, REQUEST_LIMIT)? {
        Reply::Done { .. } => Ok(true),
        Reply::Failed {
            error: ErrorCode::NodeExists,
            ..
        } => Ok(true),
        Reply::Failed { error, .. } => bail!("{path} cannot be made: {error}"),
        Reply::Lost => Ok(false),
    }
}

fn create(path: String, data: &str, flags: i32) -> Request {
    Request::Create(Create {
        path,
        data: Some(data.as_bytes().to_vec().into()),
        acl: vec![Acl::open()],
        flags,
    })
}

/// Where a client notes what it does.
#[derive(Debug)]
struct Journal {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    session: usize,
    entries: Vec<Entry>,
}

impl Journal {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Notes what began then and has ended now.
    fn note(&mut self, began_us: u64, event: Event) {
        if matches!(event, Event::Opened { .. }) {
            self.session += 1;
        }
        self.done.fetch_add(1, Ordering::Relaxed);
        self.entries.push(Entry {
            session: self.session,
            began_us,
            ended_us: now_us(),
            event,
        });
    }
}
