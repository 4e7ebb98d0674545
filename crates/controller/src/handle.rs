//! How the rest of the node speaks to the controller.

use std::sync::Arc;

use ottla_metadata::{Command, Image, Quorum, Refusal, Reply};
use ottla_model::ErrorCode;
use ottla_runtime::mailbox::Caller;
use ottla_runtime::published::Published;

/// Where commands go.
pub type Commands = Caller<Command, Result<Reply, Refusal>>;

/// The controller, seen from the rest of the node. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    caller: Commands,
    published: Published<Image>,
    quorum: Published<Quorum>,
}

impl Handle {
    pub(crate) fn new(
        caller: Commands,
        published: Published<Image>,
        quorum: Published<Quorum>,
    ) -> Self {
        Handle {
            caller,
            published,
            quorum,
        }
    }

    /// Asks for a change and waits until it is durable and visible in [`Handle::image`].
    ///
    /// `NOT_CONTROLLER` when the controller has stopped: whether the change was made is open then.
    pub async fn submit(&self, command: Command) -> Result<Reply, Refusal> {
        self.caller.call(command).await.unwrap_or_else(|gone| {
            Err(Refusal::new(
                ErrorCode::NotController,
                format!("The controller: {gone}."),
            ))
        })
    }

    /// The newest metadata.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.published.get()
    }

    /// Waits until newer metadata was published than at the last call on this clone; `false` when
    /// the controller has stopped.
    pub async fn changed(&mut self) -> bool {
        self.published.changed().await
    }

    /// Where a broker sends its commands.
    #[must_use]
    pub fn caller(&self) -> Commands {
        self.caller.clone()
    }

    /// Where a broker sees the metadata.
    #[must_use]
    pub fn published(&self) -> Published<Image> {
        self.published.clone()
    }

    /// Where a broker sees who keeps the metadata.
    #[must_use]
    pub fn quorum(&self) -> Published<Quorum> {
        self.quorum.clone()
    }
}
