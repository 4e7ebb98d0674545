//! The crate's promises about logs on disk.
#![allow(clippy::unwrap_used, reason = "tests")]

mod basics;
mod clean;
mod crash;
mod damage;
mod fault;
mod follower;
mod history;
mod power;
mod properties;
mod replica;
mod transaction_index;
mod transactions;
mod watched;
mod world;
