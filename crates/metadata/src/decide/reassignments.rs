//! Moves of partitions to other brokers (KIP-455, KIP-860).
//!
//! ```text
//! [1 2 3] ─ move to [3 4 5] ─▶ replicas 3 4 5 1 2   adding 4 5   removing 1 2
//!                              4 and 5 join the ISR
//!                           ─▶ replicas 3 4 5
//! ```
//!
//! A move that needs nothing to be copied is complete at once.

use ottla_model::{BrokerId, ErrorCode};

use super::Context;
use super::draft::Draft;
use crate::command::{AlterPartitionReassignments, ReassignPartition, ReassignPartitionResult};
use crate::command::{Refusal, Reply};
use crate::image::{Image, PartitionImage, TopicImage};
use crate::record::Record;

pub(super) fn decide(
    image: &Image,
    command: &AlterPartitionReassignments,
    context: &Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    super::check_changes(command.partitions.len())?;
    let mut draft = Draft::new(image, context.defaults);
    let mut results = Vec::with_capacity(command.partitions.len());
    for item in &command.partitions {
        let change_factor = command.allow_replication_factor_change;
        results.push(ReassignPartitionResult {
            topic: item.topic.clone(),
            partition: item.partition,
            outcome: reassign(&mut draft, item, change_factor),
        });
    }
    let reply = Reply::AlterPartitionReassignments(results);
    Ok((draft.into_records(), reply))
}

fn reassign(
    draft: &mut Draft,
    item: &ReassignPartition,
    change_factor: bool,
) -> Result<(), Refusal> {
    let unknown = |message| Refusal::new(ErrorCode::UnknownTopicOrPartition, message);
    let (name, index) = (&item.topic, item.partition);
    let Some(topic) = draft.image().topic(name).cloned() else {
        return Err(unknown(format!("Unable to find a topic named {name}.")));
    };
    let Some(partition) = topic.partition(index) else {
        return Err(unknown(format!("Unable to find partition {name}:{index}.")));
    };
    match &item.replicas {
        None => cancel(draft, &topic, partition, item),
        Some(target) => {
            super::check_manual_assignment(draft.image(), target, None)?;
            if !change_factor {
                check_factor(partition, target)?;
            }
            begin(draft, &topic, partition, item, target)
        }
    }
}

/// The replicas before the reassignment that is under way, if there is one.
fn original(partition: &PartitionImage) -> Vec<BrokerId> {
    without(&partition.replicas, &partition.adding_replicas)
}

fn without(ids: &[BrokerId], others: &[BrokerId]) -> Vec<BrokerId> {
    let stays = |id: &BrokerId| !others.contains(id);
    ids.iter().copied().filter(stays).collect()
}

fn check_factor(partition: &PartitionImage, target: &[BrokerId]) -> Result<(), Refusal> {
    let present = without(&partition.replicas, &partition.removing_replicas).len();
    if present == target.len() {
        return Ok(());
    }
    let message = format!(
        "The replication factor is changed from {present} to {}",
        target.len()
    );
    Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message))
}

/// Begins a reassignment, in place of one that is under way. What that one was adding and this
/// one does not want is dropped at once, unless only it is in sync.
fn begin(
    draft: &mut Draft,
    topic: &TopicImage,
    partition: &PartitionImage,
    item: &ReassignPartition,
    target: &[BrokerId],
) -> Result<(), Refusal> {
    let mut base = original(partition);
    let isr = |base: &[BrokerId]| -> Vec<BrokerId> {
        let held = |id: &BrokerId| base.contains(id) || target.contains(id);
        partition.isr.iter().copied().filter(held).collect()
    };
    let eligible = |base: &[BrokerId]| {
        let held = |id: &&BrokerId| base.contains(id) || target.contains(id);
        partition.elr.iter().any(|id| held(&id))
    };
    if isr(&base).is_empty() && !eligible(&base) {
        base.clone_from(&partition.replicas);
    }
    let adding = without(target, &base);
    let removing = without(&base, target);
    let replicas: Vec<_> = target.iter().chain(&removing).copied().collect();
    let isr = isr(&base);
    draft.change(topic, item.partition, |change| {
        change.isr(isr).replicas(replicas, adding, removing)
    })?;
    Ok(())
}

/// Goes back to the replicas before the reassignment.
fn cancel(
    draft: &mut Draft,
    topic: &TopicImage,
    partition: &PartitionImage,
    item: &ReassignPartition,
) -> Result<(), Refusal> {
    if !partition.is_reassigning() {
        return Err(Refusal::new(
            ErrorCode::NoReassignmentInProgress,
            "No partition reassignment is in progress.",
        ));
    }
    let replicas = original(partition);
    let isr = without(&partition.isr, &partition.adding_replicas);
    let eligible = partition.elr.iter().any(|id| replicas.contains(id));
    let somebody_lives = replicas.iter().any(|id| draft.image().is_active(*id));
    let unclean_allowed = draft.unclean_election_allowed(topic) && somebody_lives;
    if isr.is_empty() && !eligible && !unclean_allowed {
        let message = format!(
            "Unable to revert partition assignment for {}:{} because it would require an unclean \
             leader election.",
            item.topic, item.partition
        );
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    let election = draft.usual_election(topic);
    draft.change(topic, item.partition, |change| {
        change
            .isr(isr)
            .replicas(replicas, Vec::new(), Vec::new())
            .election(election)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests;
