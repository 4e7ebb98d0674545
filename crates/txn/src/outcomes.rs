//! What happens when the log has answered: a step takes place, or it does not.

use std::sync::Arc;

use ottla_model::{ErrorCode, NO_PRODUCER_EPOCH, TimestampMs};

use crate::coordinator::{Busy, Coordinator, Held, Then};
use crate::effect::{AppendId, Effect, Notice};
use crate::error::append_error;
use crate::response::Response;
use crate::state::TransactionState;
use crate::transaction::Transaction;

impl Coordinator {
    /// Takes the outcome of an [`Effect::Append`]: `Ok` when the records are durable (and
    /// replicated as the topic demands), else what the log answered. Outcomes come in the order of
    /// their ids; one that is not known is ignored.
    pub fn appended(
        &mut self,
        now_ms: TimestampMs,
        append_id: AppendId,
        outcome: Result<(), ErrorCode>,
    ) -> Vec<Effect> {
        self.begin(now_ms);
        match (self.pending.remove(&append_id), outcome) {
            (None, _) => {}
            (Some(held), outcome) => {
                let changed = held.transactional_ids();
                match outcome {
                    Ok(()) => self.durable(held),
                    Err(error) => self.failed(held, error),
                }
                for id in &changed {
                    self.wake(id);
                }
            }
        }
        self.take_effects()
    }

    fn durable(&mut self, held: Held) {
        match held {
            Held::Step {
                transactional_id,
                next,
                then,
            } => {
                let version = next.client_version;
                let after = next.completed(self.now_ms).producer();
                let now = next.producer();
                let committed = next.state == TransactionState::CompleteCommit;
                self.put(&transactional_id, next);
                match then {
                    Then::Init { token } => {
                        self.reply(token, Response::Init(Ok(now)));
                        self.notice(Notice::Initialized {
                            transactional_id,
                            producer_id: now.producer_id,
                            producer_epoch: now.producer_epoch,
                        });
                    }
                    Then::AddPartitions { token } => {
                        self.reply(token, Response::AddPartitions(ErrorCode::None));
                    }
                    Then::End { token } => {
                        // The fate is sealed; the producer need not wait for the markers.
                        let identity = version.bumps_epoch().then_some(after);
                        self.reply(token, Response::End(Ok(identity)));
                        self.resume(&transactional_id, 0);
                    }
                    Then::FencedBy { token } => {
                        let again = Err(ErrorCode::ConcurrentTransactions);
                        self.reply(token, Response::Init(again));
                        self.resume(&transactional_id, 0);
                    }
                    Then::TimedOut => self.resume(&transactional_id, 0),
                    Then::Complete { .. } => self.notice(Notice::Completed {
                        transactional_id,
                        committed,
                    }),
                }
            }
            Held::Expired { transactional_ids } => {
                for id in &transactional_ids {
                    self.remove(id);
                }
                self.notice(Notice::Expired {
                    transactional_ids: transactional_ids.len(),
                });
            }
        }
    }

    fn failed(&mut self, held: Held, error: ErrorCode) {
        match held {
            Held::Step {
                transactional_id,
                then,
                ..
            } => {
                self.notice(Notice::AppendFailed {
                    transactional_id: transactional_id.clone(),
                    error,
                });
                if let Some((token, response)) = then.refused(append_error(error)) {
                    self.reply(token, response);
                }
                match then {
                    Then::Complete { failures } => self.retry_later(&transactional_id, failures),
                    _ => self.undo(&transactional_id),
                }
            }
            Held::Expired { transactional_ids } => {
                for id in &transactional_ids {
                    self.undo(id);
                }
                if let Some(transactional_id) = transactional_ids.into_iter().next() {
                    self.notice(Notice::AppendFailed {
                        transactional_id,
                        error,
                    });
                }
            }
        }
    }

    /// The transactional id stays as it was; one that was never written is forgotten.
    fn undo(&mut self, transactional_id: &Arc<str>) {
        let Some(entry) = self.entries.get_mut(transactional_id) else {
            return;
        };
        entry.busy = Busy::No;
        if is_unwritten(&entry.transaction) {
            self.remove(transactional_id);
        }
    }
}

impl Held {
    fn transactional_ids(&self) -> Vec<Arc<str>> {
        match self {
            Held::Step {
                transactional_id, ..
            } => vec![transactional_id.clone()],
            Held::Expired { transactional_ids } => transactional_ids.clone(),
        }
    }
}

fn is_unwritten(transaction: &Transaction) -> bool {
    transaction.producer_epoch == NO_PRODUCER_EPOCH
}
