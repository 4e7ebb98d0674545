//! The coordinator from outside: requests, time and the log's answers in, effects out.

pub(crate) mod harness;

mod consumers;
mod deleting;
mod describing;
mod joining;
mod leaving;
mod offsets;
mod properties;
mod sessions;
mod static_members;
mod storage;
mod transactions;
