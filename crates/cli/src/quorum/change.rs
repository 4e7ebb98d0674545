//! `ottla quorum add` and `remove`.

use ottla_client::{Quorum, VoterEndpoint};
use ottla_model::Uuid;
use ottla_wire::messages::describe_quorum_response::ReplicaState;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::confirm::confirm as ask;
use crate::output::{self, OutputFormat, View};
use crate::{Error, Streams};

/// What `ottla quorum add` takes.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The node's id; it must run already, and is an observer until then
    pub id: i32,
    /// The id of its directory, when the quorum knows several of this node [default: what
    /// `ottla quorum describe` shows]
    #[arg(long, value_name = "ID")]
    pub directory_id: Option<Uuid>,
    /// Where the other voters reach it, such as CONTROLLER://10.0.0.4:9093; may be repeated
    /// [default: what `ottla quorum describe` shows]
    #[arg(long, value_name = "[NAME://]HOST:PORT", value_parser = endpoint)]
    pub endpoint: Vec<Endpoint>,
}

/// What `ottla quorum remove` takes.
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// The voter's id
    pub id: i32,
    /// The id of its directory, when there are voters of several [default: what
    /// `ottla quorum describe` shows]
    #[arg(long, value_name = "ID")]
    pub directory_id: Option<Uuid>,
    /// Do not ask first
    #[arg(short, long)]
    pub yes: bool,
}

/// An endpoint as a person writes it; the listener's name may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    listener: Option<String>,
    pub(super) host: String,
    port: u16,
}

pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    let wrong = || "write it as NAME://HOST:PORT or HOST:PORT".to_owned();
    let (listener, address) = match text.split_once("://") {
        Some((name, address)) if !name.is_empty() => (Some(name.to_owned()), address),
        Some(_) => return Err(wrong()),
        None => (None, text),
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().ok().filter(|port| *port > 0);
    match (host.is_empty(), port) {
        (false, Some(port)) => Ok(Endpoint {
            listener,
            host: host.to_owned(),
            port,
        }),
        _ => Err(wrong()),
    }
}

#[derive(Debug, Serialize)]
struct Changed {
    id: i32,
    directory_id: String,
    /// What was done: `added` or `removed`; null when it was so already.
    change: Option<&'static str>,
    /// How many voters there are now.
    voters: usize,
}

