//! What a person reads of a topic.

use kube::ResourceExt;

use super::Round;
use super::found::Found;
use crate::api::{KafkaTopicStatus, Reason, TopicDrift, condition};
use crate::conditions::Conditions;
use crate::error::Error;
use crate::status;

/// What was found; conditions are those from before.
pub(super) fn of(round: &Round<'_>, found: &Found, drift: Vec<TopicDrift>) -> KafkaTopicStatus {
    KafkaTopicStatus {
        conditions: round.before.conditions.clone(),
        observed_generation: round.before.observed_generation,
        topic: Some(round.name.clone()),
        topic_id: found.id.clone(),
        partitions: i32::try_from(found.partitions.len()).ok(),
        replicas: i32::try_from(found.replicas()).ok(),
        set_properties: round.before.set_properties.clone(),
        drift,
    }
}

/// Writes a status with its condition, if it is another one.
pub(super) async fn write(
    round: &Round<'_>,
    mut now: KafkaTopicStatus,
    is_ready: bool,
    reason: Reason,
    message: String,
) -> Result<(), Error> {
    let generation = round.topic.metadata.generation;
    let mut conditions = Conditions::of(&now.conditions, generation, round.context.now());
    conditions.set(condition::READY, is_ready, reason, message);
    now.conditions = conditions.into_vec();
    now.observed_generation = generation;
    now.topic = Some(round.name.clone());
    let metrics = &round.context.metrics;
    let name = round.topic.name_any();
    metrics.set_resource_ready("KafkaTopic", &round.namespace, &name, Some(is_ready));
    status::write(round.context, round.topic, &now).await
}
