//! Changes of ISRs that the leaders of partitions ask for (KIP-497, KIP-704, KIP-903).

use ottla_model::{BrokerId, ErrorCode, Sabotage};

use super::Context;
use super::draft::Draft;
use crate::command::{AlterPartition, AlterPartitionItem, AlterPartitionResult, IsrMember};
use crate::command::{PartitionState, Refusal, Reply};
use crate::image::{Image, PartitionImage};
use crate::record::Record;

pub(super) fn decide(
    image: &Image,
    command: &AlterPartition,
    context: &Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    super::brokers::check_epoch(image, command.broker_id, command.broker_epoch)?;
    let mut draft = Draft::new(image, context.defaults);
    let mut results = Vec::with_capacity(command.partitions.len());
    for item in &command.partitions {
        results.push(AlterPartitionResult {
            topic_id: item.topic_id,
            partition: item.partition,
            outcome: alter(&mut draft, command.broker_id, item)?,
        });
    }
    Ok((draft.into_records(), Reply::AlterPartition(results)))
}

fn alter(
    draft: &mut Draft,
    broker_id: BrokerId,
    item: &AlterPartitionItem,
) -> Result<Result<PartitionState, ErrorCode>, Refusal> {
    let Some(topic) = draft.image().topic_by_id(item.topic_id).cloned() else {
        return Ok(Err(ErrorCode::UnknownTopicId));
    };
    let Some(old) = topic.partition(item.partition) else {
        return Ok(Err(ErrorCode::UnknownTopicOrPartition));
    };
    if let Err(code) = check(draft.image(), broker_id, old, item) {
        return Ok(Err(code));
    }
    let election = draft.usual_election(&topic);
    let isr = item.new_isr.iter().map(|member| member.broker_id);
    let changed = draft.change(&topic, item.partition, |change| {
        change
            .isr(isr.collect())
            .recovering(item.recovering)
            .election(election)
    })?;
    let new = changed.as_ref().unwrap_or(old);
    // The ISR may complete a reassignment that takes the leader away: the change has happened, and
    // the broker that asked has to learn from the metadata what it is now.
    if new.leader != Some(broker_id) {
        return Ok(Err(ErrorCode::NewLeaderElected));
    }
    Ok(Ok(PartitionState {
        leader: new.leader,
        leader_epoch: new.leader_epoch,
        isr: new.isr.clone(),
        recovering: new.recovering,
        partition_epoch: new.partition_epoch,
    }))
}

fn check(
    image: &Image,
    broker_id: BrokerId,
    partition: &PartitionImage,
    item: &AlterPartitionItem,
) -> Result<(), ErrorCode> {
    if Sabotage::ListensToZombies.is_on() {
        return Ok(());
    }
    // The leader knows more than we do, so that somebody else decides by now.
    if item.leader_epoch > partition.leader_epoch
        || item.partition_epoch > partition.partition_epoch
    {
        return Err(ErrorCode::NotController);
    }
    if item.leader_epoch < partition.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if partition.leader != Some(broker_id) {
        return Err(ErrorCode::InvalidRequest);
    }
    if item.partition_epoch < partition.partition_epoch {
        return Err(ErrorCode::InvalidUpdateVersion);
    }
    let isr = || item.new_isr.iter().map(|member| member.broker_id);
    let distinct: std::collections::BTreeSet<_> = isr().collect();
    let is_valid = distinct.len() == item.new_isr.len()
        && isr().all(|id| partition.replicas.contains(&id))
        && distinct.contains(&broker_id);
    let recovers_with_others = item.recovering && item.new_isr.len() > 1;
    let recovers_again = item.recovering && !partition.recovering;
    if !is_valid || recovers_with_others || recovers_again {
        return Err(ErrorCode::InvalidRequest);
    }
    if !item
        .new_isr
        .iter()
        .all(|member| is_eligible(image, *member))
    {
        return Err(ErrorCode::IneligibleReplica);
    }
    Ok(())
}

/// Whether the broker may be in an ISR, and is still in the registration in which the leader saw
/// it: a restarted one may have lost what it had.
fn is_eligible(image: &Image, member: IsrMember) -> bool {
    let same_run = |epoch| member.broker_epoch == -1 || member.broker_epoch == epoch;
    image.is_active(member.broker_id)
        && image
            .broker(member.broker_id)
            .is_some_and(|broker| same_run(broker.epoch))
}

#[cfg(test)]
mod tests;
