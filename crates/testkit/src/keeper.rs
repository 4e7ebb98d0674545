//! Clients of ZooKeeper's protocol that see every frame: for measuring servers of it, comparing them,
//! and judging them under faults. They follow no redirection, hide no loss and repeat nothing.
//!
//! `workload` lets an ensemble's clients work, ours and others, [`check`] judges what they saw.
//!
//! [`Connection`] does one thing after the other; [`Load`] keeps many requests of many connections
//! under way at little cost.

pub mod check;
mod connection;
pub mod differential;
pub mod history;
mod load;
#[cfg(feature = "keeper-faults")]
pub mod workload;

pub use connection::{Answer, Connection, Frame, Opened, Received, Session};
pub use load::{Load, Ran, Source, Until};
