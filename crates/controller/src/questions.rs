//! Requests about the quorum itself that clients send to a broker: only the leader can answer them,
//! so they go to it as they are.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ottla_metadata::Refusal;
use ottla_model::ErrorCode;
use ottla_runtime::mailbox::{Inbox, Responder};
use ottla_runtime::{Runtime, Service, Shutdown};
use ottla_wire::{Request, Response};

use crate::door::{self, Host};
use crate::peers::{Failure, Lane, Peers};
use crate::transport::place_of;

/// How long a question waits for somebody to lead the quorum.
const LOOKING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// What the rest of the node may ask, and what comes back.
pub type Answered = Result<Response, Refusal>;

/// The running half.
pub(crate) struct Questions {
    pub(crate) asking: Asking,
    pub(crate) inbox: Inbox<Request, Answered>,
}

#[derive(Clone)]
pub(crate) struct Asking {
    pub(crate) runtime: Runtime,
    pub(crate) host: Arc<Host>,
    pub(crate) peers: Peers,
}

impl Service for Questions {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                next = self.inbox.recv() => {
                    let Some((request, to)) = next else { return Ok(()) };
                    under_way.push(answer(self.asking.clone(), request, to));
                }
            }
        }
    }
}

async fn answer(asking: Asking, request: Request, to: Responder<Answered>) {
    to.send(asking.ask(request).await);
}

impl Asking {
    async fn ask(&self, request: Request) -> Answered {
        let deadline = self.runtime.clock.instant() + LOOKING;
        loop {
            let refusal = match self.try_once(&request).await {
                Ok(response) => return Ok(response),
                Err(Failure::Open(reason)) => {
                    return Err(Refusal::new(ErrorCode::RequestTimedOut, reason));
                }
                Err(failure) => Refusal::new(ErrorCode::NotController, failure.reason()),
            };
            if self.runtime.clock.instant() >= deadline {
                return Err(refusal);
            }
            self.runtime.clock.sleep(PAUSE).await;
        }
    }

    async fn try_once(&self, request: &Request) -> Result<Response, Failure> {
        let nobody =
            || Failure::Unreachable("no leader of the metadata quorum is known".to_owned());
        let joined = self.host.joined.get().ok_or_else(nobody)?;
        let state = joined.state.get();
        if state.is_leader {
            return door::answer_question(&self.host, request.clone())
                .await
                .ok_or_else(nobody);
        }
        let (id, member) = state.leader_member().ok_or_else(nobody)?;
        let place = place_of(member).ok_or_else(nobody)?;
        self.peers.call(id, Lane::Commands, &place, request).await
    }
}
