//! The quorum as others see it.

use ottla_metadata::{CLUSTER_METADATA_TOPIC, Image, Quorum, Voter};
use ottla_model::{BrokerId, ErrorCode, Offset, Uuid};
use ottla_raft::{Member, NodeId, State};
use ottla_runtime::published::{Published, Publisher};
use ottla_runtime::{Clock, Service, Shutdown};
use ottla_wire::Text;
use ottla_wire::messages::DescribeQuorumResponse;
use ottla_wire::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};

use crate::entry::epoch;
use crate::members::broker_id;

/// Since this version replicas have directory ids and nodes have listeners (KIP-853).
const WITH_NODES: i16 = 2;

/// What every member knows of the quorum.
pub(crate) fn of(state: &State) -> Quorum {
    let voters = state.voters.iter().map(|(id, member)| Voter {
        id: broker_id(*id),
        directory_id: member.directory_id,
    });
    Quorum {
        leader_id: state.leader.map_or(BrokerId(-1), broker_id),
        leader_epoch: epoch(state.term),
        voters: voters.collect(),
    }
}

/// Publishes who keeps the metadata, whenever that changes.
pub(crate) struct Watch {
    pub(crate) state: Published<State>,
    pub(crate) publisher: Publisher<Quorum>,
    pub(crate) last: Quorum,
}

impl Service for Watch {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        loop {
            let now = of(&self.state.get());
            if now != self.last {
                self.publisher.publish(now.clone());
                self.last = now;
            }
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                alive = self.state.changed() => if !alive {
                    return Ok(());
                },
            }
        }
    }
}

/// The answer to DescribeQuorum, as the leader alone can give it. Offsets are places in the raft
/// log, which has an entry for a change and some of its own.
pub(crate) fn describe(
    state: &State,
    image: &Image,
    clock: &Clock,
    version: i16,
) -> DescribeQuorumResponse {
    let with_nodes = version >= WITH_NODES;
    let replicas = |members: &std::collections::BTreeMap<NodeId, Member>| {
        let each = members.iter();
        let each = each.map(|(id, member)| replica(state, clock, *id, member, with_nodes));
        each.collect::<Vec<_>>()
    };
    let partition = PartitionData {
        partition_index: 0,
        error_code: ErrorCode::None.code(),
        leader_id: broker_id(state.id).0,
        leader_epoch: epoch(state.term),
        high_watermark: state.committed.map_or(0, |at| offset(at.index) + 1),
        current_voters: replicas(&state.voters),
        observers: replicas(&state.learners),
        ..PartitionData::default()
    };
    // Observers, too: whoever makes one a voter has to say where it listens.
    let members = state.voters.iter().chain(state.learners.iter());
    let nodes = members.filter(|_| with_nodes);
    DescribeQuorumResponse {
        topics: vec![TopicData {
            topic_name: Text::from(CLUSTER_METADATA_TOPIC),
            partitions: vec![partition],
            ..TopicData::default()
        }],
        nodes: nodes.map(|(id, member)| node(image, *id, member)).collect(),
        ..DescribeQuorumResponse::default()
    }
}

fn replica(
    state: &State,
    clock: &Clock,
    id: NodeId,
    member: &Member,
    with_nodes: bool,
) -> ReplicaState {
    let (now_ms, monotonic_ms) = (clock.now_ms(), clock.monotonic_ms());
    let when = |at_ms: Option<i64>| at_ms.map_or(-1, |at_ms| now_ms - (monotonic_ms - at_ms));
    let (end, fetched_ms, caught_up_ms) = if id == state.id {
        // A leader has always caught up with itself.
        (state.last_log, now_ms, now_ms)
    } else {
        let peer = state.peers.get(&id).copied().unwrap_or_default();
        let matched = peer.matched.map(|at| at.index);
        let contact_ms = when(peer.last_contact_ms);
        (matched, contact_ms, when(peer.caught_up_ms))
    };
    ReplicaState {
        replica_id: broker_id(id).0,
        replica_directory_id: match with_nodes {
            true => member.directory_id,
            false => Uuid::ZERO,
        },
        log_end_offset: end.map_or(0, |index| offset(index) + 1),
        last_fetch_timestamp: fetched_ms,
        last_caught_up_timestamp: caught_up_ms,
        ..ReplicaState::default()
    }
}

/// A node that is a cluster of its own has no listener for the quorum, and is asked through those
/// of its broker.
fn node(image: &Image, id: NodeId, member: &Member) -> Node {
    let listener = |name: &str, host: &str, port: u16| Listener {
        name: Text::from(name),
        host: Text::from(host),
        port,
        ..Listener::default()
    };
    let own = member.endpoints.iter();
    let mut listeners: Vec<Listener> = own
        .map(|e| listener(&e.listener, &e.host, e.port))
        .collect();
    if listeners.is_empty() {
        let broker = image.broker(broker_id(id));
        let endpoints = broker.into_iter().flat_map(|b| b.endpoints.values());
        listeners.extend(endpoints.map(|e| listener(&e.listener, &e.host, e.port)));
    }
    Node {
        node_id: broker_id(id).0,
        listeners,
        ..Node::default()
    }
}

fn offset(index: u64) -> Offset {
    Offset::try_from(index).unwrap_or(Offset::MAX)
}
