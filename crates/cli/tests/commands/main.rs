//! Whole commands against a running node: our own, or the one that `OTTLA_TEST_BOOTSTRAP` names.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod admin;
mod groups;
mod records;
mod session;
mod transactions;
