//! One step of a member towards its target.

use std::collections::BTreeSet;

use ottla_model::{ErrorCode, PartitionIndex, TopicId};

use super::assignor::Assignment;
use super::cluster::Cluster;
use super::edit::Refusal;
use super::group::ConsumerGroup;
use super::member::{ConsumerMember, Current, MemberState, Partitions};

/// What a member says that it has, by topic.
pub(super) type Owned = [(TopicId, Vec<PartitionIndex>)];

/// What a step is decided on.
pub(super) struct Step<'a> {
    pub(super) group: &'a ConsumerGroup,
    pub(super) cluster: &'a dyn Cluster,
    pub(super) member: &'a ConsumerMember,
    /// What it shall have, and for which group epoch.
    pub(super) target: &'a Assignment,
    pub(super) target_epoch: i32,
    /// Whether it has just changed what it reads: it may have things that it reads no more.
    pub(super) subscription_changed: bool,
    /// What it says that it has; `None` when it says nothing.
    pub(super) owned: Option<&'a Owned>,
}

impl Step<'_> {
    /// What the member has after the step; the same as before when there is nothing to do.
    ///
    /// # Errors
    /// `FENCED_MEMBER_EPOCH` when a newer release has left the member in a state that is unknown
    /// here: it must begin anew.
    pub(super) fn next(&self) -> Result<Current, Refusal> {
        let current = &self.member.current;
        let from_here = |epoch| Ok(self.towards_target(epoch));
        match current.state {
            MemberState::Stable if current.epoch != self.target_epoch => from_here(current.epoch),
            MemberState::Stable => Ok(self.within_subscription()),
            MemberState::UnrevokedPartitions if self.still_has(&current.revoking) => {
                Ok(self.within_subscription())
            }
            MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => {
                from_here(current.epoch)
            }
            MemberState::Unknown if self.owned.is_some_and(<[_]>::is_empty) => {
                from_here(self.target_epoch)
            }
            MemberState::Unknown => Err(Refusal::new(
                ErrorCode::FencedMemberEpoch,
                "The consumer group member is in a unknown state. \
                 The member must abandon all its partitions and rejoin.",
            )),
        }
    }

    /// Whether the member may still have any of these. One that says nothing may have all.
    fn still_has(&self, partitions: &Partitions) -> bool {
        let Some(owned) = self.owned else {
            return !partitions.is_empty();
        };
        owned.iter().any(|(topic, owned)| {
            let revoking = partitions.get(topic);
            revoking.is_some_and(|revoking| owned.iter().any(|p| revoking.contains_key(p)))
        })
    }

    fn subscribed(&self) -> BTreeSet<TopicId> {
        let names = self.group.topics_of(self.member);
        let topics = names.iter().filter_map(|name| self.cluster.topic(name));
        topics.map(|topic| topic.id).collect()
    }

    /// Takes away what the member has just stopped reading, without waiting for a new target.
    fn within_subscription(&self) -> Current {
        let current = &self.member.current;
        if !self.subscription_changed {
            return current.clone();
        }
        let subscribed = self.subscribed();
        let mut next = current.clone();
        let reads = |(topic, _): &(TopicId, _)| subscribed.contains(topic);
        let (kept, removed): (Vec<_>, Vec<_>) = std::mem::take(&mut next.assigned)
            .into_iter()
            .partition(reads);
        next.assigned = kept.into_iter().collect();
        if removed.is_empty() {
            return current.clone();
        }
        let mut revoking = current.revoking.clone();
        for (topic, partitions) in removed {
            revoking.entry(topic).or_default().extend(partitions);
        }
        next.previous_epoch = current.epoch;
        if self.still_has(&revoking) {
            next.state = MemberState::UnrevokedPartitions;
            next.revoking = revoking;
        }
        next
    }

    /// Moves the member to its target as far as that is possible now: first it gives up, then it
    /// gets what is free.
    fn towards_target(&self, epoch: i32) -> Current {
        let current = &self.member.current;
        let subscribed = self.subscribed();
        let nothing = BTreeSet::new();
        let wanted = |topic: &TopicId| match subscribed.contains(topic) {
            true => self.target.get(topic).unwrap_or(&nothing),
            false => &nothing,
        };
        let mut next = Current {
            epoch,
            previous_epoch: current.epoch,
            ..Current::default()
        };
        for (topic, partitions) in &current.assigned {
            let wanted = wanted(topic);
            for (&partition, &since) in partitions {
                let to = match wanted.contains(&partition) {
                    true => &mut next.assigned,
                    false => &mut next.revoking,
                };
                to.entry(*topic).or_default().insert(partition, since);
            }
        }
        if !next.revoking.is_empty() && self.still_has(&next.revoking) {
            next.state = MemberState::UnrevokedPartitions;
            return next;
        }
        next.revoking.clear();
        next.epoch = self.target_epoch;
        for topic in self.target.keys() {
            for &partition in wanted(topic) {
                let has =
                    |of: &Partitions| of.get(topic).is_some_and(|p| p.contains_key(&partition));
                if has(&next.assigned) {
                    continue;
                }
                // What the member itself was giving up it has given up by now.
                let free = self.group.owner(*topic, partition).is_none() || has(&current.revoking);
                if free {
                    let of_topic = next.assigned.entry(*topic).or_default();
                    of_topic.insert(partition, self.target_epoch);
                } else {
                    next.state = MemberState::UnreleasedPartitions;
                }
            }
        }
        next
    }
}
