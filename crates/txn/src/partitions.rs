//! AddPartitionsToTxn: partitions join a transaction, or are looked for in it.

use std::sync::Arc;

use ottla_model::ErrorCode;

use crate::coordinator::{Coordinator, Entry, Parked, Then};
use crate::effect::Token;
use crate::request::{AddPartitionsRequest, VerifyRequest};
use crate::response::{Response, VerifyResponse};

impl Coordinator {
    pub(crate) fn add_partitions(&mut self, token: Token, request: AddPartitionsRequest) {
        match self.check_add(&request) {
            Err(ErrorCode::ConcurrentTransactions) if request.patience_ms > 0 => {
                self.park_until_idle(token, request);
            }
            Err(answer) => self.reply(token, Response::AddPartitions(answer)),
            Ok(()) => {
                let id = &request.transactional_id;
                let transaction = &self.entries[id].transaction;
                let next = transaction.with_partitions(
                    &request.partitions,
                    request.client_version,
                    self.now_ms,
                );
                self.step(id, next, Then::AddPartitions { token });
            }
        }
    }

    /// A transaction's end is over so soon that who adds to the next one had better wait.
    fn park_until_idle(&mut self, token: Token, request: AddPartitionsRequest) {
        let id = request.transactional_id.clone();
        let until_ms = self.now_ms.saturating_add(request.patience_ms);
        self.patience.insert((until_ms, token, id.clone()));
        self.parked.entry(id).or_default().push(Parked {
            token,
            request,
            until_ms,
        });
    }

    /// Looks again at the requests that wait for a transactional id which has just changed.
    pub(crate) fn wake(&mut self, transactional_id: &Arc<str>) {
        if self
            .entries
            .get(transactional_id)
            .is_some_and(Entry::is_busy)
        {
            return;
        }
        for parked in self.parked.remove(transactional_id).unwrap_or_default() {
            let key = (parked.until_ms, parked.token, transactional_id.clone());
            self.patience.remove(&key);
            let mut request = parked.request;
            request.patience_ms = parked.until_ms.saturating_sub(self.now_ms);
            self.add_partitions(parked.token, request);
        }
    }

    /// Answers those that have waited for too long.
    pub(crate) fn give_up_waiting(&mut self) {
        while let Some((until_ms, _, _)) = self.patience.first()
            && *until_ms <= self.now_ms
            && let Some((_, token, id)) = self.patience.pop_first()
        {
            if let Some(parked) = self.parked.get_mut(&id) {
                parked.retain(|p| p.token != token);
                if parked.is_empty() {
                    self.parked.remove(&id);
                }
            }
            let again = ErrorCode::ConcurrentTransactions;
            self.reply(token, Response::AddPartitions(again));
        }
    }

    /// `Err` holds the answer when nothing is to be written, which may be that all is well.
    fn check_add(&self, request: &AddPartitionsRequest) -> Result<(), ErrorCode> {
        if request.transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let entry = self
            .entries
            .get(&request.transactional_id)
            .ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let transaction = &entry.transaction;
        // What is on its way comes first: the producer may already have an id or epoch that is
        // not in place here before its record is durable.
        if entry.is_busy() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if transaction.producer_id != request.producer.producer_id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if transaction.producer_epoch != request.producer.producer_epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        if entry.is_ongoing() && request.partitions.is_subset(&transaction.partitions) {
            return Err(ErrorCode::None);
        }
        Ok(())
    }

    /// Whether partitions are in the transaction, as far as it is durable. What is on its way is
    /// not looked at: the partition's log has the last word.
    pub(crate) fn verify(&self, request: &VerifyRequest) -> VerifyResponse {
        if request.transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let entry = self
            .entries
            .get(&request.transactional_id)
            .ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let transaction = &entry.transaction;
        if transaction.producer_id != request.producer.producer_id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if transaction.producer_epoch != request.producer.producer_epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        if transaction.state.is_prepared() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let verified = request.partitions.iter().map(|partition| {
            let known = transaction.partitions.contains(partition);
            let answer = if known {
                ErrorCode::None
            } else {
                ErrorCode::TransactionAbortable
            };
            (partition.clone(), answer)
        });
        Ok(verified.collect())
    }
}
