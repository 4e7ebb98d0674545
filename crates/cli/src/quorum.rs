//! `ottla quorum`: the metadata quorum and its voters.

mod change;
mod describe;

use ottla_client::Quorum;
use ottla_model::Uuid;
use ottla_wire::messages::describe_quorum_response::ReplicaState;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::output::OutputFormat;
use crate::{Error, Streams};

/// The verbs of `ottla quorum`.
#[derive(Debug, clap::Subcommand)]
pub enum QuorumCommand {
    /// Show the leader, the voters and the observers, and how far behind each is
    Describe(describe::DescribeArgs),
    /// Make an observer a voter
    Add(change::AddArgs),
    /// Take a voter out of the quorum; as an observer it stays
    #[command(visible_alias = "rm")]
    Remove(change::RemoveArgs),
}

/// Asks before what can take the cluster away.
pub(crate) fn confirm(command: &QuorumCommand, streams: &mut Streams) -> Result<(), Error> {
    match command {
        QuorumCommand::Remove(args) => change::confirm(args, streams),
        _ => Ok(()),
    }
}

/// Runs one of the verbs.
pub(crate) async fn run(
    command: &QuorumCommand,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    match command {
        QuorumCommand::Describe(args) => describe::run(args, cluster, output, streams).await,
        QuorumCommand::Add(args) => change::add(args, cluster, output, streams).await,
        QuorumCommand::Remove(args) => change::remove(args, cluster, output, streams).await,
    }
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Leader,
    Voter,
    Observer,
}

/// A member of the quorum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Member {
    pub(crate) id: i32,
    pub(crate) role: Role,
    /// Null before Kafka 3.9.
    pub(crate) directory_id: Option<String>,
    /// Where it listens: `CONTROLLER://10.0.0.1:9093`. Told of voters, since Kafka 3.9.
    pub(crate) endpoints: Vec<String>,
    pub(crate) log_end_offset: i64,
    /// Records that it has not got yet.
    pub(crate) lag: i64,
    /// For how long it has not been as far as the leader was; null when the leader does not know.
    pub(crate) lag_ms: Option<i64>,
    /// When it last asked the leader; null when it never did.
    pub(crate) last_fetch_ms: Option<i64>,
}

impl Member {
    /// `voter, 3 records behind`.
    pub(crate) fn words(&self) -> String {
        let role = self.role.word();
        match (self.role, self.lag) {
            (Role::Leader, _) => role.to_owned(),
            (_, 0) => format!("{role}, has all records"),
            (_, 1) => format!("{role}, 1 record behind"),
            (_, lag) => format!("{role}, {lag} records behind"),
        }
    }

    pub(crate) fn is_voter(&self) -> bool {
        self.role != Role::Observer
    }
}

impl Role {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Voter => "voter",
            Role::Observer => "observer",
        }
    }
}

/// All members, voters first.
pub(crate) fn members(quorum: &Quorum) -> Vec<Member> {
    let state = &quorum.state;
    let all = || state.current_voters.iter().chain(&state.observers);
    let leader = all().find(|replica| replica.replica_id == state.leader_id);
    let end = all().map(|r| r.log_end_offset).max().unwrap_or(0);
    let caught_up = leader.map_or(-1, |leader| leader.last_caught_up_timestamp);
    let member = |replica: &ReplicaState, role| {
        let is_leader = replica.replica_id == state.leader_id && role == Role::Voter;
        let at = replica.last_caught_up_timestamp;
        Member {
            id: replica.replica_id,
            role: if is_leader { Role::Leader } else { role },
            directory_id: directory(replica.replica_directory_id),
            endpoints: endpoints(quorum, replica.replica_id),
            log_end_offset: replica.log_end_offset,
            lag: (end - replica.log_end_offset).max(0),
            lag_ms: match (is_leader, caught_up >= 0 && at >= 0) {
                (true, _) => Some(0),
                (false, true) => Some((caught_up - at).max(0)),
                (false, false) => None,
            },
            last_fetch_ms: Some(replica.last_fetch_timestamp).filter(|at| *at >= 0),
        }
    };
    let voters = state.current_voters.iter().map(|r| member(r, Role::Voter));
    let observers = state.observers.iter().map(|r| member(r, Role::Observer));
    let (mut voters, mut observers): (Vec<_>, Vec<_>) = (voters.collect(), observers.collect());
    voters.sort_by_key(|member| member.id);
    observers.sort_by_key(|member| member.id);
    voters.append(&mut observers);
    voters
}

fn directory(id: Uuid) -> Option<String> {
    (!id.is_zero()).then(|| id.to_string())
}

fn endpoints(quorum: &Quorum, id: i32) -> Vec<String> {
    let node = quorum.nodes.iter().filter(|node| node.node_id == id);
    let listeners = node.flat_map(|node| &node.listeners);
    listeners
        .map(|l| {
            let (name, host, port) = (&l.name, &l.host, l.port);
            if host.contains(':') {
                format!("{name}://[{host}]:{port}")
            } else {
                format!("{name}://{host}:{port}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
