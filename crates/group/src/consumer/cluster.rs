//! What the coordinator of consumer groups needs to know of the cluster.

use std::fmt::Debug;
use std::sync::Arc;

use ottla_model::{PartitionIndex, TopicId};

/// A topic, as an assignment needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// The topic's id.
    pub id: TopicId,
    /// The topic's name.
    pub name: Arc<str>,
    /// The number of its partitions.
    pub partitions: PartitionIndex,
}

/// What a group's own configuration says (the GROUP resource of `DescribeConfigs`); `None` where
/// the broker's properties hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupOverrides {
    /// `consumer.session.timeout.ms`.
    pub session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: Option<i32>,
    /// `consumer.assignment.interval.ms`.
    pub assignment_interval_ms: Option<i32>,
}

/// One version of the cluster's metadata. A driver wraps its image in this and gives a new one to
/// [`Coordinator::set_cluster`](crate::Coordinator::set_cluster) whenever that changes; members
/// follow with their next heartbeat.
pub trait Cluster: Debug + Send + Sync {
    /// Goes up with every change.
    fn version(&self) -> i64;

    /// The topic of this name.
    fn topic(&self, name: &str) -> Option<TopicInfo>;

    /// The topic of this id.
    fn topic_by_id(&self, id: TopicId) -> Option<TopicInfo>;

    /// Calls `visit` with the name of every topic.
    fn visit_topics(&self, visit: &mut dyn FnMut(&str));

    /// The racks of the brokers that have a replica of the partition, in any order.
    fn racks(&self, topic: TopicId, partition: PartitionIndex) -> Vec<String>;

    /// The group's own configuration.
    fn group_overrides(&self, group_id: &str) -> GroupOverrides;
}

/// A cluster without topics, until the driver brings another.
#[derive(Debug)]
pub(crate) struct NoTopics;

impl Cluster for NoTopics {
    fn version(&self) -> i64 {
        -1
    }

    fn topic(&self, _: &str) -> Option<TopicInfo> {
        None
    }

    fn topic_by_id(&self, _: TopicId) -> Option<TopicInfo> {
        None
    }

    fn visit_topics(&self, _: &mut dyn FnMut(&str)) {}

    fn racks(&self, _: TopicId, _: PartitionIndex) -> Vec<String> {
        Vec::new()
    }

    fn group_overrides(&self, _: &str) -> GroupOverrides {
        GroupOverrides::default()
    }
}
