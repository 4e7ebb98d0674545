//! What time brings: transactions that are open for too long, transactional ids that nobody uses,
//! and what has to be tried again.

use std::sync::Arc;

use ottla_model::TimestampMs;

use crate::coordinator::{Busy, Coordinator, Held, Then, Wants};
use crate::effect::{Effect, Notice};
use crate::records;

/// Transactional ids that are forgotten with one append.
const EXPIRED_IN_ONE_APPEND: usize = 512;

impl Coordinator {
    /// Does what is due at `now_ms`.
    pub fn tick(&mut self, now_ms: TimestampMs) -> Vec<Effect> {
        self.begin(now_ms);
        self.retry_due();
        self.give_up_waiting();
        if self.next_abort_ms <= now_ms && self.timeouts.first().is_some_and(|t| t.0 <= now_ms) {
            self.next_abort_ms = now_ms.saturating_add(self.options.abort_timed_out_interval_ms);
            self.abort_timed_out();
        }
        if self.next_expiry_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            self.schedule_expiry();
            self.expire();
        }
        self.take_effects()
    }

    /// When [`Coordinator::tick`] has something to do next; a time in the past means now.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<TimestampMs> {
        let abort = self.timeouts.first().map(|t| t.0.max(self.next_abort_ms));
        let retry = self.retries.first().map(|r| r.0);
        let expiry = self.next_expiry_ms.filter(|_| !self.entries.is_empty());
        let patience = self.patience.first().map(|p| p.0);
        [abort, retry, expiry, patience].into_iter().flatten().min()
    }

    /// The next look for unused transactional ids.
    pub(crate) fn schedule_expiry(&mut self) {
        let interval_ms = self.options.remove_expired_interval_ms;
        self.next_expiry_ms = Some(self.now_ms.saturating_add(interval_ms));
    }

    fn retry_due(&mut self) {
        while let Some((at_ms, _)) = self.retries.first()
            && *at_ms <= self.now_ms
            && let Some((_, id)) = self.retries.pop_first()
        {
            if let Some(entry) = self.entries.get(&id)
                && let Busy::Waiting { failures } = entry.busy
            {
                self.resume(&id, failures);
            }
        }
    }

    fn abort_timed_out(&mut self) {
        let now_ms = self.now_ms;
        let due = self
            .timeouts
            .iter()
            .take_while(|(at_ms, _)| *at_ms <= now_ms);
        let ids: Vec<Arc<str>> = due.map(|(_, id)| id.clone()).collect();
        for id in ids {
            let entry = &self.entries[&id];
            // One that is just changing is looked at again next time.
            if entry.is_busy() || !entry.is_ongoing() {
                continue;
            }
            let open_ms = now_ms.saturating_sub(entry.transaction.start_ms);
            match self.aborted(&id) {
                Some(next) => {
                    self.step(&id, next, Then::TimedOut);
                    self.notice(Notice::TimedOut {
                        transactional_id: id,
                        open_ms,
                    });
                }
                None => self.want_producer_id(Wants::TimedOut),
            }
        }
    }

    /// Writes tombstones for what nobody has used for `transactional.id.expiration.ms`.
    fn expire(&mut self) {
        let before_ms = self
            .now_ms
            .saturating_sub(self.options.transactional_id_expiration_ms);
        let expired = self.entries.iter().filter(|(_, entry)| {
            let transaction = &entry.transaction;
            entry.busy == Busy::No
                && transaction.state.expires()
                && transaction.last_update_ms <= before_ms
        });
        let expired: Vec<Arc<str>> = expired.map(|(id, _)| id.clone()).collect();
        for ids in expired.chunks(EXPIRED_IN_ONE_APPEND) {
            for id in ids {
                if let Some(entry) = self.entries.get_mut(id) {
                    entry.busy = Busy::Appending;
                }
            }
            let tombstones = ids.iter().map(|id| records::encode(id, None)).collect();
            let transactional_ids = ids.to_vec();
            self.append(tombstones, Held::Expired { transactional_ids });
        }
    }
}
