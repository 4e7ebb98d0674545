//! Keeps this node a member of the quorum: as the follower that every node is, and as a voter where
//! the configuration says so.

use std::sync::Arc;
use std::time::Duration;

use ottla_config::{QuorumConfig, QuorumServer};
use ottla_metadata::Refusal;
use ottla_model::ErrorCode;
use ottla_raft::{Member, NodeId, State};
use ottla_runtime::published::{Published, Publisher};
use ottla_runtime::{Runtime, Service, Shutdown};
use ottla_wire::messages::{JoinQuorumRequest, MeetControllerRequest};
use ottla_wire::{Request, Response, Text};

use crate::identity::Identity;
use crate::members::{self, node_id};
use crate::membership::{Join, Membership};
use crate::peers::{Lane, Peers, Place};
use crate::transport::place_of;

const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// A node whose id seems to be taken asks for so long: its old self may just have died.
const TAKEN_FOR_MS: i64 = 6000;

/// The running half; it has no handle.
pub(crate) struct Joiner {
    pub(crate) runtime: Runtime,
    pub(crate) identity: Identity,
    pub(crate) own: Member,
    pub(crate) is_controller: bool,
    /// `controller.quorum.auto.join.enable`
    pub(crate) auto_join: bool,
    pub(crate) quorum: Arc<QuorumConfig>,
    pub(crate) state: Published<State>,
    pub(crate) membership: Membership,
    pub(crate) peers: Peers,
    pub(crate) standing: Publisher<Standing>,
}

/// How the node stands to its quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is not known there yet.
    Outside,
    /// It is a member, with or without a vote.
    Member,
    /// It is told that it cannot become one.
    Refused(String),
}

impl Service for Joiner {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        let mut backoff = BACKOFF_MIN;
        // A vote that was taken away while the node runs is not asked back.
        let mut had_vote = false;
        let mut told = String::new();
        let mut taken_since_ms = None;
        let mut was_member = false;
        loop {
            let state = self.state.get();
            let id = node_id(self.identity.node_id);
            let is_member = state.member(id) == Some(&self.own);
            if is_member && !was_member {
                was_member = true;
                self.standing.publish(Standing::Member);
            }
            had_vote |= is_member && state.is_voter(id);
            let wants_vote = !had_vote && self.wants_vote(&state);
            if is_member && !wants_vote {
                backoff = BACKOFF_MIN;
                tokio::select! {
                    biased;
                    () = shutdown.announced() => return Ok(()),
                    alive = self.state.changed() => if !alive {
                        return Ok(());
                    },
                }
                continue;
            }
            let joining = async {
                if let Err(refusal) = self.ask(&state, wants_vote).await {
                    // Nobody leads while the quorum elects: that is not worth a word.
                    if refusal.message != told && refusal.code != ErrorCode::NotController {
                        tracing::info!(reason = %refusal.message, "not a member of the quorum yet");
                        told.clone_from(&refusal.message);
                    }
                    let now_ms = self.runtime.clock.monotonic_ms();
                    let since_ms = match is_final(refusal.code) {
                        true => *taken_since_ms.get_or_insert(now_ms),
                        false => now_ms,
                    };
                    if !was_member && now_ms - since_ms >= TAKEN_FOR_MS {
                        self.standing.publish(Standing::Refused(refusal.message));
                    }
                }
                let jitter = self.runtime.random.below(backoff.as_millis() as u64 + 1);
                let pause = backoff / 2 + Duration::from_millis(jitter / 2);
                self.runtime.clock.sleep(pause).await;
            };
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                () = joining => {}
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }
}

/// Whether asking again leads nowhere.
fn is_final(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DuplicateBrokerRegistration | ErrorCode::InconsistentClusterId
    )
}

impl Joiner {
    fn wants_vote(&self, state: &State) -> bool {
        let named = self.quorum.is_named(self.identity.node_id.0);
        let missing = state.initialized && state.voters.len() < self.quorum.expect;
        self.is_controller && (named || self.auto_join || missing)
    }

    /// Asks the leader to take this node, as far as the leader can be found.
    async fn ask(&self, state: &State, wants_vote: bool) -> Result<(), Refusal> {
        let join = Join {
            id: node_id(self.identity.node_id),
            member: self.own.clone(),
            wants_vote,
        };
        if state.is_leader {
            return self.membership.join(join).await;
        }
        let leader = state.leader_member().filter(|(id, _)| *id != join.id);
        let leader = leader.and_then(|(id, member)| Some((id, place_of(member)?)));
        let mut refused = None;
        if let Some((leader, place)) = leader {
            let answer = self.send(leader, &place, &join).await;
            match answer {
                Err(refusal) if refusal.code == ErrorCode::NotController => refused = Some(refusal),
                other => return other,
            }
        }
        // Whoever led when this node was here last need not lead now; and as long as the node is
        // not known where it is, no leader can tell it.
        match self.look_for_leader().await {
            Some((leader, place)) => self.send(leader, &place, &join).await,
            None => Err(refused.unwrap_or_else(|| {
                let message = "no leader of the metadata quorum is known";
                Refusal::new(ErrorCode::NotController, message)
            })),
        }
    }

    async fn send(&self, leader: NodeId, place: &Place, join: &Join) -> Result<(), Refusal> {
        let request = Request::from(JoinQuorumRequest {
            cluster_id: Text::from(self.identity.cluster_id.0.as_str()),
            node_id: self.identity.node_id.0,
            directory_id: self.identity.directory_id,
            wants_vote: join.wants_vote,
            endpoints: members::joining_endpoints(&join.member),
            ..JoinQuorumRequest::default()
        });
        let answer = self
            .peers
            .call(leader, Lane::Commands, place, &request)
            .await;
        match answer {
            Ok(Response::JoinQuorum(answer)) if answer.error_code == 0 => Ok(()),
            Ok(Response::JoinQuorum(answer)) => {
                let code = ErrorCode::from_code(answer.error_code);
                let message = answer.error_message.unwrap_or_default().to_string();
                Err(Refusal::new(
                    code.unwrap_or(ErrorCode::UnknownServerError),
                    message,
                ))
            }
            Ok(_) => Err(Refusal::new(
                ErrorCode::UnknownServerError,
                format!("{place} answered something else"),
            )),
            Err(failure) => Err(Refusal::new(ErrorCode::NotController, failure.reason())),
        }
    }

    /// Asks the configured places who leads the quorum, one after the other.
    async fn look_for_leader(&self) -> Option<(NodeId, Place)> {
        for server in self.quorum.places() {
            let QuorumServer { host, port } = server;
            let request = Request::from(MeetControllerRequest {
                cluster_id: Some(Text::from(self.identity.cluster_id.0.as_str())),
                node_id: self.identity.node_id.0,
                directory_id: self.identity.directory_id,
                is_controller: self.is_controller,
                ..MeetControllerRequest::default()
            });
            let place = Place { host, port };
            let Ok(Response::MeetController(answer)) = self.peers.call_once(&place, &request).await
            else {
                continue;
            };
            if answer.error_code != 0 {
                let reason = answer.error_message.unwrap_or_default();
                tracing::warn!(%place, %reason, "a controller refuses this node");
                continue;
            }
            let leader = answer
                .members
                .iter()
                .find(|m| m.node_id == answer.leader_id);
            let leader = leader.and_then(|m| {
                let member = members::member(m.directory_id, &m.endpoints);
                Some((NodeId::try_from(m.node_id).ok()?, place_of(&member)?))
            });
            if leader.is_some() {
                return leader;
            }
        }
        None
    }
}
