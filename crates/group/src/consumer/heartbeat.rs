//! ConsumerGroupHeartbeat: joining, staying, and being told what to read.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_model::{ErrorCode, Uuid};

use super::assignor::{Assignment, Assignor};
use super::cluster::{Cluster, GroupOverrides};
use super::edit::{Batch, Refusal};
use super::group::{Checked, ConsumerGroup};
use super::member::{
    ConsumerMember, JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, MemberMetadata, MemberState,
    without_epochs,
};
use super::membership::Sender;
use super::reconcile::{Owned, Step};
use super::records::{ConsumerRecord, GroupEpoch};
use super::regex::{self, ResolvedRegex};
use super::request::{ConsumerHeartbeatRequest, ConsumerHeartbeatResponse};
use super::{hash, target};
use crate::effect::Notice;
use crate::outbox::Outbox;
use crate::records::fits;
use crate::timers::TimerKey;

/// One operation of a group: what it works on. What it changes goes through
/// [`Operation::put`], so that it can be taken back.
pub(super) struct Operation<'a> {
    pub(super) group: &'a mut ConsumerGroup,
    pub(super) batch: &'a mut Batch,
    pub(super) out: &'a mut Outbox,
    pub(super) cluster: &'a dyn Cluster,
}

impl ConsumerHeartbeatRequest {
    /// What is wrong with a request whatever the group is.
    pub(super) fn check(&self, assignors: &[Assignor]) -> Result<(), Refusal> {
        let invalid = |what: &str| Err(Refusal::new(ErrorCode::InvalidRequest, what));
        let is_empty = |text: &Option<Arc<str>>| text.as_deref() == Some("");
        let names_member = self.member_epoch > 0 || self.member_epoch == LEAVE_EPOCH;
        if (self.requires_member_id || names_member) && self.member_id.trim().is_empty() {
            return invalid("MemberId can't be empty.");
        }
        if self.group_id.trim().is_empty() {
            return invalid("GroupId can't be empty.");
        }
        if is_empty(&self.instance_id) {
            return invalid("InstanceId can't be empty.");
        }
        if is_empty(&self.rack_id) {
            return invalid("RackId can't be empty.");
        }
        let keys = [
            Some(&self.group_id),
            Some(&self.member_id),
            self.regex.as_ref(),
        ];
        let values = [
            Some(&self.client_id),
            self.instance_id.as_ref(),
            self.rack_id.as_ref(),
        ];
        let topics = self.topics.iter().flatten();
        let mut texts = keys.into_iter().chain(values).flatten().chain(topics);
        if !texts.all(|text| fits(text)) {
            return invalid("A text of the request is longer than a record can hold.");
        }
        match self.member_epoch {
            JOIN_EPOCH => self.check_join()?,
            LEAVE_STATIC_EPOCH if self.instance_id.is_none() => {
                return invalid("InstanceId can't be null.");
            }
            ..LEAVE_STATIC_EPOCH => return invalid("MemberEpoch is invalid."),
            _ => {}
        }
        let offered = |name: &str| Assignor::parse(name).is_some_and(|a| assignors.contains(&a));
        match self.assignor.as_deref() {
            Some(name) if !offered(name) => {
                let names: Vec<_> = assignors.iter().map(|a| a.name()).collect();
                let message = format!(
                    "ServerAssignor {name} is not supported. Supported assignors: {}.",
                    names.join(", ")
                );
                Err(Refusal::new(ErrorCode::UnsupportedAssignor, message))
            }
            _ => Ok(()),
        }
    }

    fn check_join(&self) -> Result<(), Refusal> {
        let invalid = |what: &str| Err(Refusal::new(ErrorCode::InvalidRequest, what));
        if self.rebalance_timeout_ms.is_none() {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        if self.topics.is_none() && self.regex.is_none() {
            return invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                 (re-)joining.",
            );
        }
        Ok(())
    }

    /// Whether the member leaves, for good or for a while.
    pub(super) fn leaves(&self) -> bool {
        matches!(self.member_epoch, LEAVE_EPOCH | LEAVE_STATIC_EPOCH)
    }

    /// Whether the request says everything, as it does after an error: the answer does so too.
    fn is_full(&self) -> bool {
        self.rebalance_timeout_ms.is_some()
            && (self.topics.is_some() || self.regex.is_some())
            && self.owned.is_some()
    }

