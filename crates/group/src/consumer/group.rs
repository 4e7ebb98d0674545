//! A consumer group: keyed values, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::{PartitionIndex, TopicId};

use super::assignor::Assignment;
use super::member::{ConsumerMember, Current};
use super::records::{ConsumerRecord, GroupEpoch, TargetEpoch};
use super::regex::ResolvedRegex;

/// One group. Its fields change by [`ConsumerGroup::apply`] only, so that a replay of its records
/// makes the same group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsumerGroup {
    pub(crate) id: Arc<str>,
    /// `None` until the group's first record, and after its last.
    pub(crate) epoch: Option<GroupEpoch>,
    pub(crate) target_epoch: Option<TargetEpoch>,
    pub(crate) members: BTreeMap<Arc<str>, ConsumerMember>,
    pub(crate) targets: BTreeMap<Arc<str>, Arc<Assignment>>,
    pub(crate) regexes: BTreeMap<Arc<str>, ResolvedRegex>,
    /// Whether the log has a record of the kind that the hash has replaced.
    pub(crate) has_partition_metadata: bool,
    /// Static members' names and their present member ids.
    pub(crate) static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// Who has each partition, those that are being given up included.
    owners: BTreeMap<TopicId, BTreeMap<PartitionIndex, Arc<str>>>,
    /// The version of the cluster's metadata that the group's hash and regular expressions were
    /// last compared with. It is not stored: after a restart they are compared anew.
    pub(crate) checked: Checked,
}

/// See [`ConsumerGroup::checked`]. All are equal, because two groups with the same records are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Checked(pub(crate) Option<i64>);

impl PartialEq for Checked {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Checked {}

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConsumerGroupState {
    /// No members; the group lives on for its offsets.
    Empty,
    /// A new target is to be computed.
    Assigning,
    /// Not all members have what they shall have.
    Reconciling,
    /// All have.
    Stable,
}

impl ConsumerGroupState {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            ConsumerGroupState::Empty => "Empty",
            ConsumerGroupState::Assigning => "Assigning",
            ConsumerGroupState::Reconciling => "Reconciling",
            ConsumerGroupState::Stable => "Stable",
        }
    }
}

impl ConsumerGroup {
    pub(crate) fn new(id: Arc<str>) -> Self {
        ConsumerGroup {
            id,
            epoch: None,
            target_epoch: None,
            members: BTreeMap::new(),
            targets: BTreeMap::new(),
            regexes: BTreeMap::new(),
            has_partition_metadata: false,
            static_members: BTreeMap::new(),
            owners: BTreeMap::new(),
            checked: Checked::default(),
        }
    }

    /// A new group is in epoch 1, as if it had already been written.
    pub(crate) fn epoch(&self) -> i32 {
        self.epoch.map_or(1, |e| e.epoch)
    }

    pub(crate) fn metadata_hash(&self) -> i64 {
        self.epoch.map_or(0, |e| e.metadata_hash)
    }

    pub(crate) fn assignment_epoch(&self) -> i32 {
        self.target_epoch.map_or(-1, |e| e.epoch)
    }

    pub(crate) fn state(&self) -> ConsumerGroupState {
        let assignment_epoch = self.assignment_epoch();
        let reconciled = |m: &ConsumerMember| m.current.is_reconciled_to(assignment_epoch);
        if self.members.is_empty() {
            ConsumerGroupState::Empty
        } else if self.epoch() > assignment_epoch {
            ConsumerGroupState::Assigning
        } else if self.members.values().all(reconciled) {
            ConsumerGroupState::Stable
        } else {
            ConsumerGroupState::Reconciling
        }
    }

    /// Who has a partition.
    pub(crate) fn owner(&self, topic: TopicId, partition: PartitionIndex) -> Option<&Arc<str>> {
        self.owners.get(&topic)?.get(&partition)
    }

    /// The member that has this static name.
    pub(crate) fn static_member(&self, instance_id: &str) -> Option<&Arc<str>> {
        self.static_members.get(instance_id)
    }

    /// The topics that any member reads, by name or by regular expression.
    pub(crate) fn subscribed_topics(&self) -> BTreeSet<Arc<str>> {
        let named = self.members.values().flat_map(|m| &m.metadata.topics);
        let matched = self.regexes.values().flat_map(|r| &r.topics);
        named.chain(matched).cloned().collect()
    }

    /// The topics that a member reads. An expression that is not resolved names none.
    pub(crate) fn topics_of(&self, member: &ConsumerMember) -> BTreeSet<Arc<str>> {
        let regex = member.metadata.regex.as_ref();
        let matched = regex.and_then(|r| self.regexes.get(r));
        let matched = matched.into_iter().flat_map(|r| &r.topics);
        member
            .metadata
            .topics
            .iter()
            .chain(matched)
            .cloned()
            .collect()
    }

    /// How many members have this regular expression.
    pub(crate) fn subscribers_of(&self, regex: &str) -> usize {
        let regexes = self.members.values().map(|m| m.metadata.regex.as_deref());
        regexes.filter(|r| *r == Some(regex)).count()
    }

