//! Groups: which there are, who is in them, and their end.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use ottla_model::ErrorCode;
use ottla_wire::messages::list_groups_response::ListedGroup;
use ottla_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
    DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest,
    consumer_group_describe_response, describe_groups_response,
};
use ottla_wire::{ApiKey, Message as _};

use crate::admin::only;
use crate::coordinator::Coordinated;
use crate::{Broker, Client, Error};

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub group_id: String,
    /// `classic`, `consumer`, `share` or `streams`, in lower case.
    pub group_type: String,
    /// `Stable`, `Empty` and so on, in Kafka's words.
    pub state: String,
    /// `consumer`, `connect` and so on; empty for groups that only store offsets.
    pub protocol_type: String,
    /// The node id of its coordinator.
    pub coordinator: i32,
}

/// A group with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub group_id: String,
    /// `classic` or `consumer`.
    pub group_type: String,
    /// `Stable`, `Empty` and so on, in Kafka's words.
    pub state: String,
    /// `consumer`, `connect` and so on.
    pub protocol_type: String,
    /// Who distributes partitions: the assignor's name.
    pub assignor: String,
    /// The node id of its coordinator.
    pub coordinator: i32,
    /// The epoch of a consumer group (KIP-848).
    pub epoch: Option<i32>,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// How many groups one request describes.
const GROUPS_OF_A_REQUEST: usize = 200;

/// Partitions by topic.
pub type Assignment = BTreeMap<String, Vec<i32>>;

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The id that it has for this membership.
    pub member_id: String,
    /// The id that it keeps over restarts (`group.instance.id`, KIP-345).
    pub instance_id: Option<String>,
    /// What the client calls itself.
    pub client_id: String,
    /// Its address, as the broker sees it: `/10.0.0.1`.
    pub host: String,
    /// The member's epoch in a consumer group.
    pub epoch: Option<i32>,
    /// The topics that it asked for.
    pub topics: Vec<String>,
    /// What it reads.
    pub assignment: Assignment,
    /// What it is to read, where that differs (consumer groups).
    pub target: Option<Assignment>,
}

