//! Brings a state through the log, step by step: each part is sent when the one before it was applied
//! here, so that no more than one is on its way.

use std::sync::Arc;
use std::time::Duration;

use ottla_jute::ErrorCode;
use ottla_znode::{Command, Outcome, Reply, View};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Refused;
use super::parts::Parts;
use crate::server::Server;

/// A step that takes longer has been lost.
const STEP_LIMIT: Duration = Duration::from_secs(60);

/// The step that somebody waits for on this server.
#[derive(Default)]
pub(crate) struct Steps(Mutex<Option<Step>>);

struct Step {
    restore: u64,
    done: oneshot::Sender<Outcome>,
}

impl Steps {
    fn expect(&self, restore: u64) -> oneshot::Receiver<Outcome> {
        let (done, receiver) = oneshot::channel();
        *self.0.lock() = Some(Step { restore, done });
        receiver
    }

    /// A step was applied here.
    pub(crate) fn applied(&self, restore: u64, outcome: &Outcome) {
        let step = self.0.lock().take_if(|step| step.restore == restore);
        if let Some(step) = step {
            // Nobody may wait any more.
            let _ = step.done.send(outcome.clone());
        }
    }

    /// Nobody knows what becomes of the step that is on its way.
    pub(crate) fn give_up(&self) {
        *self.0.lock() = None;
    }
}

/// A restore. Whatever ends it, the parts that were sent are dropped, unless they became the state.
struct Restore<'a> {
    server: &'a Server,
    id: u64,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        let abort = Command::RestoreAbort { restore: self.id };
        self.server.outbox.push(&abort);
    }
}

pub(super) fn not_empty() -> Refused {
    let reason = "there are znodes already, which would be lost; nothing was changed";
    Refused::new(409, reason)
}

/// Replaces the state of the ensemble; the number of the last change.
pub(super) async fn carry_out(
    server: &Arc<Server>,
    view: &View,
    only_if_empty: bool,
) -> Result<i64, Refused> {
    let restore = Restore {
        server,
        id: server.runtime.random.next_u64(),
    };
    let mut parts = Parts::new(restore.id, view);
    for part in parts.by_ref() {
        restore.step(&part).await?;
    }
    let end = Command::RestoreEnd {
        restore: restore.id,
        parts: parts.sent(),
        digest: view.digest(),
        only_if_empty,
    };
    let outcome = restore.step(&end).await?;
    Ok(outcome.zxid)
}

impl Restore<'_> {
    async fn step(&self, command: &Command) -> Result<Outcome, Refused> {
        let server = self.server;
        server.outbox.room().await;
        let applied = server.steps.expect(self.id);
        server.outbox.push(command);
        let is_end = matches!(command, Command::RestoreEnd { .. });
        let outcome = match server.runtime.clock.timeout(STEP_LIMIT, applied).await {
            Some(Ok(outcome)) => outcome,
            None | Some(Err(_)) => return Err(lost(is_end)),
        };
        match outcome.reply {
            Ok(Reply::PartTaken | Reply::Restored) => Ok(outcome),
            Err(ErrorCode::NotEmpty) => Err(not_empty()),
            Err(ErrorCode::BadVersion) => {
                let reason = "another restore has begun meanwhile; nothing of this one was kept";
                Err(Refused::new(409, reason))
            }
            other => {
                let reason = format!("the servers do not take the backup: {other:?}");
                Err(Refused::new(500, reason))
            }
        }
    }
}

fn lost(is_end: bool) -> Refused {
    let reason = if is_end {
        "the leader was lost at the last step, and it is not known whether the backup was restored; \
         look at the znodes, and restore it again if they are the old ones"
    } else {
        "the leader was lost on the way; nothing was changed: restore it again"
    };
    Refused::new(503, reason)
}
