//! Both sides' servers, in the same state: fresh.

use std::net::SocketAddr;

use anyhow::Result;
use ottla_testkit::cluster::{Cluster, ClusterOptions, Flavour, Node};
use ottla_testkit::keeper::differential::{Drain, Pair};

use crate::Arguments;

/// Sessions can expire soon and need not; nothing is deleted by itself; everything can be tried.
const SETTINGS: [(&str, &str); 9] = [
    ("tickTime", "200"),
    ("initLimit", "100"),
    ("syncLimit", "50"),
    ("maxSessionTimeout", "3600000"),
    ("maxClientCnxns", "0"),
    ("4lw.commands.whitelist", "*"),
    ("extendedTypesEnabled", "true"),
    ("enforceQuota", "true"),
    // Nothing is killed here, and thousands of flushes take their time.
    ("forceSync", "no"),
];
/// The digest of `super:admin`.
const SUPER_DIGEST: (&str, &str) = (
    "DigestAuthenticationProvider.superDigest",
    "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=",
);
/// Only a Java property in ZooKeeper.
const CONTAINERS: (&str, &str) = ("znode.container.checkIntervalMs", "2000000000");

pub(crate) struct Servers {
    left: Cluster,
    right: Cluster,
}

impl Servers {
    pub(crate) fn start(arguments: &Arguments) -> Result<Servers> {
        let lib = arguments.zookeeper.clone();
        let mut zookeeper = Flavour::lean_zookeeper(lib);
        if let Flavour::ZooKeeper { jvm, .. } = &mut zookeeper {
            jvm.push(format!("-D{}={}", CONTAINERS.0, CONTAINERS.1));
        }
        let other = match &arguments.ottla {
            Some(binary) => Flavour::Keeper {
                binary: binary.clone(),
            },
            None => zookeeper.clone(),
        };
        // Both are started before either is waited for.
        let mut both = [prepare(arguments, zookeeper)?, prepare(arguments, other)?];
        for cluster in &mut both {
            for node in 0..cluster.len() {
                cluster.spawn(node)?;
            }
        }
        for cluster in &mut both {
            for node in 0..cluster.len() {
                cluster.wait_ready(node)?;
            }
        }
        let [left, right] = both;
        Ok(Servers { left, right })
    }

    pub(crate) fn pair(&self) -> Pair {
        let drain = if self.left.len() == 1 {
            Drain::Ping
        } else {
            Drain::Sync
        };
        Pair::of(&addresses(&self.left), &addresses(&self.right), drain)
    }

    /// What the servers of both sides said last.
    pub(crate) fn logs(&self) -> String {
        let nodes = self.left.nodes().iter().chain(self.right.nodes());
        let logs: Vec<String> = nodes.map(Node::log_tail).collect();
        logs.join("\n----\n")
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        self.left.stop_all()?;
        self.right.stop_all()
    }
}

fn prepare(arguments: &Arguments, flavour: Flavour) -> Result<Cluster> {
    let own = SETTINGS.iter().chain([&SUPER_DIGEST, &CONTAINERS]);
    let own = own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let given = &arguments.settings;
    let mut settings: Vec<(String, String)> = own
        .filter(|(name, _)| given.iter().all(|(given, _)| given != name))
        .collect();
    settings.extend(given.iter().cloned());
    Cluster::prepare(ClusterOptions {
        settings,
        loopback: true,
        ..ClusterOptions::plain(flavour, arguments.servers)
    })
}

fn addresses(cluster: &Cluster) -> Vec<SocketAddr> {
    cluster.nodes().iter().map(Node::client_address).collect()
}
