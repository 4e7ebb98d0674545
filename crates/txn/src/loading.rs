//! Taking a partition over and giving it up.

use std::sync::Arc;

use ottla_model::{ErrorCode, TimestampMs};

use crate::coordinator::{Coordinator, Held, Wants};
use crate::effect::Effect;
use crate::error::Error;
use crate::records;
use crate::response::Response;

impl Coordinator {
    /// Takes one record while the partition is read, in the order of the offsets. Records of kinds
    /// that are not known are counted and skipped.
    ///
    /// # Errors
    /// When a record of a known kind cannot be understood; the coordinator is as before.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Error> {
        match records::decode(key, value)? {
            Some((id, Some(transaction))) => self.put(&id, transaction),
            Some((id, None)) => self.remove(&id),
            None => self.skipped_records += 1,
        }
        Ok(())
    }

    /// Call this once all records are applied, before the first request. Transactions whose fate
    /// is sealed go on from there: their partitions are told again, which does no harm.
    pub fn loaded(&mut self, now_ms: TimestampMs) -> Vec<Effect> {
        self.begin(now_ms);
        self.schedule_expiry();
        let prepared = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.transaction.state.is_prepared());
        let prepared: Vec<Arc<str>> = prepared.map(|(id, _)| id.clone()).collect();
        for id in prepared {
            self.resume(&id, 0);
        }
        self.take_effects()
    }

    /// Call this when another node takes the partition over, or at the end. Every request that is
    /// still owed an answer gets `NOT_COORDINATOR`, and everything is forgotten.
    pub fn unloaded(&mut self) -> Vec<Effect> {
        self.begin(self.now_ms);
        let error = ErrorCode::NotCoordinator;
        for held in std::mem::take(&mut self.pending).into_values() {
            if let Held::Step { then, .. } = held
                && let Some((token, response)) = then.refused(error)
            {
                self.reply(token, response);
            }
        }
        for wants in std::mem::take(&mut self.wants_producer_id) {
            if let Wants::Request { token, request } = wants {
                let response = request.refused(error);
                self.reply(token, response);
            }
        }
        for parked in std::mem::take(&mut self.parked).into_values().flatten() {
            self.reply(parked.token, Response::AddPartitions(error));
        }
        self.clear();
        self.take_effects()
    }
}
