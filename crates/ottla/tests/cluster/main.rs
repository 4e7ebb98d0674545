//! Several brokers in one process, with one controller: what replication does, without the network
//! between controllers. Whole nodes are played in `sim` and, as processes, in `testkit`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod coordinators;
mod harness;
mod replication;
