//! `ottla cluster`: nodes, metadata quorum, features, disks; and what is done to all of them.

use ottla_client::Broker;
use ottla_runtime::Shutdown;
use ottla_wire::messages::describe_log_dirs_response::DescribeLogDirsResult;
use ottla_wire::messages::describe_quorum_response::{PartitionData, ReplicaState};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::output::{self, OutputFormat, View};
use crate::size::bytes_text;
use crate::table::{properties, table};
use crate::{Error, Streams, elections, rebalance};

/// The verbs of `ottla cluster`.
#[derive(Debug, clap::Subcommand)]
pub enum ClusterCommand {
    /// Show nodes, controller, metadata quorum, features, and the sizes of log folders
    Describe(DescribeArgs),
    /// Even out replicas, bytes and leaders over the brokers; shows what it would do first
    Rebalance(rebalance::RebalanceArgs),
    /// Let preferred replicas lead, or with --unclean any where nobody leads
    ElectLeaders(elections::ElectArgs),
}

/// Asks before what cannot be undone.
pub(crate) fn confirm(command: &ClusterCommand, streams: &mut Streams) -> Result<(), Error> {
    match command {
        ClusterCommand::ElectLeaders(args) => elections::confirm(args, streams),
        _ => Ok(()),
    }
}

/// What `ottla cluster describe` takes.
#[derive(Debug, clap::Args)]
pub struct DescribeArgs {}

/// A cluster. What a broker could not tell is null or empty, and said on standard error.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Description {
    id: Option<String>,
    /// The node that changes topics and configurations.
    controller: Option<i32>,
    nodes: Vec<Node>,
    quorum: Option<Quorum>,
    features: Vec<Feature>,
    log_dirs: Vec<LogDir>,
}

#[derive(Debug, Serialize)]
struct Node {
    id: i32,
    host: String,
    port: i32,
    rack: Option<String>,
    fenced: bool,
}

#[derive(Debug, Serialize)]
struct Quorum {
    leader: i32,
    leader_epoch: i32,
    high_watermark: i64,
    replicas: Vec<Replica>,
}

#[derive(Debug, Serialize)]
struct Replica {
    id: i32,
    role: &'static str,
    log_end_offset: i64,
    /// Records that it has not got yet.
    lag: i64,
}

#[derive(Debug, Serialize)]
struct Feature {
    name: String,
    /// The version that the cluster agreed on; 0 when it is off.
    finalized: i16,
    /// The highest that the asked broker could do.
    supported: i16,
}

#[derive(Debug, Serialize)]
pub(crate) struct LogDir {
    node: i32,
    path: String,
    /// Null when all is well.
    error: Option<String>,
    partitions: usize,
    bytes: i64,
    /// Null when the broker is older than Kafka 3.3.
    total_bytes: Option<i64>,
    usable_bytes: Option<i64>,
}

impl View for Description {
    fn table(&self, wide: bool) -> String {
        let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let mut pairs = vec![
            ("Cluster id", dash(self.id.clone())),
            (
                "Controller",
                dash(self.controller.map(|id| format!("node {id}"))),
            ),
        ];
        if let Some(quorum) = &self.quorum {
            let text = format!(
                "led by node {} in epoch {}, committed up to {}",
                quorum.leader, quorum.leader_epoch, quorum.high_watermark
            );
            pairs.push(("Metadata", text));
        }
        let features = self.features.iter().filter(|f| wide || f.finalized > 0);
        let features: Vec<String> = features
            .map(|f| match (f.finalized, wide) {
                (0, _) => format!("{} off (up to {})", f.name, f.supported),
                (level, true) => format!("{} {level} (up to {})", f.name, f.supported),
                (level, false) => format!("{} {level}", f.name),
            })
            .collect();
        if !features.is_empty() {
            pairs.push(("Features", features.join("\n")));
        }
        let mut text = properties(&pairs);
        text.push('\n');
        text.push_str(&self.node_table());
        if let Some(quorum) = self
            .quorum
            .as_ref()
            .filter(|q| wide || q.replicas.len() > 1)
        {
            text.push('\n');
            let rows = quorum.replicas.iter().map(|replica| {
                [
                    replica.id.to_string(),
                    replica.role.to_owned(),
                    replica.log_end_offset.to_string(),
                    replica.lag.to_string(),
                ]
            });
            text.push_str(&table(&["QUORUM NODE", "ROLE", "LOG END", "LAG"], rows));
        }
        if !self.log_dirs.is_empty() {
            text.push('\n');
            text.push_str(&self.log_dir_table());
        }
        text
    }

    fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.id.to_string()).collect()
    }
}

impl Description {
    fn node_table(&self) -> String {
        let rows = self.nodes.iter().map(|node| {
            let state = match (node.fenced, Some(node.id) == self.controller) {
                (true, _) => "fenced",
                (false, true) => "running, controller",
                (false, false) => "running",
            };
            [
                node.id.to_string(),
                format!("{}:{}", node.host, node.port),
                node.rack.clone().unwrap_or_else(|| "-".to_owned()),
                state.to_owned(),
            ]
        });
        table(&["NODE", "ADDRESS", "RACK", "STATE"], rows)
    }

    fn log_dir_table(&self) -> String {
        let size = |bytes: Option<i64>| match bytes.and_then(|b| u64::try_from(b).ok()) {
            Some(bytes) => bytes_text(bytes),
            None => "-".to_owned(),
        };
        let rows = self.log_dirs.iter().map(|dir| {
            [
                dir.node.to_string(),
                dir.path.clone(),
                dir.partitions.to_string(),
                size(Some(dir.bytes)),
                size(dir.usable_bytes),
                size(dir.total_bytes),
                dir.error.clone().unwrap_or_else(|| "well".to_owned()),
            ]
        });
        let headings = [
            "NODE",
            "LOG FOLDER",
            "PARTITIONS",
            "SIZE",
            "FREE",
            "DISK",
            "STATE",
        ];
        table(&headings, rows)
    }
}

impl LogDir {
    /// For people, in one line.
    pub(crate) fn words(&self) -> String {
        let size = |bytes: Option<i64>| {
            let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
            bytes.map(bytes_text)
        };
        let mut text = format!("{}: {} partitions", self.path, self.partitions);
        if let Some(bytes) = size(Some(self.bytes)) {
            text.push_str(&format!(", {bytes}"));
        }
        if let (Some(free), Some(all)) = (size(self.usable_bytes), size(self.total_bytes)) {
            text.push_str(&format!("; {free} free of {all}"));
        }
        if let Some(error) = &self.error {
            text.push_str(&format!("; {error}"));
        }
        text
    }
}

fn quorum(data: PartitionData) -> Quorum {
    let leader = data.leader_id;
    let ends = data.current_voters.iter().chain(&data.observers);
    let end = ends.map(|r| r.log_end_offset).max().unwrap_or(0);
    let replica = |replica: &ReplicaState, role| Replica {
        id: replica.replica_id,
        role: if replica.replica_id == leader {
            "leader"
        } else {
            role
        },
        log_end_offset: replica.log_end_offset,
        lag: (end - replica.log_end_offset).max(0),
    };
    let voters = data.current_voters.iter().map(|r| replica(r, "voter"));
    let observers = data.observers.iter().map(|r| replica(r, "observer"));
    Quorum {
        leader,
        leader_epoch: data.leader_epoch,
        high_watermark: data.high_watermark,
        replicas: voters.chain(observers).collect(),
    }
}

pub(crate) fn log_dir(node: i32, dir: DescribeLogDirsResult) -> LogDir {
    let partitions = || dir.topics.iter().flat_map(|topic| &topic.partitions);
    let error = ottla_model::ErrorCode::from_code(dir.error_code).filter(|c| c.code() != 0);
    LogDir {
        node,
        partitions: partitions().count(),
        bytes: partitions().map(|p| p.partition_size).sum(),
        path: dir.log_dir.to_string(),
        error: error.map(|code| code.name().to_owned()),
        total_bytes: Some(dir.total_bytes).filter(|b| *b >= 0),
        usable_bytes: Some(dir.usable_bytes).filter(|b| *b >= 0),
    }
}