impl Client {
    /// All groups of the cluster in the order of their ids. Every broker is asked for those that
    /// it coordinates.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, Error> {
        self.metadata(Some(&[])).await?;
        let asked = self.broker_ids();
        let lists = asked
            .iter()
            .map(|broker| self.retrying(|| self.list_groups_of(*broker)));
        let mut groups = Vec::new();
        for list in join_all(lists).await {
            groups.extend(list?);
        }
        self.fill_in_states(&mut groups).await?;
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        Ok(groups)
    }

    async fn list_groups_of(&self, broker: i32) -> Result<Vec<GroupListing>, Error> {
        let (api, build) = (ApiKey::ListGroups, |_| ListGroupsRequest::default().into());
        let to = Broker::Id(broker);
        let answer = self.ask(to, api, build, only!(ListGroups)).await?;
        let subject = format!("the groups of broker {broker}");
        Error::check(api, subject, answer.error_code, None)?;
        let groups = answer.groups.into_iter();
        Ok(groups.map(|g| listing(g, broker)).collect())
    }

    /// Brokers before Kafka 2.6 list groups without their states.
    async fn fill_in_states(&self, groups: &mut [GroupListing]) -> Result<(), Error> {
        for group in groups.iter_mut().filter(|group| group.state.is_empty()) {
            if let Some(described) = self.describe_group(&group.group_id).await? {
                group.state = described.state;
            }
        }
        Ok(())
    }

    /// One group with its members, whether classic or KIP-848; `None` when there is none of
    /// these.
    pub async fn describe_group(&self, group: &str) -> Result<Option<GroupDescription>, Error> {
        self.retrying(|| async {
            let coordinator = self.coordinator(Coordinated::Group(group)).await?;
            let consumer = self.describe_consumer_groups(&[group], coordinator).await;
            let found = match consumer {
                Err(Error::Unsupported { .. }) => None,
                found => found?.pop(),
            };
            match found {
                Some(found) => Ok(Some(found)),
                None => Ok(self
                    .describe_classic_groups(&[group], coordinator)
                    .await?
                    .pop()),
            }
        })
        .await
    }

    /// Listed groups with their members, by id, with few requests. Share and streams groups, and
    /// groups that are gone meanwhile, are left out.
    pub async fn describe_groups(
        &self,
        groups: &[GroupListing],
    ) -> Result<BTreeMap<String, GroupDescription>, Error> {
        let mut asked: BTreeMap<(i32, &str), Vec<&str>> = BTreeMap::new();
        for group in groups {
            let key = (group.coordinator, group.group_type.as_str());
            asked.entry(key).or_default().push(&group.group_id);
        }
        let mut described = BTreeMap::new();
        for ((coordinator, group_type), ids) in asked {
            for ids in ids.chunks(GROUPS_OF_A_REQUEST) {
                let found = match group_type {
                    "consumer" => self.describe_consumer_groups(ids, coordinator).await?,
                    "classic" => self.describe_classic_groups(ids, coordinator).await?,
                    _ => Vec::new(),
                };
                let found = found.into_iter();
                described.extend(found.map(|group| (group.group_id.clone(), group)));
            }
        }
        Ok(described)
    }

    async fn describe_consumer_groups(
        &self,
        groups: &[&str],
        coordinator: i32,
    ) -> Result<Vec<GroupDescription>, Error> {
        let api = ApiKey::ConsumerGroupDescribe;
        let request = ConsumerGroupDescribeRequest {
            group_ids: groups.iter().map(|group| (*group).into()).collect(),
            ..ConsumerGroupDescribeRequest::default()
        };
        let (to, build) = (Broker::Id(coordinator), |_| request.into());
        let answer = self
            .ask(to, api, build, only!(ConsumerGroupDescribe))
            .await?;
        let mut described = Vec::new();
        for found in answer.groups {
            // The second is a broker's answer that has no groups of this type at all.
            if is(found.error_code, ErrorCode::GroupIdNotFound)
                || is(found.error_code, ErrorCode::UnsupportedVersion)
            {
                continue;
            }
            let (subject, message) = (
                format!("group {}", found.group_id),
                found.error_message.as_deref(),
            );
            Error::check(api, subject, found.error_code, message)?;
            described.push(consumer_group(found, coordinator));
        }
        Ok(described)
    }

    async fn describe_classic_groups(
        &self,
        groups: &[&str],
        coordinator: i32,
    ) -> Result<Vec<GroupDescription>, Error> {
        let api = ApiKey::DescribeGroups;
        let request = DescribeGroupsRequest {
            groups: groups.iter().map(|group| (*group).into()).collect(),
            ..DescribeGroupsRequest::default()
        };
        let (to, build) = (Broker::Id(coordinator), |_| request.into());
        let answer = self.ask(to, api, build, only!(DescribeGroups)).await?;
        let mut described = Vec::new();
        for found in answer.groups {
            // Before version 6 a group that is not there is dead.
            if is(found.error_code, ErrorCode::GroupIdNotFound) || &*found.group_state == "Dead" {
                continue;
            }
            let (subject, message) = (
                format!("group {}", found.group_id),
                found.error_message.as_deref(),
            );
            Error::check(api, subject, found.error_code, message)?;
            described.push(classic_group(found, coordinator));
        }
        Ok(described)
    }

    /// Deletes a group with its offsets. It must have no members.
    pub async fn delete_group(&self, group: &str) -> Result<(), Error> {
        let api = ApiKey::DeleteGroups;
        self.retrying(|| async {
            let coordinator = self.coordinator(Coordinated::Group(group)).await?;
            let request = DeleteGroupsRequest {
                groups_names: vec![group.into()],
                ..DeleteGroupsRequest::default()
            };
            let (to, build) = (Broker::Id(coordinator), |_| request.into());
            let answer = self.ask(to, api, build, only!(DeleteGroups)).await?;
            answer.results.iter().try_for_each(|result| {
                let message = result.error_message.as_deref();
                Error::check(api, format!("group {group}"), result.error_code, message)
            })
        })
        .await
    }
}

