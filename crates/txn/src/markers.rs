//! What follows once a transaction's fate is sealed: every partition is told, then the log.

use std::sync::Arc;

use ottla_model::{TimestampMs, TopicPartition};

use crate::coordinator::{Busy, Coordinator, Then};
use crate::effect::{Effect, MarkerOutcome, Markers, MarkingId, Notice};
use crate::state::TransactionState;

impl Coordinator {
    /// Goes on with a prepared transaction: markers to the partitions that lack them, or the
    /// completion when none does.
    pub(crate) fn resume(&mut self, transactional_id: &Arc<str>, failures: u32) {
        let transaction = &self.entries[transactional_id].transaction;
        assert!(
            transaction.state.is_prepared(),
            "only a prepared transaction has markers"
        );
        if transaction.partitions.is_empty() {
            let next = transaction.completed(self.now_ms);
            self.step(transactional_id, next, Then::Complete { failures });
            return;
        }
        let partitions = transaction.partitions.iter().cloned().collect();
        let marking_id = self.new_marking_id();
        let Some(entry) = self.entries.get_mut(transactional_id) else {
            return;
        };
        entry.busy = Busy::Marking {
            marking_id,
            failures,
        };
        let transaction = &entry.transaction;
        let markers = Markers {
            marking_id,
            transactional_id: transactional_id.clone(),
            producer_id: transaction.producer_id,
            producer_epoch: transaction.producer_epoch,
            commit: transaction.state == TransactionState::PrepareCommit,
            transaction_version: transaction.client_version,
            partitions,
        };
        self.effect(Effect::WriteMarkers(markers));
    }

    /// Takes the outcome of an [`Effect::WriteMarkers`]. A partition without an outcome is told
    /// again later, as one that failed. A round that is not known (any more) is ignored.
    pub fn marked(
        &mut self,
        now_ms: TimestampMs,
        transactional_id: &Arc<str>,
        marking_id: MarkingId,
        outcomes: Vec<(TopicPartition, MarkerOutcome)>,
    ) -> Vec<Effect> {
        self.begin(now_ms);
        let round = match self.entries.get(transactional_id).map(|e| e.busy) {
            Some(Busy::Marking {
                marking_id: current,
                failures,
            }) if current == marking_id => Some(failures),
            _ => None,
        };
        if let Some(failures) = round {
            for (partition, outcome) in outcomes {
                self.settle(transactional_id, partition, outcome);
            }
            if self.entries[transactional_id]
                .transaction
                .partitions
                .is_empty()
            {
                self.resume(transactional_id, failures);
            } else {
                self.retry_later(transactional_id, failures);
            }
        }
        self.take_effects()
    }

    fn settle(
        &mut self,
        transactional_id: &Arc<str>,
        partition: TopicPartition,
        outcome: MarkerOutcome,
    ) {
        let skipped = match outcome {
            MarkerOutcome::Failed(error) => {
                self.notice(Notice::MarkerFailed {
                    transactional_id: transactional_id.clone(),
                    partition,
                    error,
                });
                return;
            }
            MarkerOutcome::Written => None,
            MarkerOutcome::Deleted => Some("the partition was deleted"),
            MarkerOutcome::Fenced => Some("the partition knows a newer epoch of the producer"),
        };
        if let Some(entry) = self.entries.get_mut(transactional_id) {
            entry.transaction.partitions.remove(&partition);
        }
        if let Some(reason) = skipped {
            self.notice(Notice::MarkerSkipped {
                transactional_id: transactional_id.clone(),
                partition,
                reason,
            });
        }
    }

    /// Has the markers or the completion tried again after a while.
    pub(crate) fn retry_later(&mut self, transactional_id: &Arc<str>, failures: u32) {
        let Some(entry) = self.entries.get_mut(transactional_id) else {
            return;
        };
        entry.busy = Busy::Waiting {
            failures: failures.saturating_add(1),
        };
        let doubled = self.options.retry_backoff_ms << failures.min(16);
        let wait_ms = doubled.clamp(1, self.options.retry_backoff_ms_max.max(1));
        let at_ms = self.now_ms.saturating_add(wait_ms);
        self.retries.insert((at_ms, transactional_id.clone()));
    }
}
