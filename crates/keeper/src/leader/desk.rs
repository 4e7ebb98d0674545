//! Where the commands of all servers come together while this one leads.
//!
//! ```text
//! own clients ─┐
//! followers ───┼─▶ gathered ─▶ entry (while a few others are on their way) ─▶ raft
//! sessions ────┘
//! ```
//!
//! Few entries are on their way at a time, and what comes meanwhile goes into the next one: under
//! load an entry has hundreds of commands, which cost one flush together.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ottla_raft::{Position, Proposal, ProposeError, State};
use ottla_runtime::{Instant, Service, Shutdown};
use ottla_znode::Command;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::entry::{self, Commands};
use crate::server::Server;

/// So many entries are on their way at a time.
const ENTRIES_MAX: usize = 4;
/// A leader that a majority does not answer gives its clients up after so long.
const ALONE_MAX: Duration = Duration::from_secs(2);
/// Whoever brings more than this waits.
const GATHERED_BYTES: usize = 4 << 20;

/// A time of office. A leader that could not reach the others for a while begins a new one in the same
/// term: what had been gathered is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Office {
    pub(crate) term: u64,
    number: u64,
}

/// This server does not lead, or leads anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotInOffice;

#[derive(Default)]
struct Gathered {
    office: Option<Office>,
    offices: u64,
    commands: Commands,
}

/// The calling side.
#[derive(Default)]
pub(crate) struct Desk {
    gathered: Mutex<Gathered>,
    /// There are commands.
    filled: Notify,
    /// There is room, or the office has ended.
    emptied: Notify,
    /// An office has begun or ended.
    changed: Notify,
}

impl Desk {
    /// The office that this server is in.
    pub(crate) fn office(&self) -> Option<Office> {
        self.gathered.lock().office
    }

    /// Waits until this server is in office in a term; for ever if it never is: whoever waits knows
    /// otherwise when to give up.
    pub(crate) async fn taken(&self, term: u64) -> Office {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(office) = self.office().filter(|office| office.term == term) {
                return office;
            }
            changed.await;
        }
    }

    /// Waits until this server is in an office other than that one.
    pub(crate) async fn leaves(&self, office: Office) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.office() != Some(office) {
                return;
            }
            changed.await;
        }
    }

    /// Adds commands that were put together elsewhere, and waits when there are too many.
    pub(crate) async fn bring(&self, office: Office, commands: &[u8]) -> Result<(), NotInOffice> {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            {
                let mut gathered = self.gathered.lock();
                if gathered.office != Some(office) {
                    return Err(NotInOffice);
                }
                if gathered.commands.len() < GATHERED_BYTES {
                    gathered.commands.extend(commands);
                    self.filled.notify_one();
                    return Ok(());
                }
            }
            emptied.await;
        }
    }

    /// Adds a command of the leader's own. Outside of an office it is dropped: the next leader comes
    /// to the same decision.
    pub(crate) fn propose(&self, command: &Command) {
        let mut gathered = self.gathered.lock();
        if gathered.office.is_some() {
            gathered.commands.push(command);
            self.filled.notify_one();
        }
    }

    fn take(&self, office: Office) -> Option<Bytes> {
        let mut gathered = self.gathered.lock();
        if gathered.office != Some(office) || gathered.commands.is_empty() {
            return None;
        }
        let taken = gathered.commands.take();
        self.emptied.notify_waiters();
        Some(taken)
    }

    fn begin(&self, term: u64) -> Office {
        let mut gathered = self.gathered.lock();
        gathered.offices += 1;
        let office = Office {
            term,
            number: gathered.offices,
        };
        gathered.commands.clear();
        gathered.office = Some(office);
        self.changed.notify_waiters();
        office
    }

    fn end(&self) {
        let mut gathered = self.gathered.lock();
        gathered.office = None;
        gathered.commands.clear();
        self.changed.notify_waiters();
        self.emptied.notify_waiters();
    }
}

