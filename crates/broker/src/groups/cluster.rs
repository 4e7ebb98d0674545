//! What the group coordinators see of the cluster, and of the node's configuration.

use std::sync::Arc;

use ottla_config::NodeConfig;
use ottla_group::{Assignor, Cluster, ConsumerOptions, GroupOverrides, MigrationPolicy, TopicInfo};
use ottla_metadata::{Image, TopicImage};
use ottla_model::{PartitionIndex, TopicId};

/// One image.
#[derive(Debug)]
pub(super) struct ClusterView(pub(super) Arc<Image>);

impl Cluster for ClusterView {
    fn version(&self) -> i64 {
        self.0.metadata_offset()
    }

    fn topic(&self, name: &str) -> Option<TopicInfo> {
        self.0.topic(name).map(|t| info(t))
    }

    fn topic_by_id(&self, id: TopicId) -> Option<TopicInfo> {
        self.0.topic_by_id(id).map(|t| info(t))
    }

    fn visit_topics(&self, visit: &mut dyn FnMut(&str)) {
        for topic in self.0.topics() {
            visit(topic.name.as_str());
        }
    }

    fn racks(&self, topic: TopicId, partition: PartitionIndex) -> Vec<String> {
        let topic = self.0.topic_by_id(topic);
        let Some(partition) = topic.and_then(|t| t.partition(partition)) else {
            return Vec::new();
        };
        let replicas = partition.replicas.iter();
        let racks = replicas.filter_map(|&id| self.0.broker(id)?.rack.clone());
        racks.collect()
    }

    /// What was set for the group itself. It was checked when it was set, and the coordinator holds
    /// it to the broker's limits, which may be others by now.
    fn group_overrides(&self, group_id: &str) -> GroupOverrides {
        let Some(own) = self.0.group_configs(group_id) else {
            return GroupOverrides::default();
        };
        let number = |name: &str| own.get(name)?.trim().parse().ok();
        GroupOverrides {
            session_timeout_ms: number("consumer.session.timeout.ms"),
            heartbeat_interval_ms: number("consumer.heartbeat.interval.ms"),
            assignment_interval_ms: number("consumer.assignment.interval.ms"),
        }
    }
}

fn info(topic: &TopicImage) -> TopicInfo {
    TopicInfo {
        id: topic.id,
        name: topic.name.as_str().into(),
        partitions: topic.partition_count(),
    }
}

/// What the node's properties say about consumer groups.
pub(super) fn consumer_options(config: &NodeConfig) -> ConsumerOptions {
    let broker = &config.broker;
    let defaults = ConsumerOptions::default();
    let assignors = broker.group_consumer_assignors.iter();
    let assignors: Vec<Assignor> = assignors.filter_map(|a| Assignor::parse(a)).collect();
    let policy = MigrationPolicy::parse(&broker.group_consumer_migration_policy);
    ConsumerOptions {
        session_timeout_ms: broker.group_consumer_session_timeout_ms,
        session_timeout_ms_range: (
            broker.group_consumer_min_session_timeout_ms,
            broker.group_consumer_max_session_timeout_ms,
        ),
        heartbeat_interval_ms: broker.group_consumer_heartbeat_interval_ms,
        heartbeat_interval_ms_range: (
            broker.group_consumer_min_heartbeat_interval_ms,
            broker.group_consumer_max_heartbeat_interval_ms,
        ),
        assignment_interval_ms: broker.group_consumer_assignment_interval_ms,
        assignment_interval_ms_range: (
            broker.group_consumer_min_assignment_interval_ms,
            broker.group_consumer_max_assignment_interval_ms,
        ),
        group_size_max: usize::try_from(broker.group_consumer_max_size).unwrap_or(usize::MAX),
        assignors: match assignors.is_empty() {
            true => defaults.assignors,
            false => assignors,
        },
        migration_policy: policy.unwrap_or(defaults.migration_policy),
    }
}