impl View for Changed {
    fn table(&self, _wide: bool) -> String {
        let (id, voters) = (self.id, self.voters);
        match self.change {
            Some("added") => format!("node {id} is a voter now; there are {voters}\n"),
            Some(_) => format!("node {id} is no voter any more; there are {voters}\n"),
            None => format!("node {id} is a voter already; nothing was changed\n"),
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}

/// The quorum, or an error when nobody tells.
pub(super) async fn quorum(cluster: &Cluster) -> Result<Quorum, Error> {
    let action = "asking for the metadata quorum";
    let quorum = cluster.client.describe_quorum().await;
    let quorum = cluster.checked(action, quorum)?;
    quorum.ok_or_else(|| Error::Failed {
        action: action.to_owned(),
        reason: "the cluster answered without one".to_owned(),
    })
}

pub(super) fn confirm(args: &RemoveArgs, streams: &mut Streams) -> Result<(), Error> {
    let question = format!("Take node {} out of the metadata quorum?", args.id);
    ask(&question, args.yes, streams)
}

pub(super) async fn add(
    args: &AddArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let id = args.id;
    let quorum = quorum(cluster).await?;
    let voters = quorum.state.current_voters.len();
    let is_this = |replica: &&ReplicaState| {
        let same = args
            .directory_id
            .is_none_or(|d| d == replica.replica_directory_id);
        replica.replica_id == id && same
    };
    let action = || format!("making node {id} a voter");
    if let Some(voter) = quorum.state.current_voters.iter().find(is_this) {
        let old = voter.replica_directory_id;
        let mut observers = quorum.state.observers.iter();
        if observers.any(|o| o.replica_id == id && o.replica_directory_id != old) {
            return Err(Error::Failed {
                action: action(),
                reason: format!(
                    "it runs with another directory than the one that votes, {old}: take that out \
                     first, with `ottla quorum remove {id}`"
                ),
            });
        }
        let changed = Changed {
            id,
            directory_id: voter.replica_directory_id.to_string(),
            change: None,
            voters,
        };
        return output::print(&changed, output, streams);
    }
    let found: Vec<_> = quorum.state.observers.iter().filter(is_this).collect();
    let directory = match (found.as_slice(), args.directory_id) {
        (_, Some(directory)) => directory,
        ([one], None) => one.replica_directory_id,
        ([], None) => {
            return Err(Error::NotThere {
                what: "observer",
                name: id.to_string(),
                similar: Vec::new(),
                to_do: "start the node first, with the addresses of this cluster's controllers; \
                        `ottla quorum describe` shows it then"
                    .to_owned(),
            });
        }
        (several, None) => {
            let directories = several.iter().map(|o| o.replica_directory_id.to_string());
            let directories = directories.collect::<Vec<_>>().join(", ");
            return Err(Error::Usage(format!(
                "there are several observers {id}; say which with --directory-id: {directories}"
            )));
        }
    };
    if directory.is_zero() {
        return Err(Error::Failed {
            action: action(),
            reason: "the node has no directory id; the quorum's members are named once for all in \
                     controller.quorum.voters, or its kraft.version is 0"
                .to_owned(),
        });
    }
    let endpoints = endpoints(args, &quorum)?;
    let cluster_id = cluster_id(cluster).await?;
    let client = &cluster.client;
    let added = client.add_raft_voter(Some(&cluster_id), id, directory, &endpoints);
    cluster.checked(action(), added.await)?;
    let changed = Changed {
        id,
        directory_id: directory.to_string(),
        change: Some("added"),
        voters: voters + 1,
    };
    output::print(&changed, output, streams)
}

/// Where the new voter listens: as given, or as the quorum knows it.
fn endpoints(args: &AddArgs, quorum: &Quorum) -> Result<Vec<VoterEndpoint>, Error> {
    let id = args.id;
    let of = |wanted: &dyn Fn(i32) -> bool| {
        let nodes = quorum.nodes.iter().filter(|node| wanted(node.node_id));
        nodes
            .flat_map(|node| &node.listeners)
            .map(|listener| VoterEndpoint {
                listener: listener.name.to_string(),
                host: listener.host.to_string(),
                port: listener.port,
            })
            .collect::<Vec<_>>()
    };
    if args.endpoint.is_empty() {
        let known = of(&|node| node == id);
        if known.is_empty() {
            return Err(Error::Usage(format!(
                "the quorum does not tell where node {id} listens; say it with \
                 --endpoint HOST:PORT, the address of its controller listener"
            )));
        }
        return Ok(known);
    }
    let others = of(&|node| node != id);
    let usual = others.first().map(|endpoint| endpoint.listener.clone());
    let given = args.endpoint.iter().map(|endpoint| {
        let listener = endpoint.listener.clone().or_else(|| usual.clone());
        let Some(listener) = listener else {
            return Err(Error::Usage(
                "the quorum does not tell the name of its listener; write it in front: \
                 --endpoint CONTROLLER://HOST:PORT"
                    .to_owned(),
            ));
        };
        Ok(VoterEndpoint {
            listener,
            host: endpoint.host.clone(),
            port: endpoint.port,
        })
    });
    given.collect()
}

async fn cluster_id(cluster: &Cluster) -> Result<String, Error> {
    let described = cluster.client.describe_cluster().await;
    let described = cluster.checked("asking for the cluster's id", described)?;
    Ok(described.cluster_id.to_string())
}

pub(super) async fn remove(
    args: &RemoveArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let id = args.id;
    let quorum = quorum(cluster).await?;
    let voters = &quorum.state.current_voters;
    let found: Vec<Uuid> = voters
        .iter()
        .filter(|voter| voter.replica_id == id)
        .map(|voter| voter.replica_directory_id)
        .filter(|directory| args.directory_id.is_none_or(|wanted| wanted == *directory))
        .collect();
    let directory = match found.as_slice() {
        [] => {
            return Err(Error::NotThere {
                what: "voter",
                name: id.to_string(),
                similar: Vec::new(),
                to_do: "`ottla quorum describe` shows those that there are".to_owned(),
            });
        }
        [one] => *one,
        several => {
            let directories = several.iter().map(Uuid::to_string);
            let directories = directories.collect::<Vec<_>>().join(", ");
            return Err(Error::Usage(format!(
                "there are several voters {id}; say which with --directory-id: {directories}"
            )));
        }
    };
    if voters.len() == 1 {
        return Err(Error::Failed {
            action: format!("taking node {id} out of the quorum"),
            reason: "it is the only voter: add another one first".to_owned(),
        });
    }
    let cluster_id = cluster_id(cluster).await?;
    let client = &cluster.client;
    let removed = client.remove_raft_voter(Some(&cluster_id), id, directory);
    cluster.checked(format!("taking node {id} out of the quorum"), removed.await)?;
    let changed = Changed {
        id,
        directory_id: directory.to_string(),
        change: Some("removed"),
        voters: voters.len() - 1,
    };
    output::print(&changed, output, streams)
}