/// Runs one of the verbs.
pub(crate) async fn run(
    command: &ClusterCommand,
    cluster: &Cluster,
    interrupt: &Shutdown,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    match command {
        ClusterCommand::Describe(_) => describe(cluster, output, streams).await,
        ClusterCommand::Rebalance(args) => {
            rebalance::run(args, cluster, interrupt, output, streams).await
        }
        ClusterCommand::ElectLeaders(args) => elections::run(args, cluster, output, streams).await,
    }
}

async fn describe(
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let client = &cluster.client;
    let mut description = nodes(cluster).await?;
    let versions = client.api_versions(Broker::Any).await;
    let versions = cluster.checked("asking for the features", versions)?;
    for supported in &versions.supported_features {
        let mut finalized = versions.finalized_features.iter();
        let level = finalized.find(|f| f.name == supported.name);
        description.features.push(Feature {
            name: supported.name.to_string(),
            finalized: level.map_or(0, |level| level.max_version_level),
            supported: supported.max_version,
        });
    }
    description.features.sort_by(|a, b| a.name.cmp(&b.name));
    // What one broker does not tell is no reason to hide the rest: one looks here in trouble.
    let asked = cluster.checked(
        "asking for the metadata quorum",
        client.describe_quorum().await,
    );
    description.quorum = told(asked, streams)?.flatten().map(|q| quorum(q.state));
    // A broker of Kafka names any broker as the controller, since any passes changes on.
    let leader = description.quorum.as_ref().map(|quorum| quorum.leader);
    description.controller = leader.filter(|id| *id >= 0).or(description.controller);
    for id in description.nodes.iter().filter(|n| !n.fenced).map(|n| n.id) {
        let dirs = client.describe_log_dirs(id).await;
        let dirs = cluster.checked(format!("asking node {id} for its log folders"), dirs);
        let Some(dirs) = told(dirs, streams)? else {
            continue;
        };
        description
            .log_dirs
            .extend(dirs.into_iter().map(|dir| log_dir(id, dir)));
    }
    output::print(&description, output, streams)
}

/// The nodes, from whichever of two APIs the cluster knows.
async fn nodes(cluster: &Cluster) -> Result<Description, Error> {
    let mut description = Description::default();
    match cluster.client.describe_cluster().await {
        Ok(told) => {
            description.id = Some(told.cluster_id.to_string());
            description.controller = Some(told.controller_id).filter(|id| *id >= 0);
            description.nodes = told
                .brokers
                .into_iter()
                .map(|broker| Node {
                    id: broker.broker_id,
                    host: broker.host.to_string(),
                    port: broker.port,
                    rack: broker.rack.map(String::from),
                    fenced: broker.is_fenced,
                })
                .collect();
        }
        // Before Kafka 2.8 it is all in the metadata.
        Err(ottla_client::Error::Unsupported { .. }) => {
            let told = cluster.client.metadata(Some(&[])).await;
            let told = cluster.checked("asking for the nodes", told)?;
            description.id = told.cluster_id.map(String::from);
            description.controller = Some(told.controller_id).filter(|id| *id >= 0);
            description.nodes = told
                .brokers
                .into_iter()
                .map(|broker| Node {
                    id: broker.node_id,
                    host: broker.host.to_string(),
                    port: broker.port,
                    rack: broker.rack.map(String::from),
                    fenced: false,
                })
                .collect();
        }
        Err(error) => return Err(cluster.failure("describing the cluster", &error)),
    }
    description.nodes.sort_by_key(|node| node.id);
    Ok(description)
}

/// What was told; `None`, said on standard error, when the cluster would not or could not.
pub(crate) fn told<T>(asked: Result<T, Error>, streams: &mut Streams) -> Result<Option<T>, Error> {
    match asked {
        Ok(told) => Ok(Some(told)),
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => {
            streams.say(&format!("not told: {error}"));
            Ok(None)
        }
    }
}
