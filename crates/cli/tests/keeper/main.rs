//! `ottla keeper` against a keeper in this process, or against the servers that
//! `OTTLA_TEST_ZOOKEEPER` names.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it should be"
)]

mod harness;
mod shell;
mod verbs;
