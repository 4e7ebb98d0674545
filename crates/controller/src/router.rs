//! Brings the commands of this node to the member that decides, wherever that is, and their answers
//! back once this node sees what they changed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ottla_metadata::{Command, Image, Refusal, Reply};
use ottla_model::{ErrorCode, Offset};
use ottla_raft::{Member, NodeId, State};
use ottla_runtime::mailbox::{Caller, Inbox, Responder};
use ottla_runtime::published::Published;
use ottla_runtime::{Instant, Runtime, Service, Shutdown};
use ottla_wire::messages::SubmitCommandRequest;
use ottla_wire::{Request, Response, Text};

use crate::codec;
use crate::decider::Decided;
use crate::identity::Identity;
use crate::peers::{Failure, Lane, Peers};
use crate::transport::place_of;

/// How many commands of this node may be under way.
const UNDER_WAY_MAX: usize = 1024;
/// How long a command looks for somebody who takes it.
const LOOKING: Duration = Duration::from_secs(10);
/// The last attempt has so long at least.
const PATIENCE_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// What every command of this node needs on its way.
pub(crate) struct Routes {
    pub(crate) runtime: Runtime,
    pub(crate) identity: Identity,
    pub(crate) decider: Caller<Command, Decided>,
    pub(crate) state: Published<State>,
    pub(crate) image: Published<Image>,
    pub(crate) peers: Peers,
    /// The wait before the first repetition.
    pub(crate) backoff: Duration,
}

/// The running half.
pub(crate) struct Router {
    pub(crate) routes: Arc<Routes>,
    pub(crate) inbox: Inbox<Command, Result<Reply, Refusal>>,
}

impl Service for Router {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                next = self.inbox.recv(), if under_way.len() < UNDER_WAY_MAX => {
                    let Some((command, to)) = next else { return Ok(()) };
                    under_way.push(answer(Arc::clone(&self.routes), command, to));
                }
            }
        }
    }
}

async fn answer(routes: Arc<Routes>, command: Command, to: Responder<Result<Reply, Refusal>>) {
    to.send(routes.submit(command).await);
}

