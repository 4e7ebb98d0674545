//! What the client knows of the cluster: brokers, and the leaders of partitions.

use std::collections::{BTreeMap, HashMap};

use ottla_model::Uuid;
use ottla_wire::messages::MetadataResponse;
use ottla_wire::messages::metadata_response::MetadataResponseTopic;

/// Who leads one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionLeader {
    /// The partition.
    pub partition: i32,
    /// The leader's node id, or -1 when there is none.
    pub leader: i32,
    /// The leader's epoch, or -1 when it is not known.
    pub leader_epoch: i32,
}

/// The newest metadata.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) brokers: BTreeMap<i32, (String, u16)>,
    pub(crate) controller: i32,
    topics: HashMap<String, Topic>,
}

#[derive(Debug)]
struct Topic {
    /// Zero where the broker is older than ids (before Kafka 2.8).
    id: Uuid,
    leaders: Vec<PartitionLeader>,
}

impl Cluster {
    /// Takes in brokers, and the topics without an error.
    pub(crate) fn update(&mut self, metadata: &MetadataResponse) {
        self.brokers = metadata
            .brokers
            .iter()
            .filter_map(|b| {
                let port = u16::try_from(b.port).ok()?;
                Some((b.node_id, (b.host.to_string(), port)))
            })
            .collect();
        self.controller = metadata.controller_id;
        for topic in &metadata.topics {
            let Some(name) = topic.name.as_deref() else {
                continue;
            };
            if topic.error_code == 0 {
                let (id, leaders) = (topic.topic_id, leaders(topic));
                self.topics.insert(name.to_owned(), Topic { id, leaders });
            } else {
                self.topics.remove(name);
            }
        }
    }

    /// The partitions of a topic in their order, when they are known.
    pub(crate) fn topic(&self, name: &str) -> Option<&[PartitionLeader]> {
        self.topics.get(name).map(|topic| topic.leaders.as_slice())
    }

    /// The topic's id, when it is known and the broker has ids.
    pub(crate) fn topic_id(&self, name: &str) -> Option<Uuid> {
        let id = self.topics.get(name)?.id;
        (!id.is_zero()).then_some(id)
    }

    pub(crate) fn forget(&mut self, topic: &str) {
        self.topics.remove(topic);
    }
}

fn leaders(topic: &MetadataResponseTopic) -> Vec<PartitionLeader> {
    let mut leaders: Vec<_> = topic
        .partitions
        .iter()
        .map(|p| PartitionLeader {
            partition: p.partition_index,
            leader: p.leader_id,
            leader_epoch: p.leader_epoch,
        })
        .collect();
    leaders.sort_by_key(|l| l.partition);
    leaders
}
