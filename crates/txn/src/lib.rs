//! The transaction coordinator as a pure state machine: which producer owns a transactional id,
//! which partitions its transaction has touched, and how the transaction ends.
//!
//! One [`Coordinator`] holds all transactional ids of one partition of `__transaction_state`.
//! Requests, the time, the log's answers and the outcome of markers go in; [`Effect`]s come out,
//! which a driver carries out. A change is decided, appended, and applied once its record is
//! durable:
//!
//! ```text
//!   InitProducerId ───────────────▶ Append ── durable ──▶ answered
//!   AddPartitionsToTxn ───────────▶ Append ── durable ──▶ answered (Ongoing)
//!   EndTxn ──────▶ Append Prepare… ── durable ──▶ answered, and the fate is sealed:
//!                      WriteMarkers ── durable in every partition ──▶ Append Complete…
//! ```
//!
//! The behaviour is Kafka's (KIP-98, 360, 447, 588, 664, 890, the server's side of 939's
//! `enable2Pc`). Fencing always works as transaction version 2 does: the abort bumps the epoch.
//! Where it differs:
//! - a transactional id whose first record could not be written is forgotten at once;
//! - a repeated InitProducerId that names the epoch before an exhausted one is answered like any
//!   other retry instead of with an unknown error;
//! - a marker that a partition refuses because it knows a newer epoch of the producer counts as
//!   written there: nothing of the transaction can be open in it;
//! - a timed-out transaction is aborted when it is due and not at the next full interval; the
//!   interval only bounds how often that is looked for.
//!
//! # What the broker's handlers do
//! They own the wire versions: `PRODUCER_FENCED` becomes `INVALID_PRODUCER_EPOCH` before
//! InitProducerId v4, AddPartitionsToTxn, AddOffsetsToTxn and EndTxn v2; the request's version
//! chooses the [`TransactionVersion`]; partitions must exist before they are added. Besides:
//! `COORDINATOR_LOAD_IN_PROGRESS` while a partition is read, authorization, and one request per
//! partition of the topic for ListTransactions, with the pattern for transactional ids.
//!
//! Architecture invariant: no IO, no clock, no randomness, no tasks. The same calls give the same
//! effects in the same order.

mod coordinator;
mod describe;
mod effect;
mod end;
mod error;
mod expiry;
mod init;
mod loading;
mod markers;
mod options;
mod outcomes;
mod partitions;
mod records;
mod request;
mod response;
mod state;
mod transaction;
mod version;

#[cfg(test)]
mod tests;

pub use coordinator::{Coordinator, Counts};
pub use effect::{AppendId, Effect, KeyValue, MarkerOutcome, Markers, MarkingId, Notice, Token};
pub use error::{Error, append_error};
pub use options::Options;
pub use request::{
    AddPartitionsRequest, EndRequest, InitRequest, ListRequest, ProducerIdAndEpoch, Request,
    VerifyRequest,
};
pub use response::{
    Described, EndResponse, InitResponse, ListResponse, Listed, Response, VerifyResponse,
};
pub use state::TransactionState;
pub use version::TransactionVersion;
