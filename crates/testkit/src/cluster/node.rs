//! One node of a cluster: how each flavour is told its place, and its process.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::coordination;
use super::disk::SmallDisk;
use super::network::Network;
use super::preload::Preload;
use crate::copy_folder;
use crate::process::{Process, Signal};

/// Of a JVM on a machine that has much else to do.
const START_LIMIT: Duration = Duration::from_secs(300);
const STOP_LIMIT: Duration = Duration::from_secs(300);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const LOG_LINES_SHOWN: usize = 40;
/// Any cluster id serves a cluster that lives as long as its test.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// What the nodes are.
#[derive(Clone, Debug)]
pub enum Flavour {
    /// Our own.
    Ottla {
        /// The path of the binary.
        binary: PathBuf,
    },
    /// Apache Kafka, broker and controller in each process.
    Kafka {
        /// The folder with its jars.
        lib: PathBuf,
        /// Options of its JVM.
        jvm: Vec<String>,
    },
    /// Our own in the role of a keeper, and in no other.
    Keeper {
        /// The path of the binary.
        binary: PathBuf,
    },
    /// Apache ZooKeeper.
    ZooKeeper {
        /// The folder with its jars.
        lib: PathBuf,
        /// Options of its JVM.
        jvm: Vec<String>,
    },
}

impl Flavour {
    /// Apache Kafka with what its own start script gives to the JVM, but for the size of the heap.
    pub fn kafka(lib: PathBuf, heap_mib: u32) -> Flavour {
        let mut jvm = vec![format!("-Xmx{heap_mib}m"), format!("-Xms{heap_mib}m")];
        let shipped = [
            "-server",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-XX:InitiatingHeapOccupancyPercent=35",
            "-XX:+ExplicitGCInvokesConcurrent",
        ];
        jvm.extend(shipped.map(str::to_owned));
        Flavour::Kafka { lib, jvm }
    }

    /// Apache Kafka for tests in which it need not be fast: it starts sooner, and takes less.
    pub fn lean_kafka(lib: PathBuf) -> Flavour {
        let lean = [
            "-Xmx320m",
            "-Xms64m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
        ];
        let jvm = lean.map(str::to_owned).to_vec();
        Flavour::Kafka { lib, jvm }
    }

    /// Apache ZooKeeper with what its own start script gives to the JVM, but for the size of the heap.
    pub fn zookeeper(lib: PathBuf, heap_mib: u32) -> Flavour {
        let jvm = vec![format!("-Xmx{heap_mib}m")];
        Flavour::ZooKeeper { lib, jvm }
    }

    /// Apache ZooKeeper for tests in which it need not be fast: it starts sooner, and takes less.
    pub fn lean_zookeeper(lib: PathBuf) -> Flavour {
        let lean = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
        let jvm = lean.map(str::to_owned).to_vec();
        Flavour::ZooKeeper { lib, jvm }
    }

    /// For reports.
    pub fn name(&self) -> &'static str {
        match self {
            Flavour::Ottla { .. } => "ottla",
            Flavour::Kafka { .. } => "kafka",
            Flavour::Keeper { .. } => "keeper",
            Flavour::ZooKeeper { .. } => "zookeeper",
        }
    }

    /// Whether it speaks ZooKeeper's protocol instead of Kafka's.
    pub fn coordinates(&self) -> bool {
        matches!(self, Flavour::Keeper { .. } | Flavour::ZooKeeper { .. })
    }
}

/// Where a node listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) address: Ipv4Addr,
    pub(super) client_port: u16,
    /// Where the other nodes reach it.
    pub(super) controller_port: u16,
    /// Where members of a ZooKeeper ensemble elect their leader.
    pub(super) election_port: u16,
    pub(super) http_port: u16,
}

/// One node of a [`super::Cluster`]; it has its number in the cluster as its node id.
#[derive(Debug)]
pub struct Node {
    pub(super) id: usize,
    pub(super) place: Place,
    pub(super) folder: PathBuf,
    pub(super) preload: Option<Preload>,
    pub(super) disk: Option<SmallDisk>,
    process: Option<Process>,
    starts: usize,
}

impl Node {
    pub(super) fn new(id: usize, place: Place, folder: PathBuf) -> Result<Node> {
        fs::create_dir_all(&folder)?;
        Ok(Node {
            id,
            place,
            folder,
            preload: None,
            disk: None,
            process: None,
            starts: 0,
        })
    }

    /// Its id in the cluster, from 1 on.
    pub fn id(&self) -> usize {
        self.id
    }

    /// `HOST:PORT` for clients.
    pub fn bootstrap(&self) -> String {
        format!("{}:{}", self.place.address, self.place.client_port)
    }

    /// The same as an address.
    pub fn client_address(&self) -> SocketAddr {
        SocketAddr::from((self.place.address, self.place.client_port))
    }

    /// `HOST:PORT` of our node's HTTP: health and metrics.
    pub fn http(&self) -> SocketAddr {
        SocketAddr::from((self.place.address, self.place.http_port))
    }

