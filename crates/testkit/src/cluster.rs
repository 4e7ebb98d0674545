//! Several nodes as real processes, and what can be done to them: kill, pause, cut off, slow down,
//! fill a disk, set a clock.
//!
//! As root each node lives in a network namespace of its own ([`Cluster::start`] makes them), so that
//! links can be cut; otherwise on a loopback address of its own, and [`Cluster::lacks`] says what is
//! then impossible. Dropping a cluster kills its processes and removes everything that it made.

mod coordination;
mod disk;
mod links;
mod network;
mod node;
mod preload;
mod replicas;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::process::Signal;
use network::Network;
use node::Place;
use preload::Preload;

pub use coordination::four_letters;
pub use disk::SmallDisk;
pub use links::{End, Links};
pub use node::{Flavour, Node};

const CLIENT_PORT: u16 = 9092;
const CONTROLLER_PORT: u16 = 9093;
/// What coordination services listen on for clients, for each other, and for their elections.
const COORDINATION_PORTS: [u16; 3] = [2181, 2888, 3888];
/// How long our command line tries to carry out an order.
const ORDER_LIMIT: &str = "10s";
const HTTP_PORT: u16 = 8080;

/// How a cluster is made.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// What the nodes are.
    pub flavour: Flavour,
    /// How many.
    pub nodes: usize,
    /// Properties of every node.
    pub settings: Vec<(String, String)>,
    /// Loopback addresses even for root.
    pub loopback: bool,
    /// Each node's data lies on a disk of this size, in memory, that can be filled.
    pub disk_mib: Option<u32>,
    /// Flushes can be made slow, and clocks can be set.
    pub preload: bool,
}

impl ClusterOptions {
    /// Nodes to which nothing special can be done.
    pub fn plain(flavour: Flavour, nodes: usize) -> ClusterOptions {
        ClusterOptions {
            flavour,
            nodes,
            settings: Vec::new(),
            loopback: false,
            disk_mib: None,
            preload: false,
        }
    }
}

/// What may be impossible on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// Links can be cut, lossy, slow.
    Links,
    /// Disks can be filled.
    FullDisk,
    /// Flushes can be made slow.
    SlowFlushes,
    /// A node's clock can be set.
    Clocks,
    /// Orders can be given.
    Orders,
}

/// A running cluster. Nodes are named by their place in it, from 0 on; their ids begin with 1.
#[derive(Debug)]
pub struct Cluster {
    options: ClusterOptions,
    // Processes end before the network goes, and the folder goes last.
    nodes: Vec<Node>,
    network: Network,
    links: Links,
    lacks: Vec<(Ability, String)>,
    folder: TempDir,
}

impl Cluster {
    /// Starts all nodes and waits until each is ready.
    pub fn start(options: ClusterOptions) -> Result<Cluster> {
        let mut cluster = Cluster::prepare(options)?;
        for node in 0..cluster.len() {
            cluster.spawn(node)?;
        }
        for node in 0..cluster.len() {
            cluster.wait_ready(node)?;
        }
        Ok(cluster)
    }

    /// Makes the network and what must exist before the first start, but starts nothing.
    pub fn prepare(options: ClusterOptions) -> Result<Cluster> {
        let folder = tempfile::Builder::new()
            .prefix("ottla-cluster-")
            .tempdir()?;
        let (network, why_no_links) = if options.loopback {
            let reason = "loopback addresses were asked for".to_owned();
            (Network::loopback(), Some(reason))
        } else {
            Network::best(options.nodes)?
        };
        let mut nodes = Vec::new();
        for node in 0..options.nodes {
            let place = place(&network, node, &options.flavour)?;
            let home = folder.path().join(format!("node-{}", node + 1));
            nodes.push(Node::new(node + 1, place, home)?);
        }
        let mut cluster = Cluster {
            options,
            nodes,
            network,
            links: Links::default(),
            lacks: Vec::new(),
            folder,
        };
        cluster.lack(Ability::Links, why_no_links);
        cluster.prepare_disks();
        cluster.prepare_preload();
        if !matches!(cluster.options.flavour, Flavour::Ottla { .. }) {
            let reason = "orders are given to our own brokers".to_owned();
            cluster.lack(Ability::Orders, Some(reason));
        }
        if let Flavour::Kafka { lib, .. } = &cluster.options.flavour {
            for node in 0..cluster.len() {
                // This writes the file of properties that the format reads.
                cluster.arguments(node)?;
            }
            node::format_kafka(lib, &cluster.nodes)?;
        }
        Ok(cluster)
    }

