//! Deletion of topics.

use std::collections::{BTreeMap, BTreeSet};

use ottla_model::{ErrorCode, TopicId};

use super::Context;
use crate::command::{DeleteTopicResult, DeleteTopics, Refusal, Reply, TopicSelector};
use crate::image::Image;
use crate::record::{Record, RemoveTopicRecord};

pub(super) fn decide(
    image: &Image,
    command: &DeleteTopics,
    context: &mut Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    if !context.defaults.delete_topic_enable {
        return Err(Refusal::new(
            ErrorCode::TopicDeletionDisabled,
            "Topic deletion is disabled: delete.topic.enable is false.",
        ));
    }
    // Two different selectors may mean the same topic: one by name, one by id. Neither is carried
    // out then, as it may be a mistake, even when the other one is refused already.
    let mut selectors_of: BTreeMap<TopicId, BTreeSet<&TopicSelector>> = BTreeMap::new();
    for selector in &command.topics {
        if let Ok((topic_id, _)) = resolve(image, selector) {
            selectors_of.entry(topic_id).or_default().insert(selector);
        }
    }
    let mut allowance = command.allowance;
    let decided = super::each_once(
        &command.topics,
        |selector| selector,
        "The topic is given more than once.",
        |selector| {
            let (topic_id, name) = resolve(image, selector)?;
            match selectors_of.get(&topic_id) {
                Some(selectors) if selectors.len() > 1 => return Err(same_topic()),
                _ => {}
            }
            let topic = image.topic_by_id(topic_id);
            allowance.take(topic.map_or(0, |topic| topic.partitions.len()))?;
            Ok((topic_id, name))
        },
    );
    let results: Vec<_> = decided
        .into_iter()
        .map(|(selector, outcome)| match outcome {
            Ok((topic_id, name)) => DeleteTopicResult {
                name: Some(name),
                topic_id,
                outcome: Ok(()),
            },
            Err(refusal) => DeleteTopicResult {
                name: selector.name.clone(),
                topic_id: selector.topic_id,
                outcome: Err(refusal),
            },
        })
        .collect();
    let records = results
        .iter()
        .filter(|result| result.outcome.is_ok())
        .map(|result| {
            Record::RemoveTopic(RemoveTopicRecord {
                topic_id: result.topic_id,
            })
        })
        .collect();
    Ok((records, Reply::DeleteTopics(results)))
}

/// The topic that is meant, as id and name.
fn resolve(image: &Image, selector: &TopicSelector) -> Result<(TopicId, String), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    match &selector.name {
        None if selector.topic_id.is_zero() => invalid("Neither topic name nor id is given."),
        Some(_) if !selector.topic_id.is_zero() => invalid("Both topic name and id are given."),
        None => match image.topic_by_id(selector.topic_id) {
            Some(topic) => Ok((topic.id, topic.name.as_str().to_owned())),
            None => {
                let message = format!("There is no topic with the id {}.", selector.topic_id);
                Err(Refusal::new(ErrorCode::UnknownTopicId, message))
            }
        },
        Some(name) => match image.topic(name) {
            Some(topic) => Ok((topic.id, name.clone())),
            None => {
                let message = format!("The topic '{name}' does not exist.");
                Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message))
            }
        },
    }
}

fn same_topic() -> Refusal {
    Refusal::new(
        ErrorCode::InvalidRequest,
        "The topic is given both by name and by id.",
    )
}