    /// The folder in which it keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The process, while there is one.
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// What the current or the last process printed, the last lines of it.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join(format!("log-{}", self.starts))
    }

    /// Starts the process and does not wait for it.
    pub(super) fn spawn(
        &mut self,
        flavour: &Flavour,
        arguments: &[String],
        network: &Network,
    ) -> Result<()> {
        ensure!(self.process.is_none(), "node {} runs already", self.id);
        let mut command = match flavour {
            Flavour::Ottla { binary } | Flavour::Keeper { binary } => {
                network.command(self.id - 1, &shown(binary))
            }
            Flavour::Kafka { .. } | Flavour::ZooKeeper { .. } => {
                network.command(self.id - 1, "java")
            }
        };
        command.args(arguments).current_dir(&self.folder);
        if let Some(preload) = &self.preload {
            preload.apply(&mut command, &self.folder);
        }
        // One log file for each start, so that an old line never looks like a new one.
        self.starts += 1;
        let log = self.log_path();
        self.process = Some(Process::spawn(&mut command, &log)?);
        Ok(())
    }

    /// Waits until the node says that it is ready.
    pub(super) fn wait_ready(&mut self, flavour: &Flavour) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(end) = self.ended()? {
                let log = self.log_tail();
                bail!("node {} ended at its start, {end}:\n{log}", self.id);
            }
            let process = self.process.as_ref().context("the node does not run")?;
            let ready = match flavour {
                Flavour::Ottla { .. } => answers_ready(self.http()),
                Flavour::Kafka { .. } => process.log().contains("Kafka Server started"),
                Flavour::Keeper { .. } | Flavour::ZooKeeper { .. } => {
                    coordination::is_ready(self.client_address())
                }
            };
            if ready {
                return Ok(());
            }
            if Instant::now() > deadline {
                let (id, log) = (self.id, self.log_tail());
                bail!("node {id} is not ready after {START_LIMIT:?}:\n{log}");
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// How the process ended, if it did by itself.
    pub(super) fn ended(&mut self) -> Result<Option<String>> {
        match &mut self.process {
            Some(process) => Ok(process.ended()?.map(|status| status.to_string())),
            None => Ok(None),
        }
    }

    /// Forgets a process that has ended.
    pub(super) fn forget(&mut self) {
        self.process = None;
    }

    pub(super) fn signal(&mut self, signal: Signal) -> Result<()> {
        let id = self.id;
        let process = self.process.as_mut();
        process
            .with_context(|| format!("node {id} does not run"))?
            .signal(signal)
    }

    /// SIGTERM, and the wait for the end.
    pub(super) fn stop(&mut self) -> Result<()> {
        let id = self.id;
        let process = self.process.as_mut();
        let process = process.with_context(|| format!("node {id} does not run"))?;
        process.signal(Signal::TERM)?;
        let status = process.wait(STOP_LIMIT)?;
        self.process = None;
        // A JVM that obeys SIGTERM exits with 128 + 15.
        let obeyed = status.success() || status.code() == Some(143);
        let log = self.log_tail();
        ensure!(
            obeyed,
            "node {id} ended badly after SIGTERM, {status}:\n{log}"
        );
        Ok(())
    }

    /// SIGKILL, and the wait for the end.
    pub(super) fn kill(&mut self) -> Result<()> {
        let id = self.id;
        let process = self.process.take();
        process
            .with_context(|| format!("node {id} does not run"))?
            .kill()
    }
}

/// What a flavour's process is told: properties of the place, and the given ones behind them.
pub(super) fn properties(
    flavour: &Flavour,
    node: &Node,
    voters: &str,
    nodes: usize,
    settings: &[(String, String)],
) -> Vec<(String, String)> {
    let Place {
        address,
        client_port,
        controller_port,
        http_port,
        ..
    } = node.place;
    let set = |name: &str, value: String| (name.to_owned(), value);
    let mut all = vec![
        set("node.id", node.id.to_string()),
        set("process.roles", "broker,controller".into()),
        set(
            "listeners",
            format!("PLAINTEXT://{address}:{client_port},CONTROLLER://{address}:{controller_port}"),
        ),
        set(
            "advertised.listeners",
            format!("PLAINTEXT://{address}:{client_port}"),
        ),
        set("controller.listener.names", "CONTROLLER".into()),
        set("log.dirs", shown(&node.data_dir())),
    ];
    let replicas = nodes.min(3).to_string();
    let in_sync = nodes.min(2).to_string();
    for topic in ["offsets.topic", "transaction.state.log"] {
        all.push(set(
            &format!("{topic}.replication.factor"),
            replicas.clone(),
        ));
        all.push(set(&format!("{topic}.num.partitions"), "4".into()));
    }
    all.push(set("transaction.state.log.min.isr", in_sync.clone()));
    all.push(set("default.replication.factor", replicas.clone()));
    all.push(set("min.insync.replicas", in_sync.clone()));
    match flavour {
        Flavour::Ottla { .. } => {
            all.push(set("ottla.http.listener", format!("{address}:{http_port}")));
            all.push(set("controller.quorum.voters", voters.to_owned()));
        }
        Flavour::Kafka { .. } => {
            // Voters that are named only when the storage is formatted can be changed later.
            let servers: Vec<&str> = voters.split(',').filter_map(address_of).collect();
            all.push(set(
                "controller.quorum.bootstrap.servers",
                servers.join(","),
            ));
            all.push(set(
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".into(),
            ));
            all.push(set(
                "share.coordinator.state.topic.replication.factor",
                replicas,
            ));
            all.push(set("share.coordinator.state.topic.min.isr", in_sync));
        }
        // They have a file of their own kind: see `coordination`.
        Flavour::Keeper { .. } | Flavour::ZooKeeper { .. } => {}
    }
    // A later line wins, so what is given comes last, once.
    all.retain(|(name, _)| settings.iter().all(|(given, _)| given != name));
    all.extend(settings.iter().cloned());
    all
}

