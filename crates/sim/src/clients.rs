//! The clients: they use the node as anyone would, and write down what they are told.

mod auditor;
mod committer;
mod creator;
mod tail;
mod writer;

use std::time::Duration;

use ottla_client::{Client, ClientOptions, Error};
use ottla_runtime::disk::SimDisk;
use ottla_runtime::{Random, Runtime, Shutdown};

use crate::history::{Event, History};
use crate::node::ADDRESS;

pub(crate) use auditor::audit;
pub(crate) use committer::commit;
pub(crate) use creator::{create_and_delete, create_records_topic};
pub(crate) use tail::follow;
pub(crate) use writer::write;

/// The topic that records are written to.
pub(crate) const TOPIC: &str = "records";
/// The group whose offsets are committed.
pub(crate) const GROUP: &str = "readers";

/// What every client has.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) runtime: Runtime,
    pub(crate) random: Random,
    pub(crate) history: History,
    /// Announced when the faults are over and it is time to finish.
    pub(crate) over: Shutdown,
    pub(crate) partitions: i32,
}

impl Desk {
    /// A desk inside of a host.
    pub(crate) fn new(seed: u64, history: History, over: Shutdown, partitions: i32) -> Self {
        Desk {
            runtime: Runtime::simulated(seed, SimDisk::new(seed)),
            random: Random::from_seed(seed ^ 0x776f_726b),
            history,
            over,
            partitions,
        }
    }

    /// A client; `None` when the faults are over before there is one.
    async fn client(&self, who: &'static str, deadline: Duration) -> Option<Client> {
        loop {
            let options = self.options(who, deadline);
            let bootstrap = vec![ADDRESS.to_owned()];
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
