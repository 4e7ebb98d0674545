//! The servers of an ensemble: how they find each other, talk to each other, and come and go.
//!
//! ```text
//! Members::start   the volume's identity, the port of the servers
//!       │
//! Members::find    the ensemble is found, or this server founds it      (founding)
//!       │
//! Raft::open       by whoever has the state machine, with Members::transport
//!       │
//! Members::take_part   the group is founded; joins, votes               (joiner, changes)
//! ```
//!
//! A server has one TCP port for the others, the first one of its line `server.N`. A connection says
//! first who calls whom and what for (`hello`), then carries questions, messages of raft
//! (`link`, `door/raft_lane`), or commands for the leader (`forward`, `door/forward_lane`).
//!
//! Architecture invariant: nothing here knows what an entry or a forwarded frame means.

mod ask;
mod changes;
mod codec;
mod dial;
mod door;
#[cfg(test)]
mod fixture;
mod forward;
mod founding;
mod frames;
mod hello;
mod here;
mod host;
mod identity;
mod joiner;
mod link;
mod options;
mod peers;
mod questions;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_model::Uuid;
use ottla_raft::{Endpoint, Member, NodeId};
use ottla_runtime::published::{Published, Publisher, published};
use ottla_runtime::{Runtime, Shutdown};
use parking_lot::Mutex;

pub use changes::{ChangeError, Reconfigured};
pub use forward::{ForwardLink, LinkEnded};
pub use host::{ForwardSink, Host};
pub use identity::Identity;
pub use joiner::Standing;
pub use options::{Limits, Options, endpoints, node_id};
pub use peers::PeerTransport;

use ask::ask;
use changes::Membership;
use door::{Reception, listen};
use founding::{Found, search};
use here::{Here, Parts};
use joiner::Joiner;
use questions::{Question, decode_change_answer};
use stream::Wrap;

use crate::error::Error;

/// How long a change of the ensemble waits for a leader.
const CHANGE_PATIENCE: Duration = Duration::from_secs(5);
const CHANGE_AGAIN: Duration = Duration::from_millis(50);

/// The ensemble that this server belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensemble {
    /// Names it.
    pub id: Uuid,
    /// Those who found it, if this server has to do so.
    voters: Option<BTreeMap<NodeId, Member>>,
}

/// The server among the others. Cheap to clone.
#[derive(Clone)]
pub struct Members(Arc<Inner>);

struct Inner {
    here: Arc<Here>,
    peers: PeerTransport,
    reception: Arc<Reception>,
    data_dir: PathBuf,
    is_standalone: bool,
    addresses: Vec<SocketAddr>,
    identity: Mutex<Identity>,
    standing: Published<Standing>,
    /// For whoever knows how it stands, once there is a group.
    publisher: Mutex<Option<Publisher<Standing>>>,
}

impl Members {
    /// Reads whose volume this is, opens the port of the servers and answers there at once: the
    /// others must be able to ask who is here.
    ///
    /// # Errors
    /// The volume belongs to another server; the port cannot be opened; the keys for TLS cannot be
    /// used.
    pub async fn start(
        runtime: &Runtime,
        options: Options,
        host: Arc<dyn Host>,
    ) -> Result<Members, Error> {
        let identity = {
            let (doors, data_dir, id) = (runtime.clone(), options.data_dir.clone(), options.id);
            let open = move || Identity::open(&doors, &data_dir, id);
            runtime.tasks.blocking(open).await?
        };
        let wrap = Wrap::load(runtime, options.tls).await?;
        let mut listeners = Vec::new();
        for (host, port) in &options.listen {
            listeners.push(listen(runtime, host, *port).await?);
        }
        let addresses: Vec<SocketAddr> = listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect();
        let here = Arc::new(Here::new(
            runtime,
            Parts {
                limits: options.limits,
                wrap,
                host,
                id: options.id,
                member: Member {
                    endpoints: options.endpoints,
                    directory_id: identity.directory_id,
                },
                participants: options.participants,
                others: options.others,
                ensemble_id: identity.ensemble_id,
            },
        ));
        let peers = PeerTransport::new(&here);
        let reception = Reception::new(&here, &peers);
        for listener in listeners {
            let door = reception.door(listener);
            runtime.tasks.run("the port of the servers", door);
        }
        let (publisher, standing) = published(Standing::Outside);
        Ok(Members(Arc::new(Inner {
            here,
            peers,
            reception,
            data_dir: options.data_dir,
            is_standalone: options.is_standalone,
            addresses,
            identity: Mutex::new(identity),
            standing,
            publisher: Mutex::new(Some(publisher)),
        })))
    }

