//! Real processes and real clients for tests and benchmarks.
//!
//! A [`Broker`] is a process on this machine: our own node, or Apache Kafka as the reference
//! that the tests themselves are proved against. It starts on free ports with its data in a
//! temporary folder, can be stopped, killed and started again on the same data, and tells what
//! CPU time and memory it used. [`Control`] lets the test programs of other languages restart it.
//! A [`cluster::Cluster`] is several of them under faults. [`ZooKeeper`] is Apache ZooKeeper, the keeper's reference.
//! With the feature `clients` there is librdkafka too: [`scenario`]; with `keeper`, clients of
//! ZooKeeper's protocol, and what compares and judges servers of it.
//!
//! Tests that use [`TestNode`] run against our own node, built on demand, unless
//! `OTTLA_TEST_BOOTSTRAP` (and `OTTLA_TEST_CONTROL`, to restart it) name another broker.

mod binary;
mod broker;
pub mod check;
pub mod cluster;
mod control;
pub mod dice;
#[cfg(feature = "clients")]
pub mod faults;
pub mod history;
#[cfg(feature = "keeper")]
pub mod keeper;
pub mod meter;
mod process;
pub mod report;
#[cfg(feature = "clients")]
pub mod scenario;
mod test_node;
#[cfg(feature = "clients")]
pub mod workload;
mod zookeeper;

pub use binary::{Profile, node_binary};
pub use broker::{Broker, Launch};
pub use control::{Control, ask};
pub use process::{Process, Signal, descendants, signal};
pub use test_node::TestNode;
pub use zookeeper::{ZooKeeper, ZooKeeperOptions, four_letters};

use std::fs;
use std::net::TcpListener;
use std::path::Path;

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_folder(&source, &target)?;
        } else {
            fs::copy(source, target)?;
        }
    }
    Ok(())
}

/// A TCP port on the loopback address that nobody listens on at the moment.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