fn is(code: i16, wanted: ErrorCode) -> bool {
    code == wanted.code()
}

fn listing(group: ListedGroup, coordinator: i32) -> GroupListing {
    let group_type = match group.group_type.to_lowercase() {
        // Kafka before 3.8 had no other.
        unknown if unknown.is_empty() => "classic".to_owned(),
        known => known,
    };
    GroupListing {
        group_id: group.group_id.to_string(),
        group_type,
        state: group.group_state.to_string(),
        protocol_type: group.protocol_type.to_string(),
        coordinator,
    }
}

fn consumer_group(
    group: consumer_group_describe_response::DescribedGroup,
    coordinator: i32,
) -> GroupDescription {
    let partitions = |assigned: consumer_group_describe_response::Assignment| -> Assignment {
        let topics = assigned.topic_partitions.into_iter();
        let topics = topics.map(|topic| (topic.topic_name.to_string(), topic.partitions));
        collect(topics)
    };
    let member = |member: consumer_group_describe_response::Member| {
        let (assignment, target) = (
            partitions(member.assignment),
            partitions(member.target_assignment),
        );
        let mut topics: Vec<String> = member.subscribed_topic_names.iter().map(text).collect();
        let regex = member.subscribed_topic_regex.filter(|r| !r.is_empty());
        topics.extend(regex.map(|regex| format!("/{regex}/")));
        GroupMember {
            member_id: member.member_id.to_string(),
            instance_id: member.instance_id.map(String::from),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            epoch: Some(member.member_epoch),
            topics,
            target: (target != assignment).then_some(target),
            assignment,
        }
    };
    GroupDescription {
        group_id: group.group_id.to_string(),
        group_type: "consumer".to_owned(),
        state: group.group_state.to_string(),
        protocol_type: "consumer".to_owned(),
        assignor: group.assignor_name.to_string(),
        coordinator,
        epoch: Some(group.group_epoch),
        members: group.members.into_iter().map(member).collect(),
    }
}

fn classic_group(
    group: describe_groups_response::DescribedGroup,
    coordinator: i32,
) -> GroupDescription {
    // Other protocols than the consumers' (Connect's) have bytes of their own.
    let of_consumers = &*group.protocol_type == "consumer";
    let member = |member: describe_groups_response::DescribedGroupMember| {
        let subscription = of_consumers
            .then(|| {
                ConsumerProtocolSubscription::decode_versioned_or_newer(member.member_metadata)
            })
            .and_then(Result::ok);
        let assignment = of_consumers
            .then(|| {
                ConsumerProtocolAssignment::decode_versioned_or_newer(member.member_assignment)
            })
            .and_then(Result::ok);
        let topics = subscription.map(|(_, s)| s.topics.iter().map(text).collect());
        let assigned = assignment.map(|(_, a)| {
            let topics = a.assigned_partitions.into_iter();
            collect(topics.map(|topic| (topic.topic.to_string(), topic.partitions)))
        });
        GroupMember {
            member_id: member.member_id.to_string(),
            instance_id: member.group_instance_id.map(String::from),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            epoch: None,
            topics: topics.unwrap_or_default(),
            assignment: assigned.unwrap_or_default(),
            target: None,
        }
    };
    GroupDescription {
        group_id: group.group_id.to_string(),
        group_type: "classic".to_owned(),
        state: group.group_state.to_string(),
        protocol_type: group.protocol_type.to_string(),
        assignor: group.protocol_data.to_string(),
        coordinator,
        epoch: None,
        members: group.members.into_iter().map(member).collect(),
    }
}

fn text(text: &ottla_wire::Text) -> String {
    text.to_string()
}

fn collect(topics: impl Iterator<Item = (String, Vec<i32>)>) -> Assignment {
    let mut all = Assignment::new();
    for (topic, partitions) in topics {
        let of_topic = all.entry(topic).or_default();
        of_topic.extend(partitions);
        of_topic.sort_unstable();
    }
    all
}