    /// Finds the ensemble of this server, or decides that it founds one. That may take until other
    /// servers are there; the volume remembers the ensemble's id, so that it takes no time later.
    ///
    /// # Errors
    /// The servers that were met belong to different ensembles; [`Error::Stopped`] when `shutdown`
    /// is announced before.
    pub async fn find(&self, shutdown: &Shutdown) -> Result<Ensemble, Error> {
        let here = &self.0.here;
        if let Some(id) = here.ensemble_id.get() {
            return Ok(Ensemble {
                id: *id,
                voters: None,
            });
        }
        let ensemble = match self.0.is_standalone {
            true => self.alone(identity::random_uuid(&here.runtime)),
            false => match search(here, shutdown).await? {
                Found::Ensemble(id) => Ensemble { id, voters: None },
                Found::Founder(id, voters) => Ensemble {
                    id,
                    voters: Some(voters),
                },
            },
        };
        self.adopt(ensemble.id).await?;
        Ok(ensemble)
    }

    fn alone(&self, id: Uuid) -> Ensemble {
        let here = &self.0.here;
        Ensemble {
            id,
            voters: Some(BTreeMap::from([(here.id, here.member.clone())])),
        }
    }

    async fn adopt(&self, ensemble_id: Uuid) -> Result<(), Error> {
        let here = &self.0.here;
        let (doors, data_dir) = (here.runtime.clone(), self.0.data_dir.clone());
        let mut identity = self.0.identity.lock().clone();
        let adopt = move || {
            let adopted = identity.adopt(&doors, &data_dir, ensemble_id);
            adopted.map(|()| identity)
        };
        let adopted = here.runtime.tasks.blocking(adopt).await?;
        *self.0.identity.lock() = adopted;
        // Whoever has adopted it before has adopted the same one.
        here.ensemble_id.get_or_init(|| ensemble_id);
        Ok(())
    }

    /// What the group's member needs to know, with raft's defaults for the rest. Its log goes to
    /// `directory`, where nothing else may be.
    #[must_use]
    pub fn raft_options(&self, ensemble: &Ensemble, directory: PathBuf) -> ottla_raft::Options {
        let group = Bytes::from(format!("keeper {}", ensemble.id));
        let here = &self.0.here;
        ottla_raft::Options::new(here.id, here.member.directory_id, group, directory)
    }

    /// Raft's way to the other servers.
    #[must_use]
    pub fn transport(&self) -> PeerTransport {
        self.0.peers.clone()
    }

    /// Takes part in the group: founds it if that is this server's task, joins it if it is no
    /// member, and carries out changes of it when it leads. To be called when the member runs and
    /// [`Host::raft`] has it. `participants` are those that the replicated configuration lists as
    /// such; empty while that is not known.
    ///
    /// # Errors
    /// The group cannot be founded; [`Error::Stopped`] when `shutdown` is announced while others
    /// are awaited.
    pub async fn take_part(
        &self,
        raft: &ottla_raft::Handle,
        ensemble: &Ensemble,
        participants: Published<BTreeSet<NodeId>>,
        shutdown: &Shutdown,
    ) -> Result<(), Error> {
        let here = &self.0.here;
        let Some(standing) = self.0.publisher.lock().take() else {
            let reason = "a server takes part in its ensemble only once";
            return Err(Error::Configuration(reason.to_owned()));
        };
        let (changes, membership) = Membership::new(&here.runtime, raft, participants);
        let joiner = Joiner::new(here, raft, membership.clone(), standing);
        here.runtime.tasks.run("changes of the ensemble", changes);
        // There is only one, since the publisher was there to be taken.
        drop(self.0.reception.membership.set(membership));
        if raft.is_initialized().await? {
            let state = raft.state().get();
            if state.voters.len() == 1 && state.is_voter(here.id) {
                // Nobody else could lead, so that there is nobody to wait for.
                raft.elect().await?;
            }
        } else if let Some(voters) = self.founders(ensemble, shutdown).await? {
            let (id, ids) = (ensemble.id, voters.keys().collect::<Vec<_>>());
            tracing::info!(ensemble = %id, voters = ?ids, "founding an ensemble");
            raft.initialize(voters).await.map_err(Error::Found)?;
        }
        here.runtime.tasks.run("joining the ensemble", joiner);
        Ok(())
    }

