//! The two that are compared.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use ottla_testkit::cluster::{Cluster, ClusterOptions, Flavour, Node};
use ottla_testkit::meter::mib;
use ottla_testkit::report::Whose;

use crate::Arguments;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Our own.
    Keeper,
    /// Apache ZooKeeper.
    ZooKeeper,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Keeper => "ottla",
            Side::ZooKeeper => "zookeeper",
        }
    }
}

impl From<Side> for Whose {
    fn from(side: Side) -> Whose {
        match side {
            Side::Keeper => Whose::Ours,
            Side::ZooKeeper => Whose::Theirs,
        }
    }
}

/// Where the programs are, and how they are started.
pub(crate) struct Programs {
    ottla: Option<PathBuf>,
    zookeeper: PathBuf,
    heap_mib: u32,
    settings: Vec<(String, String)>,
}

impl Programs {
    pub(crate) fn of(arguments: &Arguments) -> Programs {
        Programs {
            ottla: arguments.ottla.clone(),
            zookeeper: arguments.zookeeper.clone(),
            heap_mib: arguments.heap_mib,
            settings: arguments.settings.clone(),
        }
    }

    /// Starts servers on empty data, on loopback addresses.
    pub(crate) fn start(&self, side: Side, servers: usize) -> Result<Cluster> {
        self.start_with_heap(side, servers, self.heap_mib)
    }

    /// The same, with another heap for a JVM.
    pub(crate) fn start_with_heap(
        &self,
        side: Side,
        servers: usize,
        heap_mib: u32,
    ) -> Result<Cluster> {
        let flavour = match side {
            Side::Keeper => Flavour::Keeper {
                binary: self.ottla.clone().context("our binary was not named")?,
            },
            Side::ZooKeeper => Flavour::zookeeper(self.zookeeper.clone(), heap_mib),
        };
        let mut settings = self.settings.clone();
        // All connections of a load come from one address.
        settings.push(("maxClientCnxns".into(), "0".into()));
        settings.push(("4lw.commands.whitelist".into(), "*".into()));
        Cluster::start(ClusterOptions {
            settings,
            loopback: true,
            ..ClusterOptions::plain(flavour, servers)
        })
    }
}

/// Where clients reach the servers.
pub(crate) fn addresses(cluster: &Cluster) -> Vec<SocketAddr> {
    cluster.nodes().iter().map(Node::client_address).collect()
}

/// CPU time of all servers.
pub(crate) fn cpu_seconds(cluster: &Cluster) -> Result<f64> {
    let processes = cluster.nodes().iter().filter_map(|node| node.process());
    processes.map(|process| process.cpu_seconds()).sum()
}

/// Resident memory of the server that has most.
pub(crate) fn resident_mib(cluster: &Cluster) -> Result<f64> {
    let processes = cluster.nodes().iter().filter_map(|node| node.process());
    let mut most = 0.0_f64;
    for process in processes {
        most = most.max(mib(process.resident_kib()?));
    }
    Ok(most)
}

/// The name of ZooKeeper's own jar, which has its version.
pub(crate) fn jar(lib: &Path) -> Option<String> {
    let files = fs::read_dir(lib).ok()?.flatten();
    let mut names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    names.find(|name| name.starts_with("zookeeper-3"))
}

/// What the JVM says of itself.
pub(crate) fn java_version() -> Option<String> {
    let output = Command::new("java").arg("-version").output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.lines().nth(1).map(str::to_owned)
}
