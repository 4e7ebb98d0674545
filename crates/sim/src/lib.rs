//! Seeded simulation: a whole node and its clients on one thread, in virtual time.
//!
//! ```text
//!   world ──▶ power failures, restarts, holds, partitions, clock jumps, full disks
//!     │
//!     ├─ host "node":    ottla::Node on a disk that forgets what was not flushed
//!     ├─ host "writers": idempotent producers          ┐
//!     ├─ host "readers": tailing consumer, group       ├─▶ history ─▶ checkers
//!     │                  offsets, topics               │
//!     └─ afterwards: the auditor reads everything back ┘
//! ```
//!
//! Everything follows from one seed: the workload, the faults, the network's delays, what the disk
//! loses. The same seed gives the same run, so that what a run has found can be looked at again.
//!
//! - [`run`] plays a [`Scenario`] and returns an [`Outcome`]: what the checkers found, a digest of
//!   all that the clients saw, and some numbers.
//! - A checker (one a file in `checkers`) is a property of the history; it knows nothing of the
//!   node.

mod checkers;
mod clients;
mod disk;
mod faults;
mod history;
mod node;
mod panics;
mod scenario;
mod world;

pub use checkers::{CHECKERS, Violation};
pub use disk::Lie;
pub use scenario::{Faults, Scenario};
pub use world::{Outcome, run};