/// The running half: it begins and ends offices, and proposes.
pub(crate) struct DeskService {
    pub(crate) server: Arc<Server>,
    pub(crate) raft: ottla_raft::Handle,
}

impl Service for DeskService {
    async fn run(self, shutdown: Shutdown) -> Result<(), String> {
        let mut state = self.raft.state();
        loop {
            let now = state.get();
            if now.ready {
                self.hold_office(&now, &shutdown).await;
            }
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                alive = state.changed() => if !alive {
                    return Ok(());
                },
            }
        }
    }
}

impl DeskService {
    /// One office, from its beginning to its end.
    async fn hold_office(&self, state: &State, shutdown: &Shutdown) {
        let desk = &self.server.desk;
        let office = desk.begin(state.term);
        let (moments, clock) = (&self.server.moments, &self.server.runtime.clock);
        moments.set_leads(clock, true);
        self.server.liveness.begin(&self.server);
        self.write_down_ensemble();
        tracing::info!(term = state.term, "this server leads the ensemble");
        let ended = tokio::select! {
            biased;
            () = shutdown.announced() => "the server is stopping".to_owned(),
            reason = self.propose_all(office) => reason,
        };
        desk.end();
        moments.set_leads(clock, false);
        self.server.liveness.end();
        tracing::info!(term = state.term, reason = %ended, "this server leads the ensemble no more");
    }

    /// The first leader of an ensemble writes the servers that its configuration names into the tree,
    /// from where `reconfig` takes them.
    fn write_down_ensemble(&self) {
        let servers = &self.server.config.servers;
        if servers.is_empty() || self.server.tree.read().config_version() != 0 {
            return;
        }
        self.server.desk.propose(&Command::SetConfig {
            requester: None,
            expected_version: -1,
            members: crate::reconfig::lines(servers),
        });
    }

    /// Proposes what is gathered, until the office ends; why it does.
    async fn propose_all(&self, office: Office) -> String {
        let clock = &self.server.runtime.clock;
        let mut state = self.raft.state();
        let mut cut_off: Option<Instant> = None;
        let mut on_their_way = FuturesUnordered::new();
        loop {
            let filled = self.server.desk.filled.notified();
            if on_their_way.len() < ENTRIES_MAX
                && let Some(commands) = self.server.desk.take(office)
            {
                match self.propose(office, &commands).await {
                    Ok(proposal) => on_their_way.push(self.acknowledged(proposal)),
                    Err(error) => return error.to_string(),
                }
                continue;
            }
            let has_room = on_their_way.len() < ENTRIES_MAX;
            tokio::select! {
                biased;
                Some(done) = on_their_way.next() => if let Err(error) = done {
                    return error.to_string();
                },
                () = filled, if has_room => {}
                alive = state.changed() => {
                    let now = state.get();
                    if !alive || !now.is_leader || now.term != office.term {
                        return "another server may lead".to_owned();
                    }
                    let since = match (now.ready, cut_off) {
                        (true, _) => None,
                        (false, None) => Some(clock.instant()),
                        (false, since) => since,
                    };
                    cut_off = since;
                    let silent = since.map(|at| clock.instant().saturating_duration_since(at));
                    if silent.is_some_and(|silent| silent >= ALONE_MAX) {
                        return "a majority of the servers does not answer".to_owned();
                    }
                }
            }
        }
    }

    /// Waits for a majority, and counts how long that takes.
    async fn acknowledged(&self, proposal: Proposal) -> Result<(Position, Bytes), ProposeError> {
        let clock = &self.server.runtime.clock;
        let began = clock.instant();
        let done = proposal.wait().await?;
        let took = clock.instant().saturating_duration_since(began);
        self.server.meters.quorum_acks.took(took);
        Ok(done)
    }

    async fn propose(&self, office: Office, commands: &[u8]) -> Result<Proposal, ProposeError> {
        let now_ms = self.server.runtime.clock.now_ms();
        let entry = entry::encode(office.term, self.server.rules, now_ms, commands);
        self.server.meters.proposal_sizes.add(entry.len());
        self.raft.propose(office.term, entry).await
    }
}
