//! Creation of topics.

use std::collections::BTreeMap;

use ottla_model::{BrokerId, ErrorCode, TopicName};

use super::{CLUSTER_METADATA_TOPIC, Context};
use crate::command::{CreateTopicResult, CreateTopics, CreatedTopic, NewTopic, Refusal, Reply};
use crate::image::{Image, Overrides, fold};
use crate::mutations::MutationAllowance;
use crate::placement::place;
use crate::record::{ConfigResource, Record, TopicRecord};

pub(super) fn decide(
    image: &Image,
    command: &CreateTopics,
    context: &mut Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    check_total(command, context)?;
    let mut names = NewNames {
        image,
        folded: BTreeMap::new(),
    };
    let mut allowance = command.allowance;
    let mut records = Vec::new();
    let decided = super::each_once(
        &command.topics,
        |topic| topic.name.as_str(),
        "Duplicate topic name.",
        |topic| {
            let (created, mut new) = create(&mut names, topic, &mut allowance, context)?;
            records.append(&mut new);
            Ok(created)
        },
    );
    let results = decided
        .into_iter()
        .map(|(topic, outcome)| CreateTopicResult {
            name: topic.name.clone(),
            outcome,
        });
    let results = results.collect();
    if command.validate_only {
        records.clear();
    }
    Ok((records, Reply::CreateTopics(results)))
}

/// Refuses a request that would create more partitions than one command may, before any memory is
/// spent on them.
fn check_total(command: &CreateTopics, context: &Context<'_>) -> Result<(), Refusal> {
    let partitions_of = |topic: &NewTopic| -> i64 {
        match topic.num_partitions {
            _ if !topic.assignments.is_empty() => topic.assignments.len() as i64,
            -1 => context.defaults.num_partitions.into(),
            count => count.max(0).into(),
        }
    };
    let total: i64 = command.topics.iter().map(partitions_of).sum();
    super::check_partition_total(total)
}

/// The names that exist, together with those that this request adds.
struct NewNames<'a> {
    image: &'a Image,
    folded: BTreeMap<String, TopicName>,
}

impl NewNames<'_> {
    fn check(&self, name: &str) -> Result<TopicName, Refusal> {
        if name == CLUSTER_METADATA_TOPIC {
            let message = format!("The internal topic {name} cannot be created.");
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        if self.image.topic(name).is_some() {
            let message = format!("The topic '{name}' exists already.");
            return Err(Refusal::new(ErrorCode::TopicAlreadyExists, message));
        }
        let invalid = |message| Refusal::new(ErrorCode::InvalidTopicException, message);
        let checked = TopicName::new(name).map_err(|error| invalid(error.to_string()))?;
        let in_request = fold(name).and_then(|folded| self.folded.get(&folded));
        if let Some(other) = self.image.colliding_topic(name).or(in_request) {
            return Err(invalid(format!(
                "The topic '{name}' collides with '{other}': '.' and '_' are the same in names of \
                 metrics."
            )));
        }
        Ok(checked)
    }

    fn take(&mut self, name: &TopicName) {
        if let Some(folded) = fold(name.as_str()) {
            self.folded.insert(folded, name.clone());
        }
    }
}

fn create(
    names: &mut NewNames<'_>,
    topic: &NewTopic,
    allowance: &mut MutationAllowance,
    context: &mut Context<'_>,
) -> Result<(CreatedTopic, Vec<Record>), Refusal> {
    let name = names.check(&topic.name)?;
    let configs = super::configs::of_new_topic(names.image, &name, &topic.configs, context.rules)?;
    let partitions = if topic.assignments.is_empty() {
        placed(names.image, topic, context)?
    } else {
        assigned(names.image, topic)?
    };
    allowance.take(partitions.len())?;
    names.take(&name);
    records_of(names.image, name, configs, partitions, context)
}

/// The replicas of each partition as the controller places them.
fn placed(
    image: &Image,
    topic: &NewTopic,
    context: &mut Context<'_>,
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let factor = match topic.replication_factor {
        -1 => context.defaults.replication_factor,
        factor => factor,
    };
    let Some(factor) = usize::try_from(factor).ok().filter(|&factor| factor > 0) else {
        return Err(Refusal::new(
            ErrorCode::InvalidReplicationFactor,
            "The replication factor must be above 0, or -1 for the default.",
        ));
    };
    let count = match topic.num_partitions {
        -1 => context.defaults.num_partitions,
        count => count,
    };
    let Some(count) = usize::try_from(count).ok().filter(|&count| count > 0) else {
        return Err(Refusal::new(
            ErrorCode::InvalidPartitions,
            "The number of partitions must be above 0, or -1 for the default.",
        ));
    };
    let seed = super::random_seed(context);
    place(image, count, factor, seed).map_err(|error| super::cannot_place(factor, &error))
}

/// The replicas of each partition as the client chose them.
fn assigned(image: &Image, topic: &NewTopic) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    for (what, is_default) in [
        ("replication factor", topic.replication_factor == -1),
        ("number of partitions", topic.num_partitions == -1),
    ] {
        if !is_default {
            let message = format!("With a manual partition assignment the {what} must be -1.");
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
    }
    let refuse = |message| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    let mut partitions = BTreeMap::new();
    let mut factor = None;
    for assignment in &topic.assignments {
        let partition = assignment.partition;
        if partitions.contains_key(&partition) {
            return refuse(format!(
                "Partition {partition} has more than one manual assignment."
            ));
        }
        super::check_manual_assignment(image, &assignment.broker_ids, factor)?;
        if !assignment.broker_ids.iter().any(|&id| image.is_active(id)) {
            return Err(super::all_fenced(partition));
        }
        factor = Some(assignment.broker_ids.len());
        partitions.insert(partition, assignment.broker_ids.clone());
    }
    if !partitions.keys().copied().eq((0..).take(partitions.len())) {
        return refuse("Partitions must be numbered from 0 without gaps.".to_owned());
    }
    Ok(partitions.into_values().collect())
}

fn records_of(
    image: &Image,
    name: TopicName,
    configs: Overrides,
    partitions: Vec<Vec<BrokerId>>,
    context: &mut Context<'_>,
) -> Result<(CreatedTopic, Vec<Record>), Refusal> {
    let topic_id = super::random_uuid(context);
    let num_partitions = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
    let factor = partitions.first().map_or(0, Vec::len);
    let mut records = Vec::with_capacity(1 + configs.len() + partitions.len());
    records.push(Record::Topic(TopicRecord {
        name: name.clone(),
        topic_id,
    }));
    let resource = ConfigResource::Topic(name);
    for (key, value) in &configs {
        records.push(super::configs::record(&resource, key, Some(value.clone())));
    }
    for (partition, replicas) in (0..).zip(partitions) {
        let record = super::new_partition(image, topic_id, partition, replicas)
            .ok_or_else(|| super::all_fenced(partition))?;
        records.push(Record::Partition(record));
    }
    let created = CreatedTopic {
        topic_id,
        num_partitions,
        replication_factor: i16::try_from(factor).unwrap_or(i16::MAX),
        configs,
    };
    Ok((created, records))
}
