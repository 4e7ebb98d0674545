//! Deletion of topics.

use std::collections::{BTreeMap, BTreeSet};

use ottla_model::{ErrorCode, TopicId, Uuid};

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
    let twice = Twice::of(command);
    let mut answered: BTreeSet<(Option<&str>, TopicId)> = BTreeSet::new();
    // What the records will delete, with the place of its result.
    let mut deleted: BTreeMap<TopicId, usize> = BTreeMap::new();
    let mut results = Vec::with_capacity(command.topics.len());
    for selector in &command.topics {
        let key = (selector.name.as_deref(), selector.topic_id);
        let outcome = match resolve(image, selector, &twice) {
            // A topic that is named twice is answered once.
            Err(_) if twice.contains(selector) && !answered.insert(key) => continue,
            Err(refusal) => Err(refusal),
            Ok((topic_id, name)) => {
                let at = results.len();
                if let Some(earlier) = deleted.insert(topic_id, at) {
                    refuse_both(&mut results, earlier);
                    Err(same_topic())
                } else {
                    results.push(DeleteTopicResult {
                        name: Some(name),
                        topic_id,
                        outcome: Ok(()),
                    });
                    continue;
                }
            }
        };
        results.push(DeleteTopicResult {
            name: selector.name.clone(),
            topic_id: selector.topic_id,
            outcome,
        });
    }
    let mut allowance = command.allowance;
    for result in results.iter_mut().filter(|result| result.outcome.is_ok()) {
        let topic = image.topic_by_id(result.topic_id);
        result.outcome = allowance.take(topic.map_or(0, |topic| topic.partitions.len()));
    }
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
fn resolve(
    image: &Image,
    selector: &TopicSelector,
    twice: &Twice<'_>,
) -> Result<(TopicId, String), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    match &selector.name {
        None if selector.topic_id.is_zero() => invalid("Neither topic name nor id is given."),
        Some(_) if !selector.topic_id.is_zero() => invalid("Both topic name and id are given."),
        None if twice.contains(selector) => invalid("Duplicate topic id."),
        Some(_) if twice.contains(selector) => invalid("Duplicate topic name."),
        None => match image.topic_by_id(selector.topic_id) {
            Some(topic) => Ok((topic.id, topic.name.as_str().to_owned())),
            None => {
                let message = format!("There is no topic with the id {}.", selector.topic_id);
                Err(Refusal::new(ErrorCode::UnknownTopicId, message))
            }
        },
        Some(name) => match image.topic(name) {
            // The id was refused as doubled; its name does not overrule that.
            Some(topic) if twice.ids.contains(&topic.id) => Err(same_topic()),
            Some(topic) => Ok((topic.id, name.clone())),
            None => {
                let message = format!("The topic '{name}' does not exist.");
                Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message))
            }
        },
    }
}

/// The same topic was selected by name and by id: neither is carried out, as it may be a mistake.
fn refuse_both(results: &mut [DeleteTopicResult], earlier: usize) {
    if let Some(result) = results.get_mut(earlier) {
        result.outcome = Err(same_topic());
    }
}

fn same_topic() -> Refusal {
    Refusal::new(
        ErrorCode::InvalidRequest,
        "The topic is given both by name and by id.",
    )
}

/// The names and ids that a request gives more than once.
struct Twice<'a> {
    names: BTreeSet<&'a str>,
    ids: BTreeSet<&'a Uuid>,
}

impl<'a> Twice<'a> {
    fn of(command: &'a DeleteTopics) -> Self {
        let names = command.topics.iter().filter(|t| t.topic_id.is_zero());
        let ids = command
            .topics
            .iter()
            .filter(|t| t.name.is_none() && !t.topic_id.is_zero());
        Twice {
            names: super::duplicates(names.filter_map(|t| t.name.as_deref())),
            ids: super::duplicates(ids.map(|t| &t.topic_id)),
        }
    }

    fn contains(&self, selector: &TopicSelector) -> bool {
        match &selector.name {
            Some(name) => selector.topic_id.is_zero() && self.names.contains(name.as_str()),
            None => self.ids.contains(&selector.topic_id),
        }
    }
}
