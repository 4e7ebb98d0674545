//! A group changes its protocol while it works: from the classic one with the first member that
//! speaks the new one, and back with the last.

use std::sync::Arc;

use ottla_model::ErrorCode;

use super::assignor::Assignment;
use super::cluster::Cluster;
use super::edit::{After, Batch, Refusal};
use super::embedded::{self, CONSUMER, Decoded};
use super::group::{Checked, ConsumerGroup};
use super::hash;
use super::heartbeat::Operation;
use super::member::{ClassicMember, Current, MemberMetadata, MemberState, Partitions};
use super::records::{ConsumerRecord, GroupEpoch, TargetEpoch};
use crate::group::Group;
use crate::member::Member;
use crate::options::Options;
use crate::outbox::Outbox;
use crate::records::Record;
use crate::response::{JoinResponse, SyncResponse};
use crate::state::GroupState;
use crate::timers::TimerKey;

/// Whether a classic group with members may become a consumer group.
pub(super) fn check_upgrade(group: &Group, options: &Options) -> Result<(), Refusal> {
    let refused = |why: &str| {
        Err(Refusal::new(
            ErrorCode::GroupIdNotFound,
            format!(
                "Cannot upgrade classic group {} to consumer group because {why}.",
                group.id
            ),
        ))
    };
    if !options.consumer.migration_policy.allows_upgrade() {
        return refused("online upgrade is disabled");
    }
    if group.protocol_type.as_deref() != Some(CONSUMER) {
        return refused("the group does not use the consumer embedded protocol");
    }
    if group.members.len() > options.consumer.group_size_max {
        return refused("the group size exceeds the consumer group maximum size");
    }
    Ok(())
}

/// One member of a classic group, as the consumer group takes it over.
struct Upgraded {
    id: Arc<str>,
    metadata: MemberMetadata,
    assignment: Assignment,
}

/// Makes a consumer group of a classic one: everyone keeps what it has, in the epoch that the
/// generation was. The classic group itself is left as it is.
pub(super) fn upgrade(
    classic: &Group,
    cluster: &dyn Cluster,
    batch: &mut Batch,
) -> Result<ConsumerGroup, Refusal> {
    let members = classic.members.values();
    let members: Vec<Upgraded> = members
        .map(|m| upgraded(classic, m, cluster))
        .collect::<Result<_, _>>()?;
    let mut group = ConsumerGroup::new(classic.id.clone());
    batch.log_only(Record::Group {
        group_id: classic.id.clone(),
        value: None,
    });
    let epoch = classic.generation_id;
    for member in &members {
        let record = ConsumerRecord::Member(member.id.clone(), Some(member.metadata.clone()));
        batch.put(&mut group, record);
    }
    let metadata_hash = hash::of_topics(&group.subscribed_topics(), cluster);
    let record = ConsumerRecord::Group(Some(GroupEpoch {
        epoch,
        metadata_hash,
    }));
    batch.put(&mut group, record);
    for member in &members {
        let target = Arc::new(member.assignment.clone());
        let record = ConsumerRecord::Target(member.id.clone(), Some(target));
        batch.put(&mut group, record);
    }
    let target_epoch = TargetEpoch {
        epoch,
        timestamp_ms: 0,
    };
    batch.put(&mut group, ConsumerRecord::TargetEpoch(Some(target_epoch)));
    for member in members {
        let assigned = member.assignment.into_iter();
        let assigned: Partitions = assigned
            .map(|(topic, partitions)| {
                (topic, partitions.into_iter().map(|p| (p, epoch)).collect())
            })
            .collect();
        let current = Current {
            epoch,
            previous_epoch: epoch,
            state: MemberState::Stable,
            // What a leader of the clients has given to two members belongs to the first of them.
            assigned: without_owned(assigned, &group),
            revoking: Partitions::new(),
        };
        batch.put(
            &mut group,
            ConsumerRecord::Current(member.id, Some(current)),
        );
    }
    group.checked = Checked(Some(cluster.version()));
    Ok(group)
}

fn without_owned(mut partitions: Partitions, group: &ConsumerGroup) -> Partitions {
    for (&topic, of_topic) in &mut partitions {
        of_topic.retain(|&p, _| group.owner(topic, p).is_none());
    }
    partitions.retain(|_, of_topic| !of_topic.is_empty());
    partitions
}

