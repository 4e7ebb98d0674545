//! What becomes of one partition when its ISR, its replicas or the brokers around it change: who
//! leads it, who is in sync, who is eligible (KIP-966), and whether a reassignment is complete.
//!
//! ```text
//! what is wanted ─▶ reassignment complete? ─▶ ELR ─▶ election ─▶ epochs ─▶ the partition after it
//! ```
//!
//! The leader is the first of the replicas that is acceptable (live, and not on its way out) and
//!
//! 1. in the ISR; else, when nobody is in the ISR,
//! 2. in the ELR; else, where that is allowed,
//! 3. any replica at all (unclean: what only others have is lost). Else there is no leader.
//!
//! The leader epoch grows when the leader changes and when a replica is taken away; the partition
//! epoch grows with every change.

use ottla_model::{BrokerId, Sabotage};

use crate::image::PartitionImage;

/// Who may be elected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Election {
    /// Whoever has all that was committed; a leader that may go on leading does.
    Online,
    /// As `Online`, but the first of the replicas comes before the present leader.
    Preferred,
    /// As `Online`; when nobody has all that was committed, any replica.
    Unclean,
}

/// A broker whose copies may lack records that it has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lossy {
    /// The broker.
    pub(crate) broker: BrokerId,
    /// Whether its copies are all gone, for it has another volume now. Else they may lack what was
    /// written last: good enough where nobody has more.
    pub(crate) all_gone: bool,
}

/// What holds for the partition besides itself.
pub(crate) struct Surroundings<'a> {
    /// Whether a broker may lead.
    pub(crate) acceptable: &'a dyn Fn(BrokerId) -> bool,
    /// `min.insync.replicas` of the topic.
    pub(crate) min_insync_replicas: usize,
    /// Whether eligible replicas are remembered (`eligible.leader.replicas.version`).
    pub(crate) elr_enabled: bool,
}

/// A change of a partition in the making.
pub(crate) struct PartitionChange<'a> {
    old: &'a PartitionImage,
    around: &'a Surroundings<'a>,
    /// What is wanted; the epochs and the leader are those before the change.
    new: PartitionImage,
    election: Election,
    lossy: Option<Lossy>,
    unacceptable: Option<BrokerId>,
}

impl<'a> PartitionChange<'a> {
    pub(crate) fn of(old: &'a PartitionImage, around: &'a Surroundings<'a>) -> Self {
        PartitionChange {
            old,
            around,
            new: old.clone(),
            election: Election::Online,
            lossy: None,
            unacceptable: None,
        }
    }

    pub(crate) fn election(mut self, election: Election) -> Self {
        self.election = election;
        self
    }

    pub(crate) fn isr(mut self, isr: Vec<BrokerId>) -> Self {
        self.new.isr = isr;
        self
    }

    /// Takes a broker out of the ISR; it may stay eligible.
    pub(crate) fn without(mut self, broker: BrokerId) -> Self {
        self.new.isr.retain(|id| *id != broker);
        self
    }

    /// Takes a broker out of the ISR and the ELR, for it may lack records.
    pub(crate) fn lossy(mut self, lossy: Lossy) -> Self {
        self.lossy = Some(lossy);
        self.unacceptable(lossy.broker).without(lossy.broker)
    }

    /// Does not let a broker lead, though it looks active: it is about to become something else.
    pub(crate) fn unacceptable(mut self, broker: BrokerId) -> Self {
        self.unacceptable = Some(broker);
        self
    }

    pub(crate) fn recovering(mut self, recovering: bool) -> Self {
        self.new.recovering = recovering;
        self
    }

    pub(crate) fn replicas(
        mut self,
        replicas: Vec<BrokerId>,
        adding: Vec<BrokerId>,
        removing: Vec<BrokerId>,
    ) -> Self {
        self.new.replicas = replicas;
        self.new.adding_replicas = adding;
        self.new.removing_replicas = removing;
        self
    }

    /// The partition after the change; none when nothing changes.
    pub(crate) fn build(mut self) -> Option<PartitionImage> {
        self.complete_reassignment();
        self.update_eligible();
        let elected = self.elect();
        self.install(elected);
        self.remember_last_leader();
        let keeps_replicas = contains_all(&self.new.replicas, &self.old.replicas);
        if self.new.leader != self.old.leader || !keeps_replicas {
            let grows = !Sabotage::KeepsLeaderEpoch.is_on();
            self.new.leader_epoch = self.old.leader_epoch.saturating_add(i32::from(grows));
        }
        if self.new == *self.old {
            return None;
        }
        self.new.partition_epoch = self.old.partition_epoch.saturating_add(1);
        Some(self.new)
    }

