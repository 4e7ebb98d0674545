//! InitProducerId: a producer takes a transactional id, and whoever had it before is fenced.

use std::sync::Arc;

use ottla_model::ErrorCode;

use crate::coordinator::{Busy, Coordinator, Entry, Then, Wants};
use crate::effect::Token;
use crate::records;
use crate::request::{InitRequest, Request};
use crate::response::Response;
use crate::state::TransactionState;
use crate::transaction::Transaction;
use crate::version::TransactionVersion;

impl Coordinator {
    pub(crate) fn init(&mut self, token: Token, request: InitRequest) {
        match self.check_init(&request) {
            Ok(timeout_ms) => self.init_checked(token, request, timeout_ms),
            Err(error) => self.reply(token, Response::Init(Err(error))),
        }
    }

    /// What can be said without looking at the transactional id, and the timeout that it gets.
    fn check_init(&self, request: &InitRequest) -> Result<i32, ErrorCode> {
        let id = &request.transactional_id;
        if id.is_empty() || !records::fits(id) {
            return Err(ErrorCode::InvalidRequest);
        }
        if request.enable_two_phase_commit && !self.options.two_phase_commit {
            return Err(ErrorCode::TransactionalIdAuthorizationFailed);
        }
        if request.keep_prepared_transaction {
            return Err(ErrorCode::UnsupportedVersion);
        }
        if request.enable_two_phase_commit {
            // An outside coordinator decides, however long that takes (KIP-939).
            return Ok(i32::MAX);
        }
        let allowed = 1..=self.options.transaction_timeout_ms_max;
        if !allowed.contains(&request.transaction_timeout_ms) {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        Ok(request.transaction_timeout_ms)
    }

    fn init_checked(&mut self, token: Token, request: InitRequest, timeout_ms: i32) {
        let id = request.transactional_id.clone();
        let Some(entry) = self.entries.get(&id) else {
            self.init_new(token, request, timeout_ms);
            return;
        };
        let refuse = |error| Response::Init(Err(error));
        if entry.is_busy() {
            self.reply(token, refuse(ErrorCode::ConcurrentTransactions));
            return;
        }
        if request
            .expected
            .is_some_and(|e| !entry.transaction.recognizes(e))
        {
            self.reply(token, refuse(ErrorCode::ProducerFenced));
            return;
        }
        if entry.is_ongoing() {
            self.fence(token, request);
            return;
        }
        let expected = request.expected.map(|e| e.producer_epoch);
        let current = entry.transaction.producer_epoch;
        if entry.transaction.is_exhausted() && expected.is_none_or(|e| e == current) {
            self.init_rotated(token, request, timeout_ms);
            return;
        }
        match entry
            .transaction
            .initialized(timeout_ms, expected, self.now_ms)
        {
            Ok(next) => self.step(&id, next, Then::Init { token }),
            Err(error) => self.reply(token, refuse(error)),
        }
    }

    /// The first producer of a transactional id.
    fn init_new(&mut self, token: Token, request: InitRequest, timeout_ms: i32) {
        let Some(producer_id) = self.take_producer_id() else {
            self.park(token, Request::Init(request));
            return;
        };
        let id = request.transactional_id;
        let transaction = Transaction::unused(producer_id, timeout_ms, self.now_ms);
        let next = transaction
            .initialized(timeout_ms, None, self.now_ms)
            .expect("an id that nobody has used takes everyone");
        // Nobody else shall be given it meanwhile.
        let busy = Busy::No;
        self.entries.insert(id.clone(), Entry { transaction, busy });
        self.step(&id, next, Then::Init { token });
    }

    /// The epochs of the producer id are used up.
    fn init_rotated(&mut self, token: Token, request: InitRequest, timeout_ms: i32) {
        let Some(producer_id) = self.take_producer_id() else {
            self.park(token, Request::Init(request));
            return;
        };
        let id = request.transactional_id;
        let remember = request.expected.is_some();
        let transaction = &self.entries[&id].transaction;
        let next = transaction.rotated(producer_id, timeout_ms, remember, self.now_ms);
        self.step(&id, next, Then::Init { token });
    }

    /// The producer before has a transaction open: it is aborted under an epoch that nobody was
    /// given. The client comes again, and gets the one after that.
    fn fence(&mut self, token: Token, request: InitRequest) {
        let id = request.transactional_id.clone();
        let Some(next) = self.aborted(&id) else {
            self.park(token, Request::Init(request));
            return;
        };
        self.step(&id, next, Then::FencedBy { token });
    }

    /// The abort of an open transaction that its producer has not asked for; `None` when that
    /// needs a producer id that is not there yet.
    pub(crate) fn aborted(&mut self, transactional_id: &Arc<str>) -> Option<Transaction> {
        let exhausted = self.entries[transactional_id].transaction.is_exhausted();
        let next_producer_id = match exhausted {
            true => Some(self.take_producer_id()?),
            false => None,
        };
        let transaction = &self.entries[transactional_id].transaction;
        debug_assert_eq!(transaction.state, TransactionState::Ongoing);
        let version = TransactionVersion::LATEST;
        Some(transaction.prepared(false, version, next_producer_id, self.now_ms))
    }

    pub(crate) fn park(&mut self, token: Token, request: Request) {
        self.want_producer_id(Wants::Request { token, request });
    }
}
