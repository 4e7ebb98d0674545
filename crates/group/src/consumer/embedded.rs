//! The protocol that consumers embed in the classic one: subscriptions and assignments as bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_model::PartitionIndex;
use ottla_wire::messages::consumer_protocol_assignment::TopicPartition;
use ottla_wire::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ottla_wire::{Message, Text};

use super::assignor::Assignment;
use super::cluster::Cluster;
use crate::request::Protocol;

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";

/// What a consumer says in its JoinGroup.
pub(super) struct Subscription {
    pub(super) topics: Vec<Arc<str>>,
    pub(super) rack_id: Option<Arc<str>>,
    /// What it has. Topics that are gone are left out.
    pub(super) owned: Vec<(ottla_model::TopicId, Vec<PartitionIndex>)>,
}

/// The subscription in the first of the protocols; all of a consumer's say the same. `None` when it
/// cannot be read.
pub(super) fn subscription(protocols: &[Protocol], cluster: &dyn Cluster) -> Option<Subscription> {
    let bytes = Bytes::copy_from_slice(&protocols.first()?.metadata);
    let (_, read) = ConsumerProtocolSubscription::decode_versioned_or_newer(bytes).ok()?;
    let owned = read.owned_partitions.iter().filter_map(|t| {
        let topic = cluster.topic(&t.topic)?;
        Some((topic.id, t.partitions.clone()))
    });
    Some(Subscription {
        topics: read.topics.iter().map(|t| Arc::from(&**t)).collect(),
        rack_id: read.rack_id.as_deref().map(Arc::from),
        owned: owned.collect(),
    })
}

/// An assignment as bytes, in the version of the member's subscription.
pub(super) fn encode_assignment(
    assignment: &Assignment,
    subscription: &[u8],
    cluster: &dyn Cluster,
) -> Bytes {
    let known = assignment
        .iter()
        .filter_map(|(&id, partitions)| Some((cluster.topic_by_id(id)?.name, partitions)));
    let topics: BTreeMap<_, _> = known.collect();
    let message = ConsumerProtocolAssignment {
        assigned_partitions: topics
            .into_iter()
            .map(|(name, partitions)| TopicPartition {
                topic: Text::from(&*name),
                partitions: partitions.iter().copied().collect(),
            })
            .collect(),
        user_data: None,
    };
    let version = match subscription.first_chunk::<2>() {
        Some(version) => i16::from_be_bytes(*version),
        None => 0,
    };
    let allowed = ConsumerProtocolAssignment::MIN_VERSION..=ConsumerProtocolAssignment::MAX_VERSION;
    let version = version.clamp(*allowed.start(), *allowed.end());
    message
        .encode_versioned(version)
        .expect("names of topics and numbers of partitions fit into every version")
}

/// An assignment of the classic protocol.
pub(super) enum Decoded {
    Assignment(Assignment),
    /// It has data of an assignor of the clients' own, which a change of protocol would lose.
    Custom,
    Malformed,
}

/// Reads an assignment; members that have not synced yet have none. Topics that are gone are left
/// out.
pub(super) fn decode_assignment(bytes: &Bytes, cluster: &dyn Cluster) -> Decoded {
    if bytes.is_empty() {
        return Decoded::Assignment(Assignment::new());
    }
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok((_, read)) = ConsumerProtocolAssignment::decode_versioned_or_newer(bytes) else {
        return Decoded::Malformed;
    };
    if read.user_data.is_some_and(|data| !data.is_empty()) {
        return Decoded::Custom;
    }
    let mut assignment = Assignment::new();
    for topic in read.assigned_partitions {
        if let Some(known) = cluster.topic(&topic.topic)
            && !topic.partitions.is_empty()
        {
            let partitions = assignment.entry(known.id).or_default();
            partitions.extend(topic.partitions);
        }
    }
    Decoded::Assignment(assignment)
}