    fn prepare_disks(&mut self) {
        if let Some(mib) = self.options.disk_mib {
            for node in &mut self.nodes {
                match SmallDisk::mount(&node.data_dir(), mib) {
                    Ok(disk) => node.disk = Some(disk),
                    Err(error) => {
                        self.lacks.push((Ability::FullDisk, format!("{error:#}")));
                        break;
                    }
                }
            }
        } else {
            self.lack(
                Ability::FullDisk,
                Some("no small disk was asked for".into()),
            );
        }
    }

    fn prepare_preload(&mut self) {
        let abilities = [Ability::SlowFlushes, Ability::Clocks];
        let why_not = if self.options.preload {
            match Preload::build(self.folder.path()) {
                Ok(preload) => {
                    for node in &mut self.nodes {
                        node.preload = Some(preload.clone());
                    }
                    return;
                }
                Err(error) => format!("{error:#}"),
            }
        } else {
            "it was not asked for".to_owned()
        };
        self.lacks
            .extend(abilities.map(|ability| (ability, why_not.clone())));
    }

    fn lack(&mut self, ability: Ability, reason: Option<String>) {
        self.lacks.extend(reason.map(|reason| (ability, reason)));
    }

    /// Why this is impossible here, if it is.
    pub fn lacks(&self, ability: Ability) -> Option<&str> {
        let mut lacks = self.lacks.iter();
        lacks.find_map(|(lacking, reason)| (*lacking == ability).then_some(reason.as_str()))
    }

    /// How many nodes there are, running or not.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never true; for the sake of symmetry.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What the nodes are.
    pub fn flavour(&self) -> &Flavour {
        &self.options.flavour
    }

    /// All nodes' `HOST:PORT`, separated by commas.
    pub fn bootstrap(&self) -> String {
        let all: Vec<String> = self.nodes.iter().map(Node::bootstrap).collect();
        all.join(",")
    }

    /// The nodes, in the order of their ids.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The folder with everything that the nodes keep and print.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps the folder, for somebody who wants to look into it.
    pub fn keep_folder(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_path_buf()
    }

    fn arguments(&self, node: usize) -> Result<Vec<String>> {
        let voters: Vec<String> = self
            .nodes
            .iter()
            .map(|n| format!("{}@{}:{}", n.id, n.place.address, n.place.controller_port))
            .collect();
        let flavour = &self.options.flavour;
        let node = self.nodes.get(node).context("no such node")?;
        let settings = &self.options.settings;
        if flavour.coordinates() {
            return coordination::arguments(flavour, node, &self.nodes, settings);
        }
        let properties =
            node::properties(flavour, node, &voters.join(","), self.nodes.len(), settings);
        node::arguments(flavour, node, &properties)
    }

    /// Starts a node and does not wait for it.
    pub fn spawn(&mut self, node: usize) -> Result<()> {
        let arguments = self.arguments(node)?;
        self.nodes[node].spawn(&self.options.flavour, &arguments, &self.network)
    }

    /// Waits until a node says that it is ready.
    pub fn wait_ready(&mut self, node: usize) -> Result<()> {
        self.nodes[node].wait_ready(&self.options.flavour)
    }

    /// SIGTERM, and the wait for the end.
    pub fn stop(&mut self, node: usize) -> Result<()> {
        self.nodes[node].stop()
    }

    /// SIGKILL, and the wait for the end.
    pub fn kill(&mut self, node: usize) -> Result<()> {
        self.nodes[node].kill()
    }

