//! Growth of topics.

use ottla_model::{BrokerId, ErrorCode};

use super::Context;
use crate::command::{CreatePartitions, CreatePartitionsResult, NewPartitions, Refusal, Reply};
use crate::image::{Image, TopicImage};
use crate::mutations::MutationAllowance;
use crate::placement::place;
use crate::record::Record;

pub(super) fn decide(
    image: &Image,
    command: &CreatePartitions,
    context: &mut Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    check_total(image, command)?;
    let mut allowance = command.allowance;
    let mut records = Vec::new();
    let decided = super::each_once(
        &command.topics,
        |topic| topic.name.as_str(),
        "Duplicate topic name.",
        |topic| grow(image, topic, &mut allowance, context).map(|mut new| records.append(&mut new)),
    );
    let results = decided
        .into_iter()
        .map(|(topic, outcome)| CreatePartitionsResult {
            name: topic.name.clone(),
            outcome,
        });
    let results = results.collect();
    if command.validate_only {
        records.clear();
    }
    Ok((records, Reply::CreatePartitions(results)))
}

fn check_total(image: &Image, command: &CreatePartitions) -> Result<(), Refusal> {
    let added = |topic: &NewPartitions| -> i64 {
        let existing = image.topic(&topic.name).map(|t| t.partition_count());
        existing.map_or(0, |existing| {
            (i64::from(topic.count) - i64::from(existing)).max(0)
        })
    };
    super::check_partition_total(command.topics.iter().map(added).sum())
}

fn grow(
    image: &Image,
    wanted: &NewPartitions,
    allowance: &mut MutationAllowance,
    context: &mut Context<'_>,
) -> Result<Vec<Record>, Refusal> {
    let name = &wanted.name;
    let Some(topic) = image.topic(name) else {
        let message = format!("The topic '{name}' does not exist.");
        return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
    };
    let existing = topic.partition_count();
    if wanted.count <= existing {
        let message = if wanted.count == existing {
            format!("The topic '{name}' has {existing} partition(s) already.")
        } else {
            format!(
                "The topic '{name}' has {existing} partition(s); {} would not be more.",
                wanted.count
            )
        };
        return Err(Refusal::new(ErrorCode::InvalidPartitions, message));
    }
    let added = usize::try_from(wanted.count - existing).unwrap_or(0);
    let replicas = match &wanted.assignments {
        Some(assignments) => assigned(image, topic, added, assignments)?,
        None => placed(image, topic, added, context)?,
    };
    allowance.take(added)?;
    (existing..)
        .zip(replicas)
        .map(|(partition, replicas)| {
            super::new_partition(image, topic.id, partition, replicas)
                .map(Record::Partition)
                .ok_or_else(|| super::all_fenced(partition))
        })
        .collect()
}

fn placed(
    image: &Image,
    topic: &TopicImage,
    added: usize,
    context: &mut Context<'_>,
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let factor = factor_of(topic).unwrap_or(1);
    let seed = super::random_seed(context);
    place(image, added, factor, seed).map_err(|error| super::cannot_place(factor, &error))
}

fn assigned(
    image: &Image,
    topic: &TopicImage,
    added: usize,
    assignments: &[Vec<BrokerId>],
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    if assignments.len() != added {
        let message = format!(
            "{added} partition(s) would be added, but {} are assigned manually.",
            assignments.len()
        );
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    for broker_ids in assignments {
        super::check_manual_assignment(image, broker_ids, factor_of(topic))?;
    }
    Ok(assignments.to_vec())
}

/// The replication factor of the topic's first partition; new ones get the same.
fn factor_of(topic: &TopicImage) -> Option<usize> {
    topic
        .partitions
        .first()
        .map(|partition| partition.replicas.len())
}
