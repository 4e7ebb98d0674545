//! Topics, members and what they ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{ErrorCode, PartitionIndex, TopicId, Uuid};

use crate::consumer::group::ConsumerGroup;
use crate::tests::harness::*;
use crate::*;

/// Topics by name with the number of their partitions.
#[derive(Debug, Clone, Default)]
pub(super) struct TestCluster {
    pub(super) version: i64,
    pub(super) topics: BTreeMap<Arc<str>, (TopicId, PartitionIndex)>,
    pub(super) overrides: GroupOverrides,
}

impl Cluster for TestCluster {
    fn version(&self) -> i64 {
        self.version
    }

    fn topic(&self, name: &str) -> Option<TopicInfo> {
        let (name, &(id, partitions)) = self.topics.get_key_value(name)?;
        let name = name.clone();
        Some(TopicInfo {
            id,
            name,
            partitions,
        })
    }

    fn topic_by_id(&self, id: TopicId) -> Option<TopicInfo> {
        let name = self.topics.iter().find(|(_, (i, _))| *i == id)?.0;
        self.topic(name)
    }

    fn visit_topics(&self, visit: &mut dyn FnMut(&str)) {
        self.topics.keys().for_each(|name| visit(name));
    }

    fn racks(&self, _: TopicId, _: PartitionIndex) -> Vec<String> {
        vec!["b".into(), "a".into()]
    }

    fn group_overrides(&self, _: &str) -> GroupOverrides {
        self.overrides
    }
}

/// A harness with topics `a` of 4 partitions and `b` of 2, and no assignment interval.
pub(super) struct World {
    pub(super) h: Harness,
    pub(super) cluster: TestCluster,
}

impl World {
    pub(super) fn new() -> Self {
        World::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::default();
        options.consumer.assignment_interval_ms = 0;
        change(&mut options);
        let mut world = World {
            h: Harness::with(options),
            cluster: TestCluster::default(),
        };
        world.set_topic("a", 4);
        world.set_topic("b", 2);
        world
    }

    /// Makes a topic, gives it more partitions, or deletes it with 0.
    pub(super) fn set_topic(&mut self, name: &str, partitions: PartitionIndex) {
        self.cluster.version += 1;
        if partitions == 0 {
            self.cluster.topics.remove(name);
        } else {
            let mut id = [9; 16];
            id[..name.len()].copy_from_slice(name.as_bytes());
            let topic = (Uuid(id), partitions);
            self.cluster.topics.insert(name.into(), topic);
        }
        self.show();
    }

    pub(super) fn show(&mut self) {
        let cluster = Arc::new(self.cluster.clone());
        self.h.coordinator.set_cluster(cluster);
    }

    pub(super) fn id(&self, topic: &str) -> TopicId {
        self.cluster.topics[topic].0
    }

    pub(super) fn beat(&mut self, request: ConsumerHeartbeatRequest) -> ConsumerHeartbeatResponse {
        let token = self.h.send(Request::ConsumerHeartbeat(request));
        self.beaten(token)
    }

    pub(super) fn beaten(&self, token: Token) -> ConsumerHeartbeatResponse {
        match &self.h.answers[&token] {
            Response::ConsumerHeartbeat(answer) => answer.clone(),
            other => panic!("{other:?} is not an answer to a heartbeat"),
        }
    }

    /// Joins a member that reads these topics, and returns its answer.
    pub(super) fn join(&mut self, id: &str, topics: &[&str]) -> ConsumerHeartbeatResponse {
        let answer = self.beat(joins(id, topics));
        assert_eq!(answer.error, ErrorCode::None, "{:?}", answer.error_message);
        answer
    }

    pub(super) fn group(&self) -> &ConsumerGroup {
        &self.h.coordinator.consumers["g"]
    }

    pub(super) fn epoch_of(&self, member: &str) -> i32 {
        self.group().members[member].current.epoch
    }

    pub(super) fn describe(&mut self) -> DescribedConsumerGroup {
        let token = self.h.send(Request::ConsumerDescribe("g".into()));
        match &self.h.answers[&token] {
            Response::ConsumerDescribe(group) => group.clone(),
            other => panic!("{other:?} is not a described group"),
        }
    }

    /// Lets members send heartbeats, doing what they are told at once, until nothing changes.
    pub(super) fn settle(&mut self, members: &[&str]) {
        for _ in 0..20 {
            let before = self.group().clone();
            for &id in members {
                let Some(member) = self.group().members.get(id) else {
                    continue;
                };
                let owned = owned(&member.current.assigned);
                let mut request = beats(id, member.current.epoch);
                request.instance_id = member.metadata.instance_id.clone();
                request.owned = Some(owned);
                let answer = self.beat(request);
                assert_eq!(answer.error, ErrorCode::None, "{:?}", answer.error_message);
            }
            if *self.group() == before {
                return;
            }
        }
        panic!("the group does not settle");
    }

    /// The partitions of a topic that a member has.
    pub(super) fn has(&self, member: &str, topic: &str) -> Vec<PartitionIndex> {
        let assigned = &self.group().members[member].current.assigned;
        let partitions = assigned.get(&self.id(topic));
        partitions
            .map(|p| p.keys().copied().collect())
            .unwrap_or_default()
    }

    pub(super) fn check_replay(&self) {
        let replayed = self.h.replayed();
        assert_eq!(replayed.consumers, self.h.coordinator.consumers);
        assert_eq!(replayed.offsets, self.h.coordinator.offsets);
    }
}

pub(super) fn owned(
    assigned: &BTreeMap<TopicId, BTreeMap<PartitionIndex, i32>>,
) -> Vec<(TopicId, Vec<PartitionIndex>)> {
    let topics = assigned.iter();
    topics
        .map(|(topic, partitions)| (*topic, partitions.keys().copied().collect()))
        .collect()
}

/// A heartbeat that says nothing new.
pub(super) fn beats(id: &str, epoch: i32) -> ConsumerHeartbeatRequest {
    ConsumerHeartbeatRequest {
        group_id: "g".into(),
        member_id: id.into(),
        member_epoch: epoch,
        instance_id: None,
        rack_id: None,
        rebalance_timeout_ms: None,
        topics: None,
        regex: None,
        assignor: None,
        owned: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        requires_member_id: true,
    }
}

pub(super) fn joins(id: &str, topics: &[&str]) -> ConsumerHeartbeatRequest {
    ConsumerHeartbeatRequest {
        rebalance_timeout_ms: Some(60_000),
        topics: Some(topics.iter().map(|t| Arc::from(*t)).collect()),
        owned: Some(Vec::new()),
        ..beats(id, 0)
    }
}

pub(super) fn joins_static(id: &str, name: &str, topics: &[&str]) -> ConsumerHeartbeatRequest {
    ConsumerHeartbeatRequest {
        instance_id: Some(name.into()),
        ..joins(id, topics)
    }
}

pub(super) fn joins_by_regex(id: &str, regex: &str) -> ConsumerHeartbeatRequest {
    ConsumerHeartbeatRequest {
        topics: None,
        regex: Some(regex.into()),
        ..joins(id, &[])
    }
}