    /// Those who found the group, if it is this server's task to do so. A founder that was
    /// interrupted between the ensemble's id and the group takes up its task again.
    async fn founders(
        &self,
        ensemble: &Ensemble,
        shutdown: &Shutdown,
    ) -> Result<Option<BTreeMap<NodeId, Member>>, Error> {
        if ensemble.voters.is_some() {
            return Ok(ensemble.voters.clone());
        }
        if self.0.is_standalone {
            return Ok(self.alone(ensemble.id).voters);
        }
        match search(&self.0.here, shutdown).await? {
            Found::Founder(_, voters) => Ok(Some(voters)),
            Found::Ensemble(id) if id == ensemble.id => Ok(None),
            Found::Ensemble(met) => Err(Error::ForeignEnsemble {
                path: identity::path(&self.0.data_dir),
                own: ensemble.id,
                met,
            }),
        }
    }

    /// How this server stands to its ensemble.
    #[must_use]
    pub fn standing(&self) -> Published<Standing> {
        self.0.standing.clone()
    }

    /// Begins a stream of frames to the leader of `term`, in their order. A server has one such
    /// stream: the leader ends an older one before it takes the first frame of a newer one.
    #[must_use]
    pub fn forward(&self, leader: NodeId, term: u64) -> ForwardLink {
        let here = &self.0.here;
        let state = here.host.raft().map(|raft| raft.state().get());
        let member = state.as_deref().and_then(|state| state.member(leader));
        let at = match member {
            Some(member) => member.endpoints.clone(),
            None => here.others.get(&leader).cloned().unwrap_or_default(),
        };
        ForwardLink::open(here, leader, at, term)
    }

    /// Changes the ensemble as `reconfig` wants it: who votes, and where servers are reached. The
    /// leader does that, and is asked to; if there is none, one is awaited for a while. The
    /// replicated configuration has to follow within half a minute; else the votes go back to what
    /// it says.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn change(&self, to: Reconfigured) -> Result<(), ChangeError> {
        let clock = &self.0.here.runtime.clock;
        let deadline = clock.instant() + CHANGE_PATIENCE;
        loop {
            let answer = self.change_once(&to).await;
            // A leader that takes its own vote away may not be able to say so.
            if answer != Err(ChangeError::NotLeader) || clock.instant() >= deadline {
                return answer;
            }
            clock.sleep(CHANGE_AGAIN).await;
        }
    }

    async fn change_once(&self, to: &Reconfigured) -> Result<(), ChangeError> {
        let (here, membership) = (&self.0.here, self.0.reception.membership.get());
        let raft = here.host.raft().ok_or(ChangeError::NotLeader)?;
        let state = raft.state().get();
        let (leader, member) = state.leader_member().ok_or(ChangeError::NotLeader)?;
        if leader == here.id {
            let membership = membership.ok_or(ChangeError::NotLeader)?;
            return membership.change(to.clone()).await;
        }
        let question = Question::Change(to.clone());
        let (at, decode) = (&member.endpoints, decode_change_answer);
        // A connection's beginning is large, and clients seldom ask for this.
        let answer = Box::pin(ask(here, leader, at, &question, decode)).await;
        answer.unwrap_or_else(|reason| {
            tracing::debug!(leader, %reason, "the leader could not be asked for a change");
            Err(ChangeError::NotLeader)
        })
    }

    /// The server's number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.0.here.id
    }

    /// Whose volume this is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.0.identity.lock().clone()
    }

    /// Where this server is reached by the others.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.0.here.member.endpoints
    }

    /// Where it listens for the others; nowhere when it is alone.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.0.addresses
    }
}

#[cfg(test)]
mod tests;