fn upgraded(group: &Group, member: &Member, cluster: &dyn Cluster) -> Result<Upgraded, Refusal> {
    let refused = |why: &str| {
        Err(Refusal::new(
            ErrorCode::GroupIdNotFound,
            format!(
                "Cannot upgrade classic group {} to consumer group because {why}.",
                group.id
            ),
        ))
    };
    let assignment = match embedded::decode_assignment(&member.assignment, cluster) {
        Decoded::Assignment(assignment) => assignment,
        Decoded::Custom => {
            return refused(
                "an unsupported custom assignor is in use. Please refer to the documentation or \
                 switch to a default assignor before re-attempting the upgrade",
            );
        }
        Decoded::Malformed => return refused("the embedded consumer protocol is malformed"),
    };
    let Some(subscription) = embedded::subscription(&member.protocols, cluster) else {
        return refused("the embedded consumer protocol is malformed");
    };
    Ok(Upgraded {
        id: member.id.clone(),
        metadata: MemberMetadata {
            instance_id: member.instance_id.clone(),
            rack_id: subscription.rack_id,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            topics: subscription.topics.into_iter().collect(),
            regex: None,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            assignor: None,
            classic: Some(ClassicMember {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone(),
            }),
        },
        assignment,
    })
}

/// Whoever waits in the classic group is called to join again, and will join the new one. The
/// members' sessions go on.
pub(super) fn silence(classic: &mut Group, out: &mut Outbox) {
    let error = ErrorCode::RebalanceInProgress;
    let ids: Vec<Arc<str>> = classic.members.keys().cloned().collect();
    for id in ids {
        classic.answer_join(out, &id, JoinResponse::error(error, id.clone()));
        classic.answer_sync(out, &id, SyncResponse::error(error));
    }
    let group = classic.id.clone();
    out.timers.cancel(&TimerKey::Sync {
        group: group.clone(),
    });
    out.timers.cancel(&TimerKey::Join { group });
    for member in std::mem::take(&mut classic.pending_join) {
        out.cancel_session(&classic.id, &member);
    }
}

/// Puts the timers of a classic group back that has not become another one after all.
pub(super) fn resume(classic: &Group, out: &mut Outbox) {
    let group = classic.id.clone();
    let timeout_ms = i64::from(classic.rebalance_timeout_ms());
    match classic.state {
        GroupState::PreparingRebalance => out.set_timer(TimerKey::Join { group }, timeout_ms),
        GroupState::CompletingRebalance => out.set_timer(TimerKey::Sync { group }, timeout_ms),
        GroupState::Empty | GroupState::Stable | GroupState::Dead => {}
    }
    for member in classic.members.values() {
        out.set_session(&classic.id, &member.id, member.session_timeout_ms);
    }
}

impl Operation<'_> {
    /// Whether the group, as it is now, has nobody left that speaks the new protocol, and may go
    /// back to the classic one.
    pub(super) fn may_downgrade(&self) -> bool {
        let members = &self.group.members;
        !members.is_empty()
            && members.values().all(|m| m.is_classic())
            && self
                .out
                .options
                .consumer
                .migration_policy
                .allows_downgrade()
            && members.len() <= self.out.options.group_size_max
    }

    /// Makes a classic group of the group; it takes its place when that is durable.
    pub(super) fn downgrade(&mut self, rebalance: Option<String>) -> Result<(), Refusal> {
        let classic = self.as_classic();
        let Some(classic) = classic else {
            return Err(Refusal::new(
                ErrorCode::GroupIdNotFound,
                format!("Cannot downgrade the group {}.", self.group.id),
            ));
        };
        for record in self.group.tombstones() {
            self.put(record);
        }
        let record = classic.to_record(|m| m.assignment.clone());
        self.batch.log_only(record);
        self.batch.after = After::BecomeClassic(Box::new(classic), rebalance);
        Ok(())
    }

    /// The group as a stable classic one, with the targets as assignments. `None` if its members
    /// have no protocol in common, which was checked when they joined.
    fn as_classic(&self) -> Option<Group> {
        let mut classic = Group::new(self.group.id.clone(), Some(self.out.now_ms));
        classic.state = GroupState::Stable;
        classic.generation_id = self.group.epoch();
        classic.protocol_type = Some(CONSUMER.into());
        for (id, member) in &self.group.members {
            let of_classic = member.metadata.classic.as_ref()?;
            classic.insert(Member {
                id: id.clone(),
                instance_id: member.metadata.instance_id.clone(),
                client_id: member.metadata.client_id.clone(),
                client_host: member.metadata.client_host.clone(),
                rebalance_timeout_ms: member.metadata.rebalance_timeout_ms,
                session_timeout_ms: of_classic.session_timeout_ms,
                protocols: of_classic.protocols.clone(),
                assignment: bytes::Bytes::new(),
                awaiting_join: None,
                awaiting_sync: None,
                is_new: false,
            });
        }
        let protocol = classic.elect_protocol()?;
        let nothing = Assignment::new();
        for member in classic.members.values_mut() {
            let target = self.group.targets.get(&member.id);
            let target = target.map_or(&nothing, |t| t);
            let metadata = member.metadata(&protocol).cloned().unwrap_or_default();
            member.assignment = embedded::encode_assignment(target, &metadata, self.cluster);
        }
        classic.protocol_name = Some(protocol);
        classic.subscribed_topics = classic.compute_subscribed_topics();
        Some(classic)
    }
}
