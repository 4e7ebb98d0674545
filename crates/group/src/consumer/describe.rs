//! ConsumerGroupDescribe.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::ErrorCode;

use super::assignor::Assignment;
use super::cluster::Cluster;
use super::group::ConsumerGroup;
use super::member::{ConsumerMember, without_epochs};
use super::options::ConsumerOptions;
use super::request::{DescribedConsumerGroup, DescribedConsumerMember, DescribedPartitions};
use super::target;
use crate::coordinator::Coordinator;

impl Coordinator {
    pub(crate) fn describe_consumer_group(&self, group_id: &Arc<str>) -> DescribedConsumerGroup {
        if let Some(group) = self.consumers.get(group_id) {
            return group.describe(&*self.cluster, &self.out.options.consumer);
        }
        let message = match self.groups.contains_key(group_id) {
            true => format!("Group {group_id} is not a consumer group."),
            false => format!("Group {group_id} not found."),
        };
        let error = ErrorCode::GroupIdNotFound;
        DescribedConsumerGroup::error(group_id.clone(), error, Some(message))
    }
}

impl ConsumerGroup {
    fn describe(&self, cluster: &dyn Cluster, options: &ConsumerOptions) -> DescribedConsumerGroup {
        let members = self.members.iter();
        DescribedConsumerGroup {
            error: ErrorCode::None,
            error_message: None,
            group_id: self.id.clone(),
            state: self.state().name(),
            group_epoch: self.epoch(),
            assignment_epoch: self.assignment_epoch(),
            assignor: target::preferred_assignor(self, options).name(),
            members: members
                .map(|(id, m)| self.describe_member(id, m, cluster))
                .collect(),
        }
    }

    fn describe_member(
        &self,
        id: &Arc<str>,
        member: &ConsumerMember,
        cluster: &dyn Cluster,
    ) -> DescribedConsumerMember {
        // Until it has given them up, the member is still responsible for what it is to give up.
        let mut assignment = without_epochs(&member.current.assigned);
        for (topic, partitions) in without_epochs(&member.current.revoking) {
            assignment.entry(topic).or_default().extend(partitions);
        }
        let target = self.targets.get(id);
        let metadata = &member.metadata;
        DescribedConsumerMember {
            member_id: id.clone(),
            instance_id: metadata.instance_id.clone(),
            rack_id: metadata.rack_id.clone(),
            member_epoch: member.current.epoch,
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            topics: metadata.topics.iter().cloned().collect(),
            regex: metadata.regex.clone(),
            assignment: named(&assignment, cluster),
            target: target.map(|t| named(t, cluster)).unwrap_or_default(),
            is_classic: member.is_classic(),
        }
    }
}

/// With the topics' names, in their order.
fn named(assignment: &Assignment, cluster: &dyn Cluster) -> Vec<DescribedPartitions> {
    let known = assignment.iter().filter_map(|(&id, partitions)| {
        let name = cluster.topic_by_id(id)?.name;
        Some((name, (id, partitions.iter().copied().collect())))
    });
    let by_name: BTreeMap<Arc<str>, (_, Vec<_>)> = known.collect();
    by_name
        .into_iter()
        .map(|(name, (id, partitions))| (id, name, partitions))
        .collect()
}
