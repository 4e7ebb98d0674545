//! Seeded simulation: whole clusters and their clients on one thread, in virtual time.
//!
//! ```text
//!   world ──▶ power failures, restarts, losses, holds, cuts, clock jumps, full disks
//!     │
//!     ├─ hosts "n1"…:    ottla::Node on a disk that forgets what was not flushed ── watch ──┐
//!     ├─ host "writers": idempotent producers          ┐                                    ▼
//!     ├─ host "readers": tailing consumer, group       ├──────────────────────────▶ history ─▶ checkers
//!     │                  offsets, topics, moves        │
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
mod cluster;
mod disk;
mod faults;
mod history;
mod network;
mod node;
mod panics;
mod run;
mod scenario;
mod watch;
mod world;

pub use checkers::{CHECKERS, Violation};
pub use disk::Lie;
pub use ottla_model::Sabotage;
pub use run::{Outcome, run};
pub use scenario::{Faults, Scenario, Shape};