    /// Ends a reassignment once the brokers that it is for have everything (KIP-455).
    fn complete_reassignment(&mut self) {
        let new = &mut self.new;
        if !new.is_reassigning() {
            return;
        }
        let stays = |id: &BrokerId| !new.removing_replicas.contains(id);
        let isr: Vec<_> = new.isr.iter().copied().filter(stays).collect();
        let replicas: Vec<_> = new.replicas.iter().copied().filter(stays).collect();
        let nobody_left = isr.is_empty() || replicas.is_empty();
        if nobody_left || !contains_all(&isr, &new.adding_replicas) {
            return;
        }
        // With fewer replicas in the end, ending early could leave fewer in sync than there were.
        let shrinks = new.adding_replicas.len() < new.removing_replicas.len();
        if shrinks && !contains_all(&isr, &replicas) {
            return;
        }
        new.isr = isr;
        new.replicas = replicas;
        new.adding_replicas.clear();
        new.removing_replicas.clear();
    }

    /// Whom the partition had in sync or eligible and still has as a replica, in the order of the
    /// replicas, so that the same change gives the same record. `lossy` ones are not among them,
    /// unless nobody else is and they have kept something.
    fn had_everything(&self) -> Vec<BrokerId> {
        let (old, new) = (self.old, &self.new);
        let had = |id: &BrokerId| old.isr.contains(id) || old.elr.contains(id);
        let all = || new.replicas.iter().copied().filter(had);
        let Some(lossy) = self.lossy else {
            return all().collect();
        };
        let sound: Vec<_> = all().filter(|id| *id != lossy.broker).collect();
        if sound.is_empty() && !lossy.all_gone {
            return all().collect();
        }
        sound
    }

    /// Who leaves an ISR that is too small to commit anything stays eligible: nothing is committed
    /// without it. With an ISR that is large enough, records are committed that others lack.
    fn update_eligible(&mut self) {
        let had_everything = self.had_everything();
        let new = &mut self.new;
        if !self.around.elr_enabled {
            new.elr.clear();
            // The ISR alone remembers who had everything: its last members stay in it.
            if new.isr.is_empty() {
                new.isr = had_everything;
            }
            return;
        }
        new.elr = had_everything;
        new.elr.retain(|id| !new.isr.contains(id));
        self.forget_eligible();
    }

    /// Where an ISR is large enough to commit something, nobody outside it has everything for long.
    fn forget_eligible(&mut self) {
        let new = &mut self.new;
        if new.isr.len() >= self.around.min_insync_replicas.min(new.replicas.len()) {
            new.elr.clear();
        }
    }

    /// The leader, and whether its election is unclean.
    fn elect(&self) -> (Option<BrokerId>, bool) {
        let new = &self.new;
        let has_everything = |id: BrokerId| {
            let had = new.isr.contains(&id) || new.isr.is_empty() && new.elr.contains(&id);
            (had || Sabotage::ElectsOutsideIsr.is_on()) && self.is_acceptable(id)
        };
        let replicas = || new.replicas.iter().copied();
        let preferred = replicas().next().filter(|&id| has_everything(id));
        if self.election == Election::Preferred && preferred.is_some() {
            return (preferred, false);
        }
        let present = self.old.leader.filter(|&id| has_everything(id));
        if let Some(leader) = present.or_else(|| replicas().find(|&id| has_everything(id))) {
            return (Some(leader), false);
        }
        if self.election == Election::Unclean {
            // Whoever led last is known to have lost what it had when nobody is eligible: others
            // come first.
            let last = |id: &BrokerId| new.last_known_elr.contains(id);
            let any = || replicas().filter(|&id| self.is_acceptable(id));
            let leader = any().find(|id| !last(id)).or_else(|| any().next());
            return (leader, leader.is_some());
        }
        (None, false)
    }

    fn is_acceptable(&self, id: BrokerId) -> bool {
        self.unacceptable != Some(id) && (self.around.acceptable)(id)
    }

    fn install(&mut self, (leader, unclean): (Option<BrokerId>, bool)) {
        let new = &mut self.new;
        new.leader = leader;
        let Some(leader) = leader else {
            return;
        };
        if unclean {
            new.isr = vec![leader];
            new.elr.clear();
            new.recovering = true;
        } else if !new.isr.contains(&leader) {
            new.isr = vec![leader];
            new.elr.retain(|id| *id != leader);
            // The minimum may have become smaller while nobody led.
            self.forget_eligible();
        }
    }

    fn remember_last_leader(&mut self) {
        let new = &mut self.new;
        match (new.leader, self.old.leader) {
            (Some(_), _) => new.last_known_elr.clear(),
            (None, Some(last)) if self.around.elr_enabled => new.last_known_elr = vec![last],
            (None, _) => {}
        }
    }
}

pub(crate) fn contains_all(list: &[BrokerId], ids: &[BrokerId]) -> bool {
    ids.iter().all(|id| list.contains(id))
}

#[cfg(test)]
mod tests;