impl Routes {
    /// Submits a command until somebody has decided about it, or the time is over.
    pub(crate) async fn submit(&self, command: Command) -> Result<Reply, Refusal> {
        let deadline = self.runtime.clock.instant() + LOOKING;
        let mut state = self.state.clone();
        let mut backoff = self.backoff;
        let mut reason = "no leader of the metadata quorum is known".to_owned();
        let mut told: Option<NodeId> = None;
        loop {
            let known = state.get();
            let attempt = self.try_once(&known, told.take(), &command);
            let left = deadline.saturating_duration_since(self.runtime.clock.instant());
            let attempt = self
                .runtime
                .clock
                .timeout(left.max(PATIENCE_MIN), attempt)
                .await;
            let late = || Attempt::Open("it was not committed in time".to_owned());
            match attempt.unwrap_or_else(late) {
                Attempt::Answer(offset, reply) => {
                    return self.shown(offset, reply, deadline).await;
                }
                Attempt::NotTaken(leader) => told = leader,
                Attempt::Open(why) if may_repeat(&command) => reason = why,
                Attempt::Open(why) => return Err(open(&why)),
                Attempt::Nobody(why) => reason = why,
            }
            if self.runtime.clock.instant() >= deadline {
                return Err(nobody(&known, &reason));
            }
            // A new leader ends the wait; and not all nodes ask again at the same moment.
            let jitter = self.runtime.random.below(backoff.as_millis() as u64 + 1);
            let wait = backoff / 2 + Duration::from_millis(jitter / 2);
            tokio::select! {
                biased;
                () = self.leader_changes(&mut state, &known) => {}
                () = self.runtime.clock.sleep(wait) => {}
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Waits until another leader is known, or this node may decide itself.
    async fn leader_changes(&self, state: &mut Published<State>, known: &State) {
        loop {
            if !state.changed().await {
                return std::future::pending().await;
            }
            let now = state.get();
            if now.leader.is_some() && now.leader != known.leader || now.ready && !known.ready {
                return;
            }
        }
    }

    async fn try_once(&self, state: &State, told: Option<NodeId>, command: &Command) -> Attempt {
        if state.is_leader {
            return match self.decider.call(command.clone()).await {
                Ok(Decided::Answer(offset, reply)) => Attempt::Answer(offset, reply),
                Ok(Decided::NotLeader(leader)) => Attempt::NotTaken(leader),
                Ok(Decided::Open(reason)) => Attempt::Open(reason),
                Err(gone) => Attempt::Open(gone.to_string()),
            };
        }
        let told = told.and_then(|id| Some((id, state.member(id)?)));
        match told.or_else(|| state.leader_member()) {
            Some((id, member)) => self.forward(id, member, command).await,
            None => Attempt::Nobody("no leader of the metadata quorum is known".to_owned()),
        }
    }

    async fn forward(&self, id: NodeId, member: &Member, command: &Command) -> Attempt {
        let Some(place) = place_of(member) else {
            return Attempt::Nobody(format!("node {id} leads the quorum, but has no endpoint"));
        };
        let encoded = match codec::encode_command(command) {
            Ok(encoded) => encoded,
            Err(refusal) => return Attempt::Answer(-1, Err(refusal)),
        };
        let request = Request::from(SubmitCommandRequest {
            cluster_id: Text::from(self.identity.cluster_id.0.as_str()),
            node_id: self.identity.node_id.0,
            directory_id: self.identity.directory_id,
            command: encoded,
            ..SubmitCommandRequest::default()
        });
        let answer = self.peers.call(id, Lane::Commands, &place, &request).await;
        let answer = match answer {
            Ok(Response::SubmitCommand(answer)) => answer,
            Ok(_) => return Attempt::Open(format!("{place} answered something else")),
            Err(Failure::Open(reason)) => return Attempt::Open(reason),
            Err(failure) => return Attempt::Nobody(failure.reason().to_owned()),
        };
        let message = answer.error_message.unwrap_or_default().to_string();
        match ErrorCode::from_code(answer.error_code) {
            Some(ErrorCode::None) => match codec::decode_answer(&answer.reply) {
                Ok(reply) => Attempt::Answer(answer.metadata_offset, reply),
                Err(error) => Attempt::Open(format!("the answer of {place}: {error}")),
            },
            Some(ErrorCode::NotController) => {
                Attempt::NotTaken(NodeId::try_from(answer.leader_id).ok())
            }
            Some(ErrorCode::RequestTimedOut) => Attempt::Open(message),
            Some(code) => Attempt::Answer(-1, Err(Refusal::new(code, message))),
            None => Attempt::Open(format!("{place} answered with error {}", answer.error_code)),
        }
    }

    /// Hands out the answer when this node sees what it speaks of.
    async fn shown(
        &self,
        offset: Offset,
        reply: Result<Reply, Refusal>,
        deadline: Instant,
    ) -> Result<Reply, Refusal> {
        let mut image = self.image.clone();
        while image.get().metadata_offset() < offset {
            tokio::select! {
                biased;
                alive = image.changed() => if !alive {
                    return Err(open("the node is stopping"));
                },
                () = self.runtime.clock.sleep_until(deadline) => {
                    let message = "The change was made, but this node has not heard of it yet.";
                    return Err(Refusal::new(ErrorCode::RequestTimedOut, message));
                }
            }
        }
        reply
    }
}

enum Attempt {
    Answer(Offset, Result<Reply, Refusal>),
    /// The one who was asked does not lead; perhaps this one does.
    NotTaken(Option<NodeId>),
    /// It may have been decided.
    Open(String),
    /// Nobody was asked.
    Nobody(String),
}

/// Whether a command that was carried out already does no harm, and gives the same answer.
fn may_repeat(command: &Command) -> bool {
    matches!(
        command,
        Command::BrokerHeartbeat(_) | Command::RegisterBroker(_) | Command::AllocateProducerIds(_)
    )
}

/// Kafka's answer when a controller is lost in the middle of a change; clients look whether it was
/// made by asking again.
fn open(reason: &str) -> Refusal {
    let message = format!(
        "Whether the change was made is open, since the controller changed meanwhile: {reason}."
    );
    Refusal::new(ErrorCode::NotController, message)
}

fn nobody(state: &State, reason: &str) -> Refusal {
    let message = format!(
        "The metadata quorum of {} voter(s) takes no changes now; nothing was changed: {reason}.",
        state.voters.len()
    );
    Refusal::new(ErrorCode::NotController, message)
}
