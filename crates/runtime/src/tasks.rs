//! Tasks: every one has a name, a kind, and a known end.

use std::fmt::Display;
use std::future::Future;

use tokio_util::task::TaskTracker;

use crate::{Shutdown, Workers, fail_stop};

/// What a task is, and with it what its end means. The list is closed: a new task is one of these.
///
/// | kind | ends when | an error |
/// |---|---|---|
/// | `Service` | the shutdown is announced | stops the process ([`fail_stop`]) |
/// | `Connection` | its peer or the shutdown ends it | concerns that peer alone; it is logged |
/// | `Housekeeping` | the shutdown is announced, or its work is done | is logged; the node goes on |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// A part without which the node is not whole.
    Service,
    /// One client's connection.
    Connection,
    /// Work that may fail and be tried again later.
    Housekeeping,
}

/// The one shape of a long-lived component: it is made together with a cloneable handle, and this
/// is the half that runs. It returns when the shutdown was announced and its work is put away.
pub trait Service: Send + 'static {
    /// Runs until the shutdown is announced.
    fn run(self, shutdown: Shutdown) -> impl Future<Output = Result<(), String>> + Send;
}

/// Starts tasks and waits for their end.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: Shutdown,
    simulated: bool,
    #[cfg(feature = "sim")]
    random: Option<crate::Random>,
}

impl Tasks {
    pub(crate) fn real(shutdown: Shutdown) -> Self {
        Tasks {
            tracker: TaskTracker::new(),
            shutdown,
            simulated: false,
            #[cfg(feature = "sim")]
            random: None,
        }
    }

    #[cfg(feature = "sim")]
    pub(crate) fn simulated(shutdown: Shutdown, random: crate::Random) -> Self {
        Tasks {
            tracker: TaskTracker::new(),
            shutdown,
            simulated: true,
            random: Some(random),
        }
    }

    /// Where the end is announced.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Starts a task.
    pub fn spawn<E: Display + Send + 'static>(
        &self,
        kind: TaskKind,
        name: &'static str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.tracker.spawn(async move {
            let Err(error) = future.await else { return };
            match kind {
                TaskKind::Service => fail_stop(format!("{name} failed: {error}")),
                TaskKind::Connection => tracing::debug!(task = name, %error, "connection ended"),
                TaskKind::Housekeeping => tracing::warn!(task = name, %error, "failed"),
            }
        });
    }

    /// Starts a component's running half.
    pub fn run(&self, name: &'static str, service: impl Service) {
        let shutdown = self.shutdown.clone();
        self.spawn(TaskKind::Service, name, service.run(shutdown));
    }

    /// Does work that may block (a cold read, a long computation) away from the network's threads.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if self.simulated {
            tokio::task::yield_now().await;
            return work();
        }
        match tokio::task::spawn_blocking(work).await {
            Ok(value) => value,
            // The closure panicked (the runtime never cancels one): a broken invariant.
            Err(error) => fail_stop(format!("blocking work ended without a result: {error}")),
        }
    }

    /// A pool of threads for work on the disk. See [`Workers`].
    #[must_use]
    pub fn workers(&self, name: &'static str, threads: usize) -> Workers {
        #[cfg(feature = "sim")]
        if let Some(random) = &self.random {
            return Workers::simulated(random.clone());
        }
        Workers::real(name, threads)
    }

    /// Announces the end and waits until every task has ended.
    pub async fn stop(&self) {
        self.shutdown.announce();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
