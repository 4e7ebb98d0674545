//! Clients that go on through faults and write down what they do: idempotent and transactional
//! producers, consumers that choose their partitions, members of a group, on librdkafka and on
//! Kafka's own library.
//!
//! | topic | who writes | who reads |
//! |---|---|---|
//! | `plain` | idempotent producers | readers of everything; a group, whose offsets an observer asks for |
//! | `sent` | transactions | readers of what is committed |
//! | `source` | filled before the faults | transactions, which move it … |
//! | `moved` | … to here, with their offsets | readers of what is committed |

mod disk;
mod ending;
mod group;
mod outside;
mod producer;
mod reader;
mod topics;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rdkafka::config::ClientConfig;

use crate::dice::Dice;
use crate::history::{Client, History, Journal, Moves, Place, Role};

pub use disk::{Audit, audit};
pub use ending::Ending;
pub use outside::Programs;
pub use topics::TOPICS;

/// How many partitions the topics of free choice have.
const PARTITIONS: i32 = 3;
/// Transactional clients; each moves a partition of its own.
const TRANSACTORS: usize = 2;
const GROUP: &str = "group-of-members";
const MOVERS: &str = "group-of-movers";

/// How the clients behave.
#[derive(Clone, Debug)]
pub struct WorkloadOptions {
    /// All nodes' `HOST:PORT`, separated by commas.
    pub bootstrap: String,
    /// What they choose depends on it.
    pub seed: u64,
    /// How many replicas each topic has.
    pub replication_factor: i32,
    /// Of which so many must be in sync.
    pub min_in_sync: i32,
    /// What producers without transactions wait for. With anything but "all" they are not idempotent,
    /// and acknowledged records may get lost: that shows what the checks find.
    pub acks: String,
    /// How long a producer rests between two records.
    pub pause: Duration,
    /// The clients that are programs of their own; without them only librdkafka in this process.
    pub programs: Option<Programs>,
    /// Where journals go.
    pub folder: PathBuf,
}

/// Clients at work.
#[derive(Debug)]
pub struct Workload {
    options: WorkloadOptions,
    /// Producers stop sending.
    quiet: Arc<AtomicBool>,
    /// Consumers end.
    ended: Arc<AtomicBool>,
    producers: Vec<Running>,
    consumers: Vec<Running>,
    outside: Option<outside::Outside>,
    /// Where each journal is, with who writes it.
    journals: Vec<(String, Role)>,
}

/// A client in a thread of this process.
#[derive(Debug)]
struct Running {
    name: String,
    thread: JoinHandle<Result<()>>,
}

impl Workload {
    /// Creates the topics, fills the source, and starts all clients.
    pub fn start(options: WorkloadOptions) -> Result<Workload> {
        fs::create_dir_all(&options.folder)?;
        topics::create(&options)?;
        let mut workload = Workload {
            quiet: Arc::default(),
            ended: Arc::default(),
            producers: Vec::new(),
            consumers: Vec::new(),
            outside: None,
            journals: Vec::new(),
            options,
        };
        workload.start_producers()?;
        workload.start_consumers()?;
        if let Some(programs) = workload.options.programs.clone() {
            topics::fill_source(&workload.options)?;
            workload.outside = Some(outside::Outside::start(&workload.options, programs)?);
        }
        Ok(workload)
    }

    /// Kills one of the transactional clients, and starts it again under the same name.
    pub fn kill_a_client(&mut self, dice: &mut Dice) -> Result<()> {
        match &mut self.outside {
            Some(outside) => outside.kill_one(dice),
            None => Ok(()),
        }
    }

    /// Starts those transactional clients again that gave up by themselves, as they do when they are
    /// told that somebody else has their name, or time is over.
    pub fn keep_running(&mut self) -> Result<()> {
        match &mut self.outside {
            Some(outside) => outside.keep_running(),
            None => Ok(()),
        }
    }

    fn start_producers(&mut self) -> Result<()> {
        for number in 0..2 {
            let name = format!("rd-producer-{number}");
            let journal = Arc::new(self.journal(&name, Role::Producer)?);
            let (options, quiet) = (self.options.clone(), Arc::clone(&self.quiet));
            let of_thread = name.clone();
            let body = move || producer::run(&options, &of_thread, &journal, &quiet);
            self.producers.push(Running::start(name, body)?);
        }
        Ok(())
    }

