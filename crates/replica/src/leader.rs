//! A leader's view of its followers.
//!
//! ```text
//!              ┌──────────── accepted ────────────┐
//!              ▼                                  │
//!   committed in-sync replicas ── propose ─▶ proposed ── refused ─▶ wait for the controller's word
//! ```
//!
//! At most one proposal is under way. While it is, a replica that it adds counts already, and one
//! that it takes out counts still (KIP-497).

use std::collections::BTreeMap;

use ottla_model::{BrokerId, LeaderEpoch, Offset, Sabotage};

/// The offset of a follower that has not fetched yet.
pub const UNKNOWN_OFFSET: Offset = -1;

/// What the controller says of the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The leader's term.
    pub leader_epoch: LeaderEpoch,
    /// Counts the changes of the partition.
    pub partition_epoch: i32,
    /// All replicas.
    pub replicas: Vec<BrokerId>,
    /// Those in sync.
    pub isr: Vec<BrokerId>,
    /// Whether the leader was elected uncleanly and has not said yet that it has recovered
    /// (KIP-704). There is nothing to do for it here but to say so, with the next proposal.
    pub recovering: bool,
}

/// A replica in sync, in the registration in which it was seen to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InSync {
    /// The broker.
    pub broker_id: BrokerId,
    /// Its registration, -1 when it is not known: the controller refuses an outdated one (KIP-903).
    pub broker_epoch: i64,
}

/// What the leader asks the controller for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The leader's term.
    pub leader_epoch: LeaderEpoch,
    /// The state of the partition that the proposal changes.
    pub partition_epoch: i32,
    /// Who shall be in sync, the leader included.
    pub isr: Vec<InSync>,
}

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalOutcome {
    /// The controller's next word comes: it has accepted, or has another state already. Until then
    /// those who were proposed count: nobody knows better.
    Decided,
    /// The controller has certainly not taken it, for example because a replica is fenced.
    NotTaken,
    /// Nothing is known: the same is asked again.
    Unknown,
}

/// One follower, as its fetches show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follower {
    /// It has everything before this offset on disk.
    pub log_end: Offset,
    /// Its log's first offset.
    pub log_start: Offset,
    /// Its registration when it last fetched.
    pub broker_epoch: i64,
    /// When it last had everything.
    pub caught_up_ms: i64,
    /// When it last fetched, and where the leader's log ended then.
    last_fetch: Option<(i64, Offset)>,
}

/// The leader's state of one partition in one term.
#[derive(Debug, Clone)]
pub struct LeaderState {
    me: InSync,
    membership: Membership,
    /// Where this term begins in the log.
    epoch_start: Offset,
    followers: BTreeMap<BrokerId, Follower>,
    proposed: Option<Proposed>,
}

/// What was proposed and is not answered by a newer state yet.
#[derive(Debug, Clone)]
struct Proposed {
    proposal: Proposal,
    /// Whether it must be asked for again.
    again: bool,
}

impl LeaderState {
    /// The state at the beginning of a term. Followers in sync count as caught up now: they get
    /// their time before they are taken out.
    #[must_use]
    pub fn new(me: InSync, membership: Membership, epoch_start: Offset, now_ms: i64) -> Self {
        let mut state = LeaderState {
            me,
            membership,
            epoch_start,
            followers: BTreeMap::new(),
            proposed: None,
        };
        state.meet_followers(now_ms);
        state
    }

