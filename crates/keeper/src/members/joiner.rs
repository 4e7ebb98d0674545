//! Keeps this server a member of its group.
//!
//! A server that was not heard of for long may have been removed, and nobody tells it: it asks again
//! when the leader has been silent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ottla_raft::{Endpoint, NodeId, State};
use ottla_runtime::published::{Published, Publisher};
use ottla_runtime::{Service, Shutdown};

use super::ask::ask;
use super::changes::{Join, Membership};
use super::dial::dial;
use super::hello::Purpose;
use super::here::Here;
use super::questions::{JoinQuestion, JoinRefusal, Question, decode_join_answer};

const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// A server that has heard nothing of its leader for so long asks whether it is still a member.
const LOST_MS: i64 = 5_000;
/// How often it looks whether that is so.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A server whose number seems to be taken asks for so long: its old self may just have died.
const TAKEN_FOR_MS: i64 = 6_000;

/// How the server stands to its ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is not known there yet.
    Outside,
    /// It is a member, with or without a vote.
    Member,
    /// It is told that it cannot become one: a living server has the same number.
    Refused(String),
}

/// The running half; it has no handle.
pub(crate) struct Joiner {
    here: Arc<Here>,
    state: Published<State>,
    membership: Membership,
    standing: Publisher<Standing>,
    wants_vote: bool,
    /// Whether the group knows where this server is: afterwards `reconfig` may say otherwise.
    is_announced: bool,
    told: String,
    taken_since_ms: Option<i64>,
    started_ms: i64,
}

impl Joiner {
    pub(crate) fn new(
        here: &Arc<Here>,
        raft: &ottla_raft::Handle,
        membership: Membership,
        standing: Publisher<Standing>,
    ) -> Self {
        Joiner {
            state: raft.state(),
            membership,
            standing,
            wants_vote: here.participants.contains(&here.id),
            is_announced: false,
            told: String::new(),
            taken_since_ms: None,
            started_ms: here.runtime.clock.monotonic_ms(),
            here: Arc::clone(here),
        }
    }
}

impl Service for Joiner {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        let mut backoff = BACKOFF_MIN;
        loop {
            let state = self.state.get();
            let is_member = self.is_member(&state);
            if is_member && !self.is_announced {
                self.is_announced = true;
                self.standing.publish(Standing::Member);
            }
            let step = async {
                if is_member && !self.is_lost(&state) {
                    backoff = BACKOFF_MIN;
                    // The state may change a thousand times a second, and this matters little then.
                    self.here.runtime.clock.sleep(LOOK_EVERY).await;
                    return;
                }
                self.try_to_join(&state).await;
                let random = &self.here.runtime.random;
                let jitter = random.below(backoff.as_millis() as u64 + 1);
                let pause = backoff / 2 + Duration::from_millis(jitter / 2);
                backoff = (backoff * 2).min(BACKOFF_MAX);
                self.here.runtime.clock.sleep(pause).await;
            };
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                () = step => {}
            }
        }
    }
}

impl Joiner {
    /// Whether the group knows this server, as far as its own log says.
    fn is_member(&self, state: &State) -> bool {
        let own = &self.here.member;
        state.member(self.here.id).is_some_and(|known| {
            known.directory_id == own.directory_id
                && (self.is_announced || known.endpoints == own.endpoints)
        })
    }

    /// Whether the leader seems to have forgotten this server.
    fn is_lost(&self, state: &State) -> bool {
        let is_alone = state.voters.len() == 1 && state.is_voter(self.here.id);
        if state.is_leader || is_alone {
            return false;
        }
        let heard_ms = state.leader.and_then(|leader| self.here.heard_ms(leader));
        let since_ms = heard_ms.unwrap_or(self.started_ms).max(self.started_ms);
        self.here.runtime.clock.monotonic_ms() - since_ms >= LOST_MS
    }

    async fn try_to_join(&mut self, state: &State) {
        let now_ms = self.here.runtime.clock.monotonic_ms();
        let refusal = match self.ask(state).await {
            Ok(()) => {
                self.taken_since_ms = None;
                return;
            }
            Err(refusal) => refusal,
        };
        let reason = refusal.to_string();
        // Nobody leads while the servers elect: that is not worth a word.
        if reason != self.told && !matches!(refusal, JoinRefusal::NotLeader(_)) {
            tracing::info!(%reason, "not a member of the ensemble yet");
            self.told.clone_from(&reason);
        }
        if !matches!(refusal, JoinRefusal::Taken(_)) {
            self.taken_since_ms = None;
            return;
        }
        let since_ms = *self.taken_since_ms.get_or_insert(now_ms);
        if !self.is_announced && now_ms - since_ms >= TAKEN_FOR_MS {
            self.standing.publish(Standing::Refused(reason));
        }
    }

    /// Asks the leader to take this server in, as far as the leader can be found.
    async fn ask(&self, state: &State) -> Result<(), JoinRefusal> {
        let here = &self.here;
        if state.is_leader {
            let join = Join {
                id: here.id,
                member: here.member.clone(),
                wants_vote: self.wants_vote,
            };
            return self.membership.join(join).await;
        }
        let leader = state.leader_member().filter(|(id, _)| *id != here.id);
        if let Some((leader, member)) = leader {
            match self.send(leader, &member.endpoints).await {
                // Whoever led when this server was here last need not lead now.
                Err(JoinRefusal::NotLeader(_)) => {}
                answer => return answer,
            }
        }
        match self.look_for_leader(state).await {
            Some((leader, at)) => self.send(leader, &at).await,
            None => Err(JoinRefusal::NotLeader(here.id)),
        }
    }

    async fn send(&self, leader: NodeId, at: &[Endpoint]) -> Result<(), JoinRefusal> {
        let here = &self.here;
        let question = Question::Join(JoinQuestion {
            member: here.member.clone(),
            wants_vote: self.wants_vote,
        });
        let answer = ask(here, leader, at, &question, decode_join_answer).await;
        // Who does not answer does not lead, as far as can be known.
        answer.unwrap_or_else(|reason| {
            tracing::debug!(leader, %reason, "the leader could not be asked");
            Err(JoinRefusal::NotLeader(leader))
        })
    }

    /// Asks the servers that are known who leads. Whoever knows the newest term is right.
    async fn look_for_leader(&self, state: &State) -> Option<(NodeId, Vec<Endpoint>)> {
        let here = &self.here;
        let members = state.voters.iter().chain(state.learners.iter());
        let members = members.map(|(id, member)| (*id, &member.endpoints));
        let configured = here.others.iter().map(|(id, endpoints)| (*id, endpoints));
        let mut known: BTreeMap<NodeId, Vec<Endpoint>> = BTreeMap::new();
        for (id, endpoints) in members.chain(configured).filter(|(id, _)| *id != here.id) {
            let all = known.entry(id).or_default();
            let new = endpoints.iter().filter(|endpoint| !all.contains(endpoint));
            let new: Vec<Endpoint> = new.cloned().collect();
            all.extend(new);
        }
        let asking = known
            .iter()
            .map(|(id, at)| dial(here, *id, at, Purpose::Meet));
        let answers = join_all(asking).await.into_iter().flatten();
        let leaders = answers.filter_map(|dialed| {
            let (term, leader) = (dialed.introduction.term, dialed.introduction.leader);
            leader.map(|(id, member)| (term, id, member.endpoints))
        });
        let newest = leaders.max_by_key(|(term, _, _)| *term)?;
        (newest.1 != here.id).then_some((newest.1, newest.2))
    }
}