    fn start_consumers(&mut self) -> Result<()> {
        for (name, committed) in [
            ("rd-reader-of-all", false),
            ("rd-reader-of-committed", true),
        ] {
            let journal = self.journal(name, Role::Reader { committed })?;
            let (options, ended) = (self.options.clone(), Arc::clone(&self.ended));
            let body = move || reader::run(&options, committed, &journal, &ended);
            self.consumers.push(Running::start(name.to_owned(), body)?);
        }
        let group = || GROUP.to_owned();
        let journal = self.journal("rd-member", Role::Member { group: group() })?;
        let (options, ended) = (self.options.clone(), Arc::clone(&self.ended));
        let body = move || group::run_member(&options, journal, &ended);
        self.consumers
            .push(Running::start("rd-member".into(), body)?);
        let journal = self.journal("rd-observer", Role::Observer { group: group() })?;
        let (options, ended) = (self.options.clone(), Arc::clone(&self.ended));
        let body = move || group::run_observer(&options, &journal, &ended);
        self.consumers
            .push(Running::start("rd-observer".into(), body)?);
        Ok(())
    }

    fn journal(&mut self, name: &str, role: Role) -> Result<Journal> {
        self.journals.push((name.to_owned(), role));
        Journal::create(&journal_path(&self.options.folder, name))
    }

    fn all_journals(&self) -> Vec<(String, Role)> {
        let outside = self.outside.iter().flat_map(outside::Outside::journals);
        self.journals.iter().cloned().chain(outside).collect()
    }

    fn read_journals(&self) -> Result<Vec<Client>> {
        let read = |(name, role): (String, Role)| -> Result<Client> {
            let entries = Journal::read(&journal_path(&self.options.folder, &name))?;
            Ok(Client {
                name,
                role,
                entries,
            })
        };
        self.all_journals().into_iter().map(read).collect()
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.quiet.store(true, Ordering::SeqCst);
        self.ended.store(true, Ordering::SeqCst);
    }
}

impl Running {
    fn start(name: String, body: impl FnOnce() -> Result<()> + Send + 'static) -> Result<Running> {
        let thread = thread::Builder::new().name(name.clone()).spawn(body)?;
        Ok(Running { name, thread })
    }

    fn join(self) -> Result<()> {
        let name = self.name;
        let outcome = self.thread.join().map_err(|_| anyhow!("{name} panicked"))?;
        outcome.with_context(|| format!("{name} ended badly"))
    }
}

/// Librdkafka's usual settings, with which it notices faults in seconds.
fn config(options: &WorkloadOptions, properties: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.bootstrap);
    for (name, value) in [
        ("socket.timeout.ms", "6000"),
        ("socket.connection.setup.timeout.ms", "3000"),
        ("reconnect.backoff.max.ms", "500"),
        ("topic.metadata.refresh.interval.ms", "3000"),
    ]
    .iter()
    .chain(properties)
    {
        config.set(*name, *value);
    }
    config
}

/// The new protocol of groups, or the classic one, as the seed will have it.
fn group_protocol(options: &WorkloadOptions) -> &'static str {
    if options.seed.is_multiple_of(2) {
        "classic"
    } else {
        "consumer"
    }
}

fn journal_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.journal"))
}

/// All partitions of all topics.
fn places(options: &WorkloadOptions) -> Vec<Place> {
    let of = |topic, count| (0..count).map(move |partition| Place::of(topic, partition));
    let mut all: Vec<Place> = of(topics::PLAIN, PARTITIONS).collect();
    if options.programs.is_some() {
        all.extend(of(topics::SENT, PARTITIONS));
        all.extend(of(topics::SOURCE, topics::transactors()));
        all.extend(of(topics::MOVED, topics::transactors()));
    }
    all
}

fn moves() -> Moves {
    Moves {
        from: topics::SOURCE.into(),
        to: topics::MOVED.into(),
        group: MOVERS.into(),
    }
}

/// An empty history that knows who moves what.
fn history(options: &WorkloadOptions) -> History {
    History {
        moves: options.programs.is_some().then(moves),
        ..History::default()
    }
}