/// The arguments of a node's process; for Apache Kafka its file of properties is written, too.
pub(super) fn arguments(
    flavour: &Flavour,
    node: &Node,
    properties: &[(String, String)],
) -> Result<Vec<String>> {
    if let Flavour::Kafka { lib, jvm } = flavour {
        let file = node.folder.join("server.properties");
        let lines: Vec<String> = properties
            .iter()
            .map(|(n, v)| format!("{n}={v}\n"))
            .collect();
        fs::write(&file, lines.concat())?;
        let mut arguments = java_arguments(lib, jvm);
        arguments.extend(["kafka.Kafka".to_owned(), shown(&file)]);
        return Ok(arguments);
    }
    let mut arguments = vec!["server".to_owned()];
    for (name, value) in properties {
        arguments.push("--set".into());
        arguments.push(format!("{name}={value}"));
    }
    Ok(arguments)
}

/// The address of a voter, `ID@HOST:PORT`.
fn address_of(voter: &str) -> Option<&str> {
    voter.split_once('@').map(|(_, address)| address)
}

/// Formats the first node's storage with Kafka's tool, and the others' after its image: the tool
/// takes a JVM's start each time.
pub(super) fn format_kafka(lib: &Path, nodes: &[Node]) -> Result<()> {
    let (first, others) = nodes.split_first().context("a cluster without nodes")?;
    let file = first.folder.join("server.properties");
    let voters: Vec<String> = nodes
        .iter()
        .map(|node| {
            let (id, place) = (node.id, node.place);
            let (address, port) = (place.address, place.controller_port);
            format!("{id}@{address}:{port}:{}", directory_id(id))
        })
        .collect();
    let output = Command::new("java")
        .args(java_arguments(lib, &["-Xmx128m".to_owned()]))
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
        .arg(&file)
        .args(["--initial-controllers", &voters.join(",")])
        .output()
        .context("cannot run java")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "Kafka's storage was not formatted: {said}"
    );
    for node in others {
        copy_folder(&first.data_dir(), &node.data_dir())?;
        let identity = node.data_dir().join("meta.properties");
        let text = fs::read_to_string(&identity)?;
        let lines = text.lines().map(|line| match line.split_once('=') {
            Some(("node.id", _)) => format!("node.id={}\n", node.id),
            Some(("directory.id", _)) => format!("directory.id={}\n", directory_id(node.id)),
            _ => format!("{line}\n"),
        });
        fs::write(identity, lines.collect::<String>())?;
    }
    Ok(())
}

/// The id of a node's directory: 16 bytes in Base64, of which the first tell the node.
fn directory_id(node: usize) -> String {
    let letter = |at: usize| char::from(b'A' + u8::try_from(at % 26).unwrap_or(0));
    format!("{}{}ottlaTestDirectorAAA", letter(node / 26), letter(node))
}

pub(super) fn java_arguments(lib: &Path, jvm: &[String]) -> Vec<String> {
    let fixed = [
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        "-cp",
    ];
    let mut arguments = jvm.to_vec();
    arguments.extend(fixed.map(str::to_owned));
    arguments.push(shown(&lib.join("*")));
    arguments
}

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Whether `/health/ready` answers 200 there.
fn answers_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(
            b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_ids_differ_between_nodes() {
        let ids = [1, 2, 27].map(directory_id);
        assert!(ids.iter().all(|id| id.len() == 22));
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2]);
    }

    #[test]
    fn given_settings_replace_those_of_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place {
            address: Ipv4Addr::LOCALHOST,
            client_port: 1,
            controller_port: 2,
            election_port: 4,
            http_port: 3,
        };
        let node = Node::new(2, place, folder.path().join("2")).unwrap();
        let flavour = Flavour::Ottla {
            binary: PathBuf::from("/x"),
        };
        let given = [("min.insync.replicas".to_owned(), "1".to_owned())];
        let all = properties(&flavour, &node, "2@127.0.0.1:2", 3, &given);
        let isr: Vec<_> = all
            .iter()
            .filter(|(n, _)| n == "min.insync.replicas")
            .collect();
        assert_eq!(isr, [&given[0]]);
        assert!(all.contains(&("node.id".to_owned(), "2".to_owned())));
    }
}
