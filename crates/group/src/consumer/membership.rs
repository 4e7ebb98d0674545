//! Who a request is from: a member, a new one, or a static one that has come back.

use std::sync::Arc;

use ottla_model::ErrorCode;

use super::edit::Refusal;
use super::heartbeat::Operation;
use super::member::{ConsumerMember, Current, JOIN_EPOCH, LEAVE_STATIC_EPOCH, Partitions};
use super::reconcile::Owned;
use super::records::ConsumerRecord;

/// What a request says of its sender.
pub(super) struct Sender<'a> {
    pub(super) member_id: &'a Arc<str>,
    pub(super) instance_id: Option<&'a Arc<str>>,
    /// `None` for the classic protocol, whose generations are checked elsewhere.
    pub(super) epoch: Option<i32>,
    pub(super) owned: Option<&'a Owned>,
    /// Whether the sender joins, and so may be new.
    pub(super) joins: bool,
}

impl Operation<'_> {
    /// Refuses a new member of a group that is full. A static member that comes back takes its own
    /// place.
    pub(super) fn check_room(
        &self,
        member_id: &str,
        instance_id: Option<&Arc<str>>,
    ) -> Result<(), Refusal> {
        let size_max = self.out.options.consumer.group_size_max;
        let group = &self.group;
        let comes_back = instance_id.is_some_and(|name| group.static_member(name).is_some());
        if comes_back || group.members.len() < size_max || group.members.contains_key(member_id) {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::GroupMaxSizeReached,
            format!("The consumer group has reached its maximum capacity of {size_max} members."),
        ))
    }

    /// The sender as the group knows it; a new one has nothing yet. A static member that comes back
    /// under another id has taken its old self's place when this returns.
    pub(super) fn find_or_add(&mut self, sender: &Sender<'_>) -> Result<ConsumerMember, Refusal> {
        match sender.instance_id {
            Some(instance_id) => self.find_static(sender, instance_id),
            None => self.find_dynamic(sender),
        }
    }

    fn find_dynamic(&self, sender: &Sender<'_>) -> Result<ConsumerMember, Refusal> {
        let member = match self.group.members.get(sender.member_id) {
            Some(member) => member.clone(),
            None if sender.joins => ConsumerMember::default(),
            None => return Err(unknown_member(sender.member_id, &self.group.id)),
        };
        check_epoch(&member.current, sender)?;
        Ok(member)
    }

    fn find_static(
        &mut self,
        sender: &Sender<'_>,
        instance_id: &Arc<str>,
    ) -> Result<ConsumerMember, Refusal> {
        let Some(old_id) = self.group.static_member(instance_id).cloned() else {
            if sender.joins {
                return Ok(ConsumerMember::default());
            }
            return Err(unknown_instance(instance_id));
        };
        let old = self.group.members[&old_id].clone();
        if !sender.joins {
            self.check_not_fenced(&old_id, sender.member_id, instance_id)?;
            check_epoch(&old.current, sender)?;
            return Ok(old);
        }
        let both_new = sender.epoch.is_some() && !old.is_classic();
        if both_new && old.current.epoch != LEAVE_STATIC_EPOCH {
            let (id, owner) = (sender.member_id, &old_id);
            return Err(Refusal::new(
                ErrorCode::UnreleasedInstanceId,
                format!(
                    "Static member {id} with instance id {instance_id} cannot join the group \
                     because the instance id is owned by {owner} member."
                ),
            ));
        }
        let new = ConsumerMember {
            metadata: old.metadata,
            current: Current {
                epoch: JOIN_EPOCH,
                previous_epoch: JOIN_EPOCH,
                ..old.current
            },
        };
        self.replace(&old_id, sender.member_id, &new);
        Ok(new)
    }

    /// Puts a static member's new self in the place of the old one.
    fn replace(&mut self, old_id: &Arc<str>, new_id: &Arc<str>, new: &ConsumerMember) {
        let target = self.group.targets.get(old_id).cloned();
        self.remove(old_id);
        self.cancel_timers(old_id);
        let metadata = new.metadata.clone();
        self.put(ConsumerRecord::Member(new_id.clone(), Some(metadata)));
        let target = target.unwrap_or_default();
        self.put(ConsumerRecord::Target(new_id.clone(), Some(target)));
        let current = new.current.clone();
        self.put(ConsumerRecord::Current(new_id.clone(), Some(current)));
    }

    /// Removes a member and all that it has: its assignments first, as readers of the log want it.
    pub(super) fn remove(&mut self, member_id: &Arc<str>) {
        self.put(ConsumerRecord::Current(member_id.clone(), None));
        self.put(ConsumerRecord::Target(member_id.clone(), None));
        self.put(ConsumerRecord::Member(member_id.clone(), None));
    }

    /// A member of this id, which has the static name, if one is given.
    pub(super) fn present_member(
        &self,
        member_id: &Arc<str>,
        instance_id: Option<&Arc<str>>,
    ) -> Result<&ConsumerMember, Refusal> {
        if let Some(instance_id) = instance_id {
            let owner = self.group.static_member(instance_id);
            let owner = owner.ok_or_else(|| unknown_instance(instance_id))?;
            self.check_not_fenced(owner, member_id, instance_id)?;
        }
        let member = self.group.members.get(member_id);
        member.ok_or_else(|| unknown_member(member_id, &self.group.id))
    }

    pub(super) fn check_not_fenced(
        &self,
        owner: &Arc<str>,
        member_id: &Arc<str>,
        instance_id: &Arc<str>,
    ) -> Result<(), Refusal> {
        if owner == member_id {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::FencedInstanceId,
            format!(
                "Static member {member_id} with instance id {instance_id} was fenced by member {owner}."
            ),
        ))
    }
}

pub(super) fn unknown_member(member_id: &str, group_id: &str) -> Refusal {
    Refusal::new(
        ErrorCode::UnknownMemberId,
        format!("Member {member_id} is not a member of group {group_id}."),
    )
}

pub(super) fn unknown_instance(instance_id: &str) -> Refusal {
    Refusal::new(
        ErrorCode::UnknownMemberId,
        format!("Instance id {instance_id} is unknown."),
    )
}

/// Epoch 0 is always allowed: a member that was fenced starts anew. The previous epoch is, while
/// the member has nothing that it should not have: the answer with the new one may have been lost.
fn check_epoch(current: &Current, sender: &Sender<'_>) -> Result<(), Refusal> {
    let Some(epoch) = sender.epoch else {
        return Ok(());
    };
    let known = current.epoch;
    let is_lost_answer = epoch < known
        && epoch == current.previous_epoch
        && is_subset(sender.owned, &current.assigned);
    if epoch == JOIN_EPOCH || epoch == known || is_lost_answer {
        return Ok(());
    }
    let how = if epoch > known { "greater" } else { "smaller" };
    Err(Refusal::new(
        ErrorCode::FencedMemberEpoch,
        format!(
            "The consumer group member has a {how} member epoch ({epoch}) than the one known by the \
             group coordinator ({known}). The member must abandon all its partitions and rejoin."
        ),
    ))
}

fn is_subset(owned: Option<&Owned>, assigned: &Partitions) -> bool {
    owned.is_some_and(|owned| {
        owned.iter().all(|(topic, partitions)| {
            let assigned = assigned.get(topic);
            assigned.is_some_and(|a| partitions.iter().all(|p| a.contains_key(p)))
        })
    })
}
