//! The clients: they use the cluster as anyone would, and write down what they are told.

mod auditor;
mod committer;
mod creator;
mod mover;
mod tail;
mod writer;

use std::time::Duration;

use ottla_client::{Client, ClientOptions, Error};
use ottla_runtime::disk::SimDisk;
use ottla_runtime::{Random, Runtime, Shutdown};

use crate::history::{Event, History};

pub(crate) use auditor::audit;

/// The topic that records are written to.
const TOPIC: &str = "records";
/// The group whose offsets are committed.
const GROUP: &str = "readers";

/// What clients are told before there are any.
#[derive(Clone)]
pub(crate) struct Brief {
    pub(crate) seed: u64,
    pub(crate) history: History,
    /// Announced when the faults are over and it is time to finish.
    pub(crate) over: Shutdown,
    /// The partitions of the topic that records are written to.
    pub(crate) partitions: i32,
    /// Where the brokers are.
    pub(crate) brokers: Vec<String>,
    pub(crate) broker_ids: Vec<i32>,
    /// Whether partitions are moved between them.
    pub(crate) moves: bool,
}

impl Brief {
    /// The same with a seed of its own.
    pub(crate) fn for_host(&self, number: u64) -> Self {
        Brief {
            seed: self.seed.wrapping_mul(31).wrapping_add(number),
            ..self.clone()
        }
    }
}

/// Creates the topic and writes until the faults are over.
pub(crate) async fn write_all(brief: Brief) {
    let desk = Desk::new(brief);
    creator::create_records_topic(&desk).await;
    tokio::join!(
        biased;
        writer::write(desk.clone(), 0),
        writer::write(desk.clone(), 1),
    );
}

/// Reads, commits, creates and deletes until the faults are over.
pub(crate) async fn read_all(brief: Brief) {
    let desk = Desk::new(brief);
    tokio::join!(
        biased;
        tail::follow(desk.clone()),
        committer::commit(desk.clone()),
        creator::create_and_delete(desk.clone()),
        async {
            if desk.moves {
                mover::move_about(desk.clone()).await;
            }
        },
    );
}

/// What every client has.
#[derive(Clone)]
struct Desk {
    runtime: Runtime,
    random: Random,
    history: History,
    over: Shutdown,
    partitions: i32,
    brokers: Vec<String>,
    broker_ids: Vec<i32>,
    moves: bool,
}

impl Desk {
    /// A desk inside of a host.
    fn new(brief: Brief) -> Self {
        let seed = brief.seed;
        Desk {
            runtime: Runtime::simulated(seed, SimDisk::new(seed)),
            random: Random::from_seed(seed ^ 0x776f_726b),
            history: brief.history,
            over: brief.over,
            partitions: brief.partitions,
            brokers: brief.brokers,
            broker_ids: brief.broker_ids,
            moves: brief.moves,
        }
    }

    /// Replicas of a topic: on three brokers, or on all of fewer.
    fn replicas(&self) -> i16 {
        self.brokers.len().min(3) as i16
    }

    /// A client; `None` when the faults are over before there is one.
    async fn client(&self, who: &'static str, deadline: Duration) -> Option<Client> {
        loop {
            let options = self.options(who, deadline);
            let bootstrap = self.brokers.clone();
            match Client::connect(self.runtime.clone(), bootstrap, options).await {
                Ok(client) => return Some(client),
                Err(error) => self.history.note_error(who, &error),
            }
            if self.over.is_announced() {
                return None;
            }
        }
    }

    /// Waits for up to `max_ms`; whether there is still time.
    async fn pause(&self, max_ms: u64) -> bool {
        let wait = Duration::from_millis(self.random.below(max_ms + 1));
        let clock = &self.runtime.clock;
        clock.timeout(wait, self.over.announced()).await.is_none() && !self.over.is_announced()
    }

    /// Writes an error down.
    fn failed(&self, who: &'static str, error: &Error) {
        self.history.note_error(who, error);
    }

    fn note(&self, event: Event) {
        self.history.note(event);
    }
}

impl Desk {
    fn options(&self, who: &str, deadline: Duration) -> ClientOptions {
        ClientOptions {
            client_id: who.to_owned(),
            connect_timeout: Duration::from_millis(300),
            request_timeout: Duration::from_millis(250 + self.random.below(400)),
            deadline,
            retry_backoff: Duration::from_millis(20),
            retry_backoff_max: Duration::from_millis(200),
            ..ClientOptions::default()
        }
    }
}