    /// Takes a record, and returns the one that takes it back.
    pub(crate) fn apply(&mut self, record: ConsumerRecord) -> ConsumerRecord {
        match record {
            ConsumerRecord::Group(value) => {
                ConsumerRecord::Group(std::mem::replace(&mut self.epoch, value))
            }
            ConsumerRecord::PartitionMetadata(value) => {
                let had = std::mem::replace(&mut self.has_partition_metadata, value.is_some());
                ConsumerRecord::PartitionMetadata(had.then_some(()))
            }
            ConsumerRecord::TargetEpoch(value) => {
                ConsumerRecord::TargetEpoch(std::mem::replace(&mut self.target_epoch, value))
            }
            ConsumerRecord::Target(member_id, value) => {
                let before = match value {
                    Some(target) => self.targets.insert(member_id.clone(), target),
                    None => self.targets.remove(&member_id),
                };
                ConsumerRecord::Target(member_id, before)
            }
            ConsumerRecord::Regex(expression, value) => {
                let before = match value {
                    Some(resolved) => self.regexes.insert(expression.clone(), resolved),
                    None => self.regexes.remove(&expression),
                };
                ConsumerRecord::Regex(expression, before)
            }
            ConsumerRecord::Member(member_id, value) => self.apply_member(member_id, value),
            ConsumerRecord::Current(member_id, value) => self.apply_current(member_id, value),
        }
    }

    fn apply_member(
        &mut self,
        member_id: Arc<str>,
        value: Option<super::member::MemberMetadata>,
    ) -> ConsumerRecord {
        let before = match value {
            Some(metadata) => {
                if let Some(name) = &metadata.instance_id {
                    self.static_members.insert(name.clone(), member_id.clone());
                }
                match self.members.get_mut(&member_id) {
                    Some(member) => Some(std::mem::replace(&mut member.metadata, metadata)),
                    None => {
                        let current = Current::default();
                        let member = ConsumerMember { metadata, current };
                        self.members.insert(member_id.clone(), member);
                        None
                    }
                }
            }
            None => {
                let member = self.members.remove(&member_id);
                if let Some(member) = &member {
                    self.release(&member_id, &member.current);
                }
                member.map(|m| m.metadata)
            }
        };
        if let Some(name) = before.as_ref().and_then(|b| b.instance_id.as_ref()) {
            let now = self.members.get(&member_id);
            let kept = now.is_some_and(|m| m.metadata.instance_id.as_ref() == Some(name));
            if !kept && self.static_members.get(name) == Some(&member_id) {
                self.static_members.remove(name);
            }
        }
        ConsumerRecord::Member(member_id, before)
    }

    /// A member that has no record of its own has what a new one has. A record of a member that is
    /// not known makes one: a log of Kafka's that was compacted may have them in this order.
    fn apply_current(&mut self, member_id: Arc<str>, value: Option<Current>) -> ConsumerRecord {
        if value.is_none() && !self.members.contains_key(&member_id) {
            return ConsumerRecord::Current(member_id, None);
        }
        let next = value.unwrap_or_default();
        let member = self.members.entry(member_id.clone()).or_default();
        let before = std::mem::replace(&mut member.current, next);
        let now: Vec<_> = member.current.held().collect();
        self.release(&member_id, &before);
        for (topic, partition) in now {
            let of_topic = self.owners.entry(topic).or_default();
            of_topic.insert(partition, member_id.clone());
        }
        let before = Some(before).filter(|b| *b != Current::default());
        ConsumerRecord::Current(member_id, before)
    }

    fn release(&mut self, member_id: &Arc<str>, current: &Current) {
        for (topic, partition) in current.held() {
            let Some(of_topic) = self.owners.get_mut(&topic) else {
                continue;
            };
            if of_topic.get(&partition) == Some(member_id) {
                of_topic.remove(&partition);
            }
            if of_topic.is_empty() {
                self.owners.remove(&topic);
            }
        }
    }

    /// The records that delete all of the group, in the order in which Kafka wants to read them:
    /// a member's assignments before the member, and everything before the group.
    pub(crate) fn tombstones(&self) -> Vec<ConsumerRecord> {
        let ids = || self.members.keys().cloned();
        let mut records: Vec<_> = ids().map(|id| ConsumerRecord::Current(id, None)).collect();
        // A target without a member is of no use to anyone, but can be left by another program.
        let targets: BTreeSet<_> = ids().chain(self.targets.keys().cloned()).collect();
        records.extend(
            targets
                .into_iter()
                .map(|id| ConsumerRecord::Target(id, None)),
        );
        records.push(ConsumerRecord::TargetEpoch(None));
        records.extend(ids().map(|id| ConsumerRecord::Member(id, None)));
        let regexes = self.regexes.keys().cloned();
        records.extend(regexes.map(|r| ConsumerRecord::Regex(r, None)));
        if self.has_partition_metadata {
            records.push(ConsumerRecord::PartitionMetadata(None));
        }
        records.push(ConsumerRecord::Group(None));
        records
    }

    /// What must hold between calls: indexes agree with the members, and no partition has two
    /// owners. It looks at everything, so only debug builds call it.
    pub(crate) fn assert_consistent(&self) {
        let mut held = 0;
        for (id, member) in &self.members {
            for (topic, partition) in member.current.held() {
                held += 1;
                assert_eq!(
                    self.owner(topic, partition),
                    Some(id),
                    "partition {partition} of {topic} has another owner than {id}"
                );
            }
            if let Some(name) = &member.metadata.instance_id {
                assert_eq!(self.static_members.get(name), Some(id));
            }
        }
        let owned: usize = self.owners.values().map(BTreeMap::len).sum();
        assert_eq!(
            held, owned,
            "a partition of group {} has two owners",
            self.id
        );
        let named = self.members.values();
        let named = named.filter(|m| m.metadata.instance_id.is_some()).count();
        assert_eq!(named, self.static_members.len());
    }
}
