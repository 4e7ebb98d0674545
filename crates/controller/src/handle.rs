//! How the rest of the node speaks to the controller.

use std::sync::Arc;
use std::time::Duration;

use ottla_metadata::{Command, Image, Quorum, Refusal, Reply};
use ottla_model::ErrorCode;
use ottla_runtime::Shutdown;
use ottla_runtime::mailbox::Caller;
use ottla_runtime::published::Published;
use ottla_wire::Request;

use crate::error::Error;
use crate::identity::Identity;
use crate::joiner::Standing;
use crate::questions::Answered;

/// How long a leader that stops waits until another member has taken over.
const RESIGNING: Duration = Duration::from_secs(2);

/// Where commands go.
pub type Commands = Caller<Command, Result<Reply, Refusal>>;

/// Where questions about the quorum itself go: DescribeQuorum, AddRaftVoter, RemoveRaftVoter.
pub type Questions = Caller<Request, Answered>;

/// The controller, seen from the rest of the node. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Parts);

/// What a handle is made of.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) identity: Identity,
    pub(crate) caller: Commands,
    pub(crate) published: Published<Image>,
    pub(crate) quorum: Published<Quorum>,
    pub(crate) questions: Questions,
    pub(crate) raft: ottla_raft::Handle,
    pub(crate) standing: Published<Standing>,
}

impl Handle {
    pub(crate) fn new(parts: Parts) -> Self {
        Handle(parts)
    }

    /// Who the node is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Asks for a change and waits until it is durable and visible in [`Handle::image`].
    ///
    /// `NOT_CONTROLLER` when nobody takes it, or when the controller changed meanwhile; the message
    /// says which, since whether the change was made is open in the second case.
    pub async fn submit(&self, command: Command) -> Result<Reply, Refusal> {
        self.0.caller.call(command).await.unwrap_or_else(|gone| {
            Err(Refusal::new(
                ErrorCode::NotController,
                format!("The controller: {gone}."),
            ))
        })
    }

    /// The newest metadata.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.0.published.get()
    }

    /// Waits until newer metadata was published than at the last call on this clone; `false` when
    /// the controller has stopped.
    pub async fn changed(&mut self) -> bool {
        self.0.published.changed().await
    }

    /// Where a broker sends its commands.
    #[must_use]
    pub fn caller(&self) -> Commands {
        self.0.caller.clone()
    }

    /// Where a broker sees the metadata.
    #[must_use]
    pub fn published(&self) -> Published<Image> {
        self.0.published.clone()
    }

    /// Where a broker sees who keeps the metadata.
    #[must_use]
    pub fn quorum(&self) -> Published<Quorum> {
        self.0.quorum.clone()
    }

    /// Where a broker asks about the quorum itself.
    #[must_use]
    pub fn questions(&self) -> Questions {
        self.0.questions.clone()
    }

    /// What raft says of the quorum, for metrics.
    #[must_use]
    pub fn raft_state(&self) -> Arc<ottla_raft::State> {
        self.0.raft.state().get()
    }

    /// Hands the leadership of the quorum to another voter, if this node has it and another one is
    /// there: before the node stops, so that nobody has to notice its silence.
    pub async fn resign(&self) {
        if !self.0.raft.state().get().is_leader {
            return;
        }
        match self.0.raft.resign(RESIGNING).await {
            true => tracing::info!("handed over the quorum's leadership"),
            false => tracing::info!("nobody takes over the quorum's leadership"),
        }
    }

    /// Waits until the quorum knows this node.
    pub(crate) async fn wait_until_member(&self, stop: &Shutdown) -> Result<(), Error> {
        let mut standing = self.0.standing.clone();
        loop {
            match &*standing.get() {
                Standing::Member => return Ok(()),
                Standing::Refused(reason) => {
                    return Err(Error::Refused {
                        place: "the metadata quorum".to_owned(),
                        reason: reason.clone(),
                    });
                }
                Standing::Outside => {}
            }
            tokio::select! {
                biased;
                () = stop.announced() => return Err(Error::Stopped),
                alive = standing.changed() => if !alive {
                    return Err(Error::Stopped);
                },
            }
        }
    }
}
