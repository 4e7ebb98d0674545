//! What this server is to the others, and what all its connections share.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ottla_model::Uuid;
use ottla_net::LogLimit;
use ottla_raft::{Endpoint, Member, NodeId};
use ottla_runtime::Runtime;
use parking_lot::Mutex;

use super::hello::{Hello, Introduction, Purpose};
use super::stream::Wrap;
use super::{Host, Limits};

/// What all connections of this server share.
pub(crate) struct Here {
    pub(crate) runtime: Runtime,
    pub(crate) limits: Limits,
    pub(crate) wrap: Wrap,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) id: NodeId,
    /// Where the others reach this server, and its volume.
    pub(crate) member: Member,
    /// Who founds the ensemble.
    pub(crate) participants: Vec<NodeId>,
    /// The other servers, as the configuration names them.
    pub(crate) others: BTreeMap<NodeId, Vec<Endpoint>>,
    /// Known once the ensemble was founded or found.
    pub(crate) ensemble_id: OnceLock<Uuid>,
    pub(crate) log_limit: LogLimit,
    /// When a message of raft came from which server, on the monotonic clock.
    heard_ms: Mutex<BTreeMap<NodeId, i64>>,
}

/// Why a call is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Something is configured wrongly.
    Wrong(String),
    /// It may be answered later.
    NotYet(String),
}

impl Refusal {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Refusal::Wrong(reason) | Refusal::NotYet(reason) => reason,
        }
    }
}

/// What [`Here`] is made of.
pub(crate) struct Parts {
    pub(crate) limits: Limits,
    pub(crate) wrap: Wrap,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) id: NodeId,
    pub(crate) member: Member,
    pub(crate) participants: Vec<NodeId>,
    pub(crate) others: BTreeMap<NodeId, Vec<Endpoint>>,
    pub(crate) ensemble_id: Option<Uuid>,
}

impl Here {
    pub(crate) fn new(runtime: &Runtime, parts: Parts) -> Self {
        Here {
            runtime: runtime.clone(),
            limits: parts.limits,
            wrap: parts.wrap,
            host: parts.host,
            id: parts.id,
            member: parts.member,
            participants: parts.participants,
            others: parts.others,
            ensemble_id: parts.ensemble_id.map(OnceLock::from).unwrap_or_default(),
            log_limit: LogLimit::new(runtime.clock.clone()),
            heard_ms: Mutex::default(),
        }
    }

    /// What others are told.
    pub(crate) fn introduction(&self) -> Introduction {
        let state = self.host.raft().map(|raft| raft.state().get());
        let leader = state.as_deref().and_then(|state| state.leader_member());
        Introduction {
            id: self.id,
            ensemble_id: self.ensemble_id.get().copied(),
            is_founded: state.as_deref().is_some_and(|state| state.initialized),
            term: state.as_deref().map_or(0, |state| state.term),
            leader: leader.map(|(id, member)| (id, member.clone())),
            member: self.member.clone(),
            participants: self.participants.clone(),
        }
    }

    /// How this server begins a call.
    pub(crate) fn hello(&self, to: NodeId, purpose: Purpose) -> Hello {
        Hello {
            purpose,
            ensemble_id: self.ensemble_id.get().copied(),
            from: self.id,
            from_directory: self.member.directory_id,
            to,
        }
    }

    /// Checks who calls whom.
    pub(crate) fn admit(&self, hello: &Hello) -> Result<(), Refusal> {
        let (here, from) = (self.id, hello.from);
        if hello.to != here {
            let to = hello.to;
            return Err(Refusal::Wrong(format!(
                "server {from} calls server {to}, but this is server {here}: correct the lines \
                 server.{to} and server.{here}, or myid"
            )));
        }
        if from == here {
            let (theirs, ours) = (hello.from_directory, self.member.directory_id);
            return Err(Refusal::Wrong(format!(
                "server {here} with directory {ours} is called by a server {from} with directory \
                 {theirs}: two servers have the same myid, or the lines server.N lead back here"
            )));
        }
        self.same_ensemble(from, hello.ensemble_id)?;
        let missing = match (hello.ensemble_id, self.ensemble_id.get()) {
            _ if hello.purpose == Purpose::Meet => None,
            (None, _) => Some(from),
            (_, None) => Some(here),
            (Some(_), Some(_)) => None,
        };
        if let Some(who) = missing {
            return Err(Refusal::NotYet(format!("server {who} has no ensemble yet")));
        }
        match hello.purpose {
            Purpose::Forward => self.admit_member(from, hello.from_directory),
            Purpose::Meet | Purpose::Raft => Ok(()),
        }
    }

    /// An error that names both sides if the other server belongs to another ensemble.
    pub(crate) fn same_ensemble(&self, other: NodeId, theirs: Option<Uuid>) -> Result<(), Refusal> {
        match (theirs, self.ensemble_id.get()) {
            (Some(theirs), Some(ours)) if theirs != *ours => {
                let here = self.id;
                Err(Refusal::Wrong(format!(
                    "server {other} belongs to ensemble {theirs}, and server {here} to ensemble \
                     {ours}: correct the lines server.N, or mount the right volume"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Commands come from members of the group alone: a server whose volume was replaced, or that
    /// was removed, follows nobody.
    fn admit_member(&self, from: NodeId, directory_id: Uuid) -> Result<(), Refusal> {
        let state = self.host.raft().map(|raft| raft.state().get());
        let known = state.as_deref().and_then(|state| state.member(from));
        match known {
            Some(known) if known.directory_id == directory_id => Ok(()),
            Some(known) => Err(Refusal::Wrong(format!(
                "server {from} calls with directory {directory_id}, but belongs to the ensemble \
                 with directory {}: its volume was replaced",
                known.directory_id
            ))),
            None => Err(Refusal::NotYet(format!(
                "server {from} does not belong to the ensemble of server {} yet",
                self.id
            ))),
        }
    }

    /// A message of raft has come.
    pub(crate) fn heard(&self, from: NodeId) {
        let now_ms = self.runtime.clock.monotonic_ms();
        self.heard_ms.lock().insert(from, now_ms);
    }

    /// When a message of raft came from a server last.
    pub(crate) fn heard_ms(&self, from: NodeId) -> Option<i64> {
        self.heard_ms.lock().get(&from).copied()
    }

    pub(crate) fn connect_limit(&self) -> Duration {
        Duration::from_millis(self.limits.connect_ms)
    }

    pub(crate) fn hello_limit(&self) -> Duration {
        Duration::from_millis(self.limits.hello_ms)
    }

    pub(crate) fn silence(&self) -> Duration {
        Duration::from_millis(self.limits.silence_ms)
    }

    /// How often something is said at least.
    pub(crate) fn beat(&self) -> Duration {
        self.silence() / 4
    }
}