    /// SIGKILL to all nodes at once.
    pub fn kill_all(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            if node.process().is_some() {
                node.signal(Signal::KILL)?;
            }
        }
        for node in &mut self.nodes {
            if node.process().is_some() {
                node.kill()?;
            }
        }
        Ok(())
    }

    /// The node stands still, its connections stay open.
    pub fn pause(&mut self, node: usize) -> Result<()> {
        self.nodes[node].signal(Signal::STOP)
    }

    /// A node that stood still goes on.
    pub fn resume(&mut self, node: usize) -> Result<()> {
        self.nodes[node].signal(Signal::CONT)
    }

    /// What a node of a coordination service is at the moment: `leader`, `follower`, `observer`,
    /// `standalone`; `None` if it does not serve.
    pub fn mode(&self, node: usize) -> Option<String> {
        coordination::mode(self.nodes.get(node)?.client_address())
    }

    /// The place of the node that leads a coordination service; one alone leads itself.
    pub fn leader(&self) -> Option<usize> {
        (0..self.len()).find(|&node| {
            let mode = self.mode(node);
            matches!(mode.as_deref(), Some("leader" | "standalone"))
        })
    }

    /// Brings all links into this state.
    pub fn set_links(&mut self, links: Links) -> Result<()> {
        self.network.set(&links)?;
        self.links = links;
        Ok(())
    }

    /// All links let everything pass again.
    pub fn heal_links(&mut self) -> Result<()> {
        if self.links == Links::default() {
            return Ok(());
        }
        self.set_links(Links::default())
    }

    /// Makes a node's link slow, or as fast as before.
    pub fn slow_link(&self, node: usize, slow: bool) -> Result<()> {
        self.network.slow(node, slow)
    }

    /// Each flush of a node waits so long from now on.
    pub fn slow_flushes(&self, node: usize, delay_ms: u32) -> Result<()> {
        preload::set_flush_delay(&self.nodes[node].folder, delay_ms)
    }

    /// Fills a node's disk to its last byte.
    pub fn fill_disk(&self, node: usize) -> Result<()> {
        let disk = self.nodes[node].disk.as_ref();
        disk.context("the node has no disk of its own")?.fill()
    }

    /// Gives back what filled a node's disk.
    pub fn make_room(&self, node: usize) -> Result<()> {
        let disk = self.nodes[node].disk.as_ref();
        disk.context("the node has no disk of its own")?.make_room()
    }

    /// Sets a node's clock so many seconds off the true time.
    pub fn set_clock(&self, node: usize, seconds: i64) -> Result<()> {
        preload::set_clock(&self.nodes[node].folder, seconds)
    }

    /// Gives an order with our command line, and waits for its end.
    pub fn order(&self, order: &[String]) -> Result<Output> {
        let Flavour::Ottla { binary } = &self.options.flavour else {
            bail!("only our own nodes come with our command line");
        };
        let output = Command::new(binary)
            .args(order)
            .args(["--bootstrap-server", &self.bootstrap()])
            .args(["--timeout", ORDER_LIMIT])
            .output();
        output.context("cannot run ottla")
    }

    /// The nodes that ended by themselves since they were started, with how they ended.
    pub fn fallen(&mut self) -> Result<Vec<(usize, String)>> {
        let mut fallen = Vec::new();
        for (at, node) in self.nodes.iter_mut().enumerate() {
            if let Some(end) = node.ended()? {
                fallen.push((at, end));
            }
        }
        Ok(fallen)
    }

    /// Starts every node that does not run, and waits for those.
    pub fn start_missing(&mut self) -> Result<()> {
        for (fallen, _) in self.fallen()? {
            self.nodes[fallen].forget();
        }
        let missing: Vec<usize> = (0..self.len())
            .filter(|&node| self.nodes[node].process().is_none())
            .collect();
        for &node in &missing {
            self.spawn(node)?;
        }
        for &node in &missing {
            self.wait_ready(node)?;
        }
        Ok(())
    }

    /// Stops all nodes, the last one first; each must end well.
    pub fn stop_all(&mut self) -> Result<()> {
        // A quorum's last members cannot hand anything over: all are told before any is waited for.
        for node in self.nodes.iter_mut().rev() {
            if node.process().is_some() {
                node.signal(Signal::TERM)?;
            }
        }
        for node in self.nodes.iter_mut().rev() {
            if node.process().is_some() {
                node.stop()?;
            }
        }
        Ok(())
    }

    /// Where replicas differ on disk, as text. All nodes must be stopped, after a time in which all
    /// replicas were in sync and nobody wrote.
    pub fn differing_replicas(&self) -> Result<Vec<String>> {
        let running = self.nodes.iter().find(|node| node.process().is_some());
        ensure!(
            running.is_none(),
            "replicas are compared once all nodes are stopped"
        );
        let folders: Vec<PathBuf> = self.nodes.iter().map(Node::data_dir).collect();
        replicas::differences(&folders)
    }

    /// Waits until the condition holds, and fails early when a node falls.
    pub fn eventually(
        &mut self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&Cluster) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !condition(self) {
            if let Some((node, end)) = self.fallen()?.first() {
                let log = self.nodes[*node].log_tail();
                bail!("node {} ended by itself, {end}:\n{log}", node + 1);
            }
            ensure!(Instant::now() < deadline, "not within {limit:?}: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// In a namespace the ports are the usual ones; on loopback they are free ones.
fn place(network: &Network, node: usize, flavour: &Flavour) -> Result<Place> {
    let address = network.address(node);
    let mut ports = [CLIENT_PORT, CONTROLLER_PORT, 0, HTTP_PORT];
    if flavour.coordinates() {
        ports[..3].copy_from_slice(&COORDINATION_PORTS);
    }
    if let Network::Loopback { .. } = network {
        for port in &mut ports {
            *port = free_port_at(address)?;
        }
    }
    let [client_port, controller_port, election_port, http_port] = ports;
    Ok(Place {
        address,
        client_port,
        controller_port,
        election_port,
        http_port,
    })
}

fn free_port_at(address: Ipv4Addr) -> Result<u16> {
    Ok(TcpListener::bind((address, 0))?.local_addr()?.port())
}
