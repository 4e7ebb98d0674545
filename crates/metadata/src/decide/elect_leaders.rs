//! Elections that are asked for (KIP-460), and those that the controller holds by itself.

use std::collections::BTreeMap;

use ottla_model::{BrokerId, ErrorCode, PartitionIndex};

use super::Context;
use super::draft::Draft;
use crate::command::{ElectLeaders, ElectLeadersResult, ElectionKind, Refusal, Reply};
use crate::election::Election;
use crate::image::{Image, PartitionImage};
use crate::record::Record;

/// The most partitions that one round of balancing changes, as in Kafka: the controller has other
/// things to decide in between.
const CHANGES_PER_ROUND: usize = 1_000;

pub(super) fn decide(
    image: &Image,
    command: &ElectLeaders,
    context: &Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    super::check_changes(command.partitions.as_ref().map_or(0, Vec::len))?;
    let mut draft = Draft::new(image, context.defaults);
    let mut results = Vec::new();
    let mut elect = |topic: &str, partition, all: bool| -> Result<(), Refusal> {
        let outcome = elect(&mut draft, topic, partition, command.kind)?;
        let not_needed = matches!(&outcome, Err(r) if r.code == ErrorCode::ElectionNotNeeded);
        if !(all && not_needed) {
            results.push(ElectLeadersResult {
                topic: topic.to_owned(),
                partition,
                outcome,
            });
        }
        Ok(())
    };
    match &command.partitions {
        Some(partitions) => {
            for (topic, partition) in partitions {
                elect(topic, *partition, false)?;
            }
        }
        None => {
            for topic in image.topics() {
                for partition in 0..topic.partition_count() {
                    elect(topic.name.as_str(), partition, true)?;
                }
            }
        }
    }
    Ok((draft.into_records(), Reply::ElectLeaders(results)))
}

fn elect(
    draft: &mut Draft,
    name: &str,
    index: PartitionIndex,
    kind: ElectionKind,
) -> Result<Result<(), Refusal>, Refusal> {
    let refuse = |code, message: String| Ok(Err(Refusal::new(code, message)));
    let topic = draft.image().topic(name).cloned();
    let Some(topic) = topic else {
        let message = format!("No such topic as {name}");
        return refuse(ErrorCode::UnknownTopicOrPartition, message);
    };
    let Some(partition) = topic.partition(index) else {
        let message = format!("No such partition as {name}-{index}");
        return refuse(ErrorCode::UnknownTopicOrPartition, message);
    };
    let (is_needed, election) = match kind {
        ElectionKind::Preferred => (!has_preferred_leader(partition), Election::Preferred),
        ElectionKind::Unclean => (partition.leader.is_none(), Election::Unclean),
    };
    if !is_needed {
        let message = "Leader election not needed for topic partition.".to_owned();
        return refuse(ErrorCode::ElectionNotNeeded, message);
    }
    let changed = draft.change(&topic, index, |change| change.election(election))?;
    match (changed, kind) {
        (Some(_), _) => Ok(Ok(())),
        (None, ElectionKind::Preferred) => refuse(
            ErrorCode::PreferredLeaderNotAvailable,
            "The preferred leader was not available.".to_owned(),
        ),
        (None, ElectionKind::Unclean) => refuse(
            ErrorCode::EligibleLeadersNotAvailable,
            "Eligible topic partition leaders are not available.".to_owned(),
        ),
    }
}

fn has_preferred_leader(partition: &PartitionImage) -> bool {
    partition.leader.is_some() && partition.leader == partition.replicas.first().copied()
}

/// Gives leadership back to the preferred leaders of brokers that lead too little of what they
/// should, and looks for leaders where there is none.
pub(super) fn balance(
    image: &Image,
    context: &Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    let percentage = context.defaults.leader_imbalance_per_broker_percentage;
    let imbalanced = imbalanced_brokers(image, percentage);
    let mut draft = Draft::new(image, context.defaults);
    let mut elected = 0;
    for topic in image.topics() {
        let usual = draft.usual_election(topic);
        for (index, partition) in (0..).zip(&topic.partitions) {
            let preferred = partition.replicas.first();
            let election = match partition.leader {
                None => usual,
                Some(_) if has_preferred_leader(partition) => continue,
                Some(_) if preferred.is_some_and(|id| imbalanced.contains_key(id)) => {
                    Election::Preferred
                }
                Some(_) => continue,
            };
            if elected == CHANGES_PER_ROUND {
                let reply = Reply::BalanceLeaders {
                    elected,
                    more: true,
                };
                return Ok((draft.into_records(), reply));
            }
            let changed = draft.change(topic, index, |change| change.election(election))?;
            elected += usize::from(changed.is_some());
        }
    }
    let more = false;
    Ok((
        draft.into_records(),
        Reply::BalanceLeaders { elected, more },
    ))
}

/// The active brokers of whose partitions more than so many percent are led by others.
fn imbalanced_brokers(image: &Image, percentage: i32) -> BTreeMap<BrokerId, (i64, i64)> {
    let mut brokers: BTreeMap<BrokerId, (i64, i64)> = BTreeMap::new();
    for partition in image.topics().flat_map(|topic| &topic.partitions) {
        if let Some(preferred) = partition.replicas.first() {
            let (all, elsewhere) = brokers.entry(*preferred).or_default();
            *all += 1;
            *elsewhere += i64::from(partition.leader != Some(*preferred));
        }
    }
    brokers.retain(|id, (all, elsewhere)| {
        image.is_active(*id) && *elsewhere * 100 > *all * i64::from(percentage)
    });
    brokers
}

#[cfg(test)]
mod tests;