    /// The leader's term.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.membership.leader_epoch
    }

    /// Where this term begins in the log; `Offset::MAX` while it is not known.
    #[must_use]
    pub fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    /// Who is in sync, as the controller says.
    #[must_use]
    pub fn isr(&self) -> &[BrokerId] {
        &self.membership.isr
    }

    /// The followers, as their fetches show them.
    pub fn followers(&self) -> impl Iterator<Item = (BrokerId, &Follower)> {
        self.followers.iter().map(|(id, follower)| (*id, follower))
    }

    /// How many replicas must have a record before it counts as committed; those that are proposed
    /// to leave count.
    #[must_use]
    pub fn in_sync_count(&self) -> usize {
        self.membership.isr.len()
    }

    fn meet_followers(&mut self, now_ms: i64) {
        let me = self.me.broker_id;
        let replicas = &self.membership.replicas;
        self.followers.retain(|id, _| replicas.contains(id));
        for id in replicas.iter().filter(|id| **id != me) {
            self.followers.entry(*id).or_insert(Follower {
                log_end: UNKNOWN_OFFSET,
                log_start: UNKNOWN_OFFSET,
                broker_epoch: -1,
                caught_up_ms: now_ms,
                last_fetch: None,
            });
        }
    }

    /// Takes over the controller's newer word of the same term; `false` when it is not newer.
    pub fn update(&mut self, membership: Membership, now_ms: i64) -> bool {
        if membership.leader_epoch != self.membership.leader_epoch
            || membership.partition_epoch <= self.membership.partition_epoch
        {
            return false;
        }
        self.membership = membership;
        self.proposed = None;
        self.meet_followers(now_ms);
        true
    }

    /// Says where this term begins in the log. `Offset::MAX` in [`LeaderState::new`] keeps everybody
    /// from joining until this is known.
    pub fn set_epoch_start(&mut self, epoch_start: Offset) {
        self.epoch_start = epoch_start;
    }

    /// Takes note of a fetch: the follower has everything before `fetch_offset`. `leader_end` is
    /// where the leader's log ends. `false` when it is no replica.
    pub fn fetched(
        &mut self,
        broker_id: BrokerId,
        broker_epoch: i64,
        fetch_offset: Offset,
        log_start: Offset,
        leader_end: Offset,
        now_ms: i64,
    ) -> bool {
        let Some(follower) = self.followers.get_mut(&broker_id) else {
            return false;
        };
        if broker_epoch != -1 && broker_epoch < follower.broker_epoch {
            // Its earlier life speaks.
            return true;
        }
        if fetch_offset >= leader_end {
            follower.caught_up_ms = now_ms;
        } else if let Some((at_ms, end)) = follower.last_fetch
            && fetch_offset >= end
        {
            follower.caught_up_ms = follower.caught_up_ms.max(at_ms);
        }
        follower.log_end = fetch_offset;
        follower.log_start = log_start;
        follower.broker_epoch = broker_epoch;
        follower.last_fetch = Some((now_ms, leader_end));
        true
    }

    /// What all others that count have: the high watermark may not go beyond. `Offset::MAX` when the
    /// leader is alone in sync; `None` while too few are, so that nothing more is committed
    /// (KIP-966).
    #[must_use]
    pub fn replicated_offset(&self, min_isr: usize) -> Option<Offset> {
        let needed = min_isr.min(self.membership.replicas.len());
        if self.in_sync_count() < needed {
            return None;
        }
        let proposed = self.proposed.iter().flat_map(|p| &p.proposal.isr);
        let proposed: Vec<_> = proposed.map(|member| member.broker_id).collect();
        let is_dropped = |id: &BrokerId| {
            let without = !proposed.is_empty() && !proposed.contains(id);
            without && Sabotage::CountsProposed.is_on()
        };
        let isr = self.membership.isr.iter().copied();
        let counted = isr.filter(|id| !is_dropped(id)).chain(proposed.clone());
        let others = counted.filter(|id| *id != self.me.broker_id);
        let ends = others.map(|id| {
            let follower = self.followers.get(&id);
            follower.map_or(UNKNOWN_OFFSET, |f| f.log_end)
        });
        let replicated = match Sabotage::CountsFastest.is_on() {
            true => ends.max(),
            false => ends.min(),
        };
        Some(replicated.unwrap_or(Offset::MAX))
    }

    /// The log start that all live replicas have: the low watermark of DeleteRecords (KIP-107).
    #[must_use]
    pub fn low_watermark(
        &self,
        own_log_start: Offset,
        is_live: impl Fn(BrokerId) -> bool,
    ) -> Offset {
        let live = self.followers.iter().filter(|(id, _)| is_live(**id));
        let starts = live.map(|(_, follower)| follower.log_start);
        starts.min().unwrap_or(own_log_start).min(own_log_start)
    }

    /// Who should be in sync by now, when that is somebody else than who is, and no proposal is
    /// under way. `may_join` says which brokers are live and not leaving, with their registration.
    #[must_use]
    pub fn propose(
        &mut self,
        high_watermark: Offset,
        leader_end: Offset,
        now_ms: i64,
        lag_max_ms: i64,
        may_join: impl Fn(BrokerId, i64) -> bool,
    ) -> Option<Proposal> {
        if let Some(proposed) = &mut self.proposed {
            return std::mem::take(&mut proposed.again).then(|| proposed.proposal.clone());
        }
        let mut changed = self.membership.recovering;
        let mut isr = vec![self.me];
        for (id, follower) in &self.followers {
            let is_in_sync = self.membership.isr.contains(id);
            let stays = if is_in_sync {
                let silent_ms = now_ms - follower.caught_up_ms;
                follower.log_end == leader_end || silent_ms <= lag_max_ms
            } else {
                follower.log_end >= high_watermark.max(self.epoch_start)
                    && may_join(*id, follower.broker_epoch)
            };
            changed |= stays != is_in_sync;
            if stays {
                isr.push(InSync {
                    broker_id: *id,
                    broker_epoch: follower.broker_epoch,
                });
            }
        }
        if !changed {
            return None;
        }
        let proposal = Proposal {
            leader_epoch: self.membership.leader_epoch,
            partition_epoch: self.membership.partition_epoch,
            isr,
        };
        self.proposed = Some(Proposed {
            proposal: proposal.clone(),
            again: false,
        });
        Some(proposal)
    }

    /// Takes note of what became of a proposal.
    pub fn answered(&mut self, partition_epoch: i32, outcome: ProposalOutcome) {
        if partition_epoch != self.membership.partition_epoch {
            // The controller's newer word has come already.
            return;
        }
        match outcome {
            ProposalOutcome::Decided => {}
            ProposalOutcome::NotTaken => self.proposed = None,
            ProposalOutcome::Unknown => {
                if let Some(proposed) = &mut self.proposed {
                    proposed.again = true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
