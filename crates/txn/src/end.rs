//! EndTxn: a producer commits or aborts.
//!
//! In version 2 the epoch tells a repeated request from a new one, because every end bumps it:
//!
//! ```text
//!                    abort, one epoch back   abort, current    commit, one back    commit, current
//!   Empty            fenced                  abort and bump    fenced              invalid state
//!   CompleteAbort    done already            abort and bump    invalid state       invalid state
//!   CompleteCommit   invalid state           abort and bump    done already        invalid state
//! ```
//! An abort of nothing is allowed: the producer may not know whether its transaction has begun.

use ottla_model::{ErrorCode, ProducerEpoch, ProducerId};

use crate::coordinator::{Coordinator, Then};
use crate::effect::Token;
use crate::request::{EndRequest, ProducerIdAndEpoch, Request};
use crate::response::{EndResponse, Response};
use crate::state::TransactionState::{CompleteAbort, CompleteCommit, Empty, Ongoing};
use crate::transaction::Transaction;

/// What to do about an EndTxn.
enum Verdict {
    /// The transaction ends.
    Prepare,
    /// Nothing changes.
    Answer(EndResponse),
}

impl Coordinator {
    pub(crate) fn end(&mut self, token: Token, request: EndRequest) {
        let verdict = if request.client_version.bumps_epoch() {
            self.check_end(&request)
        } else {
            self.check_end_without_bump(&request)
        };
        match verdict {
            Verdict::Answer(response) => self.reply(token, Response::End(response)),
            Verdict::Prepare => self.prepare(token, request),
        }
    }

    fn prepare(&mut self, token: Token, request: EndRequest) {
        let id = request.transactional_id.clone();
        let exhausted = self.entries[&id].transaction.is_exhausted();
        let mut next_producer_id = None;
        if request.client_version.bumps_epoch() && exhausted {
            next_producer_id = self.take_producer_id();
            if next_producer_id.is_none() {
                self.park(token, Request::End(request));
                return;
            }
        }
        let next = self.entries[&id].transaction.prepared(
            request.commit,
            request.client_version,
            next_producer_id,
            self.now_ms,
        );
        self.step(&id, next, Then::End { token });
    }

    fn check_end_without_bump(&self, request: &EndRequest) -> Verdict {
        if request.transactional_id.is_empty() {
            return refuse(ErrorCode::InvalidRequest);
        }
        let Some(entry) = self.entries.get(&request.transactional_id) else {
            return refuse(ErrorCode::InvalidProducerIdMapping);
        };
        let transaction = &entry.transaction;
        if transaction.producer_id != request.producer.producer_id {
            return refuse(ErrorCode::InvalidProducerIdMapping);
        }
        if transaction.producer_epoch != request.producer.producer_epoch {
            return refuse(ErrorCode::ProducerFenced);
        }
        if entry.is_busy() {
            return refuse(ErrorCode::ConcurrentTransactions);
        }
        match (transaction.state, request.commit) {
            (Ongoing, _) => Verdict::Prepare,
            (CompleteCommit, true) | (CompleteAbort, false) => Verdict::Answer(Ok(None)),
            _ => refuse(ErrorCode::InvalidTxnState),
        }
    }

    fn check_end(&self, request: &EndRequest) -> Verdict {
        if request.transactional_id.is_empty() {
            return refuse(ErrorCode::InvalidRequest);
        }
        let Some(entry) = self.entries.get(&request.transactional_id) else {
            return refuse(ErrorCode::InvalidProducerIdMapping);
        };
        if entry.is_busy() {
            return refuse(ErrorCode::ConcurrentTransactions);
        }
        let transaction = &entry.transaction;
        let asks = request.producer;
        let completed = matches!(transaction.state, CompleteCommit | CompleteAbort);
        let repeats_over_new_id = completed && is_retry_over_new_id(transaction, asks);
        if transaction.producer_id != asks.producer_id && !repeats_over_new_id {
            return refuse(ErrorCode::InvalidProducerIdMapping);
        }
        let repeats = repeats_over_new_id || (completed && is_retry(transaction, asks));
        if transaction.producer_epoch != asks.producer_epoch && !repeats {
            return refuse(ErrorCode::ProducerFenced);
        }
        match (transaction.state, request.commit, repeats) {
            (Ongoing, _, _) | (Empty | CompleteCommit | CompleteAbort, false, false) => {
                Verdict::Prepare
            }
            (CompleteCommit, true, true) | (CompleteAbort, false, true) => {
                Verdict::Answer(Ok(Some(transaction.producer())))
            }
            _ => refuse(ErrorCode::InvalidTxnState),
        }
    }
}

fn refuse(error: ErrorCode) -> Verdict {
    Verdict::Answer(Err(error))
}

/// Whether the producer has not heard that its transaction has ended.
fn is_retry(transaction: &Transaction, asks: ProducerIdAndEpoch) -> bool {
    asks.producer_epoch >= 0
        && asks.producer_epoch.checked_add(1) == Some(transaction.producer_epoch)
}

/// Whether it has not heard, and does not know its new producer id either.
fn is_retry_over_new_id(transaction: &Transaction, asks: ProducerIdAndEpoch) -> bool {
    const LAST: ProducerEpoch = ProducerEpoch::MAX - 1;
    let before: (ProducerId, ProducerEpoch) = (transaction.previous_producer_id, LAST);
    (asks.producer_id, asks.producer_epoch) == before
        && transaction.producer_id != asks.producer_id
        && transaction.producer_epoch == 0
}