    /// What the member says of itself, now that it has sent this.
    fn metadata(&self, before: &MemberMetadata) -> MemberMetadata {
        let or = |new: &Option<Arc<str>>, old: &Option<Arc<str>>| new.clone().or(old.clone());
        MemberMetadata {
            instance_id: or(&self.instance_id, &before.instance_id),
            rack_id: or(&self.rack_id, &before.rack_id),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            topics: match &self.topics {
                Some(topics) => topics.iter().cloned().collect(),
                None => before.topics.clone(),
            },
            regex: or(&self.regex, &before.regex).filter(|r| !r.is_empty()),
            rebalance_timeout_ms: self
                .rebalance_timeout_ms
                .unwrap_or(before.rebalance_timeout_ms),
            assignor: or(&self.assignor, &before.assignor),
            classic: None,
        }
    }
}

impl Operation<'_> {
    pub(super) fn put(&mut self, record: ConsumerRecord) {
        self.batch.put(self.group, record);
    }

    pub(super) fn overrides(&self) -> GroupOverrides {
        self.cluster.group_overrides(&self.group.id)
    }

    /// A heartbeat of a member that joins or stays.
    pub(super) fn heartbeat(
        &mut self,
        request: &ConsumerHeartbeatRequest,
        random: [u8; 16],
    ) -> Result<ConsumerHeartbeatResponse, Refusal> {
        let member_id: Arc<str> = match request.member_id.is_empty() {
            true => Uuid(random).to_string().into(),
            false => request.member_id.clone(),
        };
        self.check_room(&member_id, request.instance_id.as_ref())?;
        let before = self.find_or_add(&Sender {
            member_id: &member_id,
            instance_id: request.instance_id.as_ref(),
            epoch: Some(request.member_epoch),
            owned: request.owned.as_deref(),
            joins: request.member_epoch == JOIN_EPOCH,
        })?;
        let metadata = request.metadata(&before.metadata);
        let changed = self.update_member(&member_id, &before.metadata, metadata)?;
        self.update_target();
        self.reconcile(&member_id, changed, request.owned.as_deref())?;
        let overrides = self.overrides();
        let options = &self.out.options.consumer;
        let session_timeout_ms = options.session_timeout_ms(overrides.session_timeout_ms);
        let heartbeat_interval_ms = options.heartbeat_interval_ms(overrides.heartbeat_interval_ms);
        self.out
            .set_session(&self.group.id, &member_id, session_timeout_ms);
        // A member that has changed to this protocol joins and syncs no more.
        self.cancel_classic_timers(&member_id);
        let after = &self.group.members[&member_id];
        let tells = request.member_epoch == JOIN_EPOCH
            || request.is_full()
            || before.current.assigned != after.current.assigned;
        Ok(ConsumerHeartbeatResponse {
            error: ErrorCode::None,
            error_message: None,
            member_epoch: after.current.epoch,
            heartbeat_interval_ms,
            assignment: tells.then(|| without_epochs(&after.current.assigned)),
            member_id: Some(member_id),
        })
    }

    /// Stores what a member says of itself, and bumps the group epoch when that, or the cluster,
    /// changes what is to be assigned. Returns whether the member reads other topics than before.
    pub(super) fn update_member(
        &mut self,
        member_id: &Arc<str>,
        before: &MemberMetadata,
        now: MemberMetadata,
    ) -> Result<bool, Refusal> {
        let is_known = self.group.members.contains_key(member_id);
        let options = self.out.options.consumer.clone();
        let assignor_before = target::preferred_assignor(self.group, &options);
        let names_changed = before.topics != now.topics;
        let regex_changed = before.regex != now.regex;
        let assignor_may_change = before.assignor != now.assignor;
        if let Some(expression) = now.regex.as_ref().filter(|_| regex_changed) {
            check_regex(expression)?;
        }
        if !is_known || *before != now {
            self.put(ConsumerRecord::Member(member_id.clone(), Some(now)));
        }
        if regex_changed && let Some(old) = &before.regex {
            self.drop_unused_regexes([old.clone()]);
        }
        let topics_matched_changed = self.refresh_regexes();
        let assignor_changed = assignor_may_change
            && target::preferred_assignor(self.group, &options) != assignor_before;
        let bump = names_changed || regex_changed || topics_matched_changed || assignor_changed;
        self.refresh_epoch(bump, "a member or its topics have changed");
        Ok(names_changed || regex_changed)
    }

    /// Resolves regular expressions that are new, or all of them when the cluster has changed since
    /// the last time. Returns whether any names other topics now.
    fn refresh_regexes(&mut self) -> bool {
        let version = self.cluster.version();
        let all = self.group.checked.0 != Some(version);
        let wanted: BTreeSet<Arc<str>> = self
            .group
            .members
            .values()
            .filter_map(|m| m.metadata.regex.clone())
            .filter(|r| all || !self.group.regexes.contains_key(r))
            .collect();
        let mut changed = false;
        for expression in wanted {
            let topics = regex::resolve(&expression, self.cluster);
            let known = self.group.regexes.get(&expression);
            if known.is_some_and(|known| known.topics == topics) {
                continue;
            }
            // One that is new and names nothing makes no difference yet.
            changed |= known.is_some() || !topics.is_empty();
            let resolved = ResolvedRegex {
                topics,
                version,
                timestamp_ms: self.out.now_ms,
            };
            self.put(ConsumerRecord::Regex(expression, Some(resolved)));
        }
        changed
    }

    /// Deletes what these expressions name when no member has them any more.
    pub(super) fn drop_unused_regexes(&mut self, expressions: impl IntoIterator<Item = Arc<str>>) {
        for expression in expressions {
            let known = self.group.regexes.contains_key(&expression);
            if known && self.group.subscribers_of(&expression) == 0 {
                self.put(ConsumerRecord::Regex(expression, None));
            }
        }
    }

    /// Bumps the group epoch if told to, or if the topics that the group reads have changed.
    pub(super) fn refresh_epoch(&mut self, bump: bool, reason: &str) {
        let version = self.cluster.version();
        if !bump && self.group.checked.0 == Some(version) {
            return;
        }
        let metadata_hash = hash::of_topics(&self.group.subscribed_topics(), self.cluster);
        self.group.checked = Checked(Some(version));
        if bump || metadata_hash != self.group.metadata_hash() {
            // 2³¹ changes of one group take longer than anything lasts; a record may say anything.
            let epoch = self.group.epoch().checked_add(1).unwrap_or(1);
            let record = GroupEpoch {
                epoch,
                metadata_hash,
            };
            self.put(ConsumerRecord::Group(Some(record)));
            self.out.notice(Notice::Rebalancing {
                group_id: self.group.id.clone(),
                generation_id: epoch,
                reason: reason.into(),
            });
        }
        if self.group.has_partition_metadata {
            self.put(ConsumerRecord::PartitionMetadata(None));
        }
    }

    /// Computes a new target if one is due.
    pub(super) fn update_target(&mut self) {
        let options = &self.out.options.consumer;
        let own = self.cluster.group_overrides(&self.group.id);
        let interval_ms = options.assignment_interval_ms(own.assignment_interval_ms);
        let now_ms = self.out.now_ms;
        if !target::is_due(self.group, interval_ms, now_ms) {
            return;
        }
        let assignor = target::preferred_assignor(self.group, options);
        for record in target::compute(self.group, self.cluster, assignor, now_ms) {
            self.put(record);
        }
    }

    /// Takes a member one step towards its target.
    pub(super) fn reconcile(
        &mut self,
        member_id: &Arc<str>,
        subscription_changed: bool,
        owned: Option<&Owned>,
    ) -> Result<(), Refusal> {
        let group = &*self.group;
        let Some(member) = group.members.get(member_id) else {
            return Ok(());
        };
        let target_epoch = group.assignment_epoch();
        if !subscription_changed && member.current.is_reconciled_to(target_epoch) {
            return Ok(());
        }
        let nothing = Assignment::new();
        let step = Step {
            group,
            cluster: self.cluster,
            member,
            target: group.targets.get(member_id).map_or(&nothing, |t| t),
            target_epoch,
            subscription_changed,
            owned,
        };
        let next = step.next()?;
        if next == member.current {
            return Ok(());
        }
        self.set_rebalance_timer(member_id, member.clone(), next.state);
        self.put(ConsumerRecord::Current(member_id.clone(), Some(next)));
        Ok(())
    }

    /// A member that has to give partitions up has its rebalance timeout for that. Members of the
    /// classic protocol have other timers.
    fn set_rebalance_timer(
        &mut self,
        member_id: &Arc<str>,
        member: ConsumerMember,
        state: MemberState,
    ) {
        if member.is_classic() {
            return;
        }
        let key = TimerKey::Revocation {
            group: self.group.id.clone(),
            member: member_id.clone(),
        };
        if state == MemberState::UnrevokedPartitions {
            let timeout_ms = i64::from(member.metadata.rebalance_timeout_ms);
            self.out.set_timer(key, timeout_ms);
        } else {
            self.out.timers.cancel(&key);
        }
    }
}

fn check_regex(expression: &str) -> Result<(), Refusal> {
    match regex::compile(expression) {
        Ok(_) => Ok(()),
        Err(reason) => Err(Refusal::new(
            ErrorCode::InvalidRegularExpression,
            format!(
                "SubscribedTopicRegex `{expression}` is not a valid regular expression: {reason}."
            ),
        )),
    }
}
