//! What a person reads of a topic.

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::Round;
use super::found::Found;
use crate::api::{KafkaTopic, KafkaTopicStatus, Reason, TopicDrift, condition};
use crate::conditions::Conditions;
use crate::error::{Asked, Error};

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
    mut status: KafkaTopicStatus,
    is_ready: bool,
    reason: Reason,
    message: String,
) -> Result<(), Error> {
    let generation = round.topic.metadata.generation;
    let mut conditions = Conditions::of(&status.conditions, generation, round.context.now());
    conditions.set(condition::READY, is_ready, reason, message);
    status.conditions = conditions.into_vec();
    status.observed_generation = generation;
    status.topic = Some(round.name.clone());
    let metrics = &round.context.metrics;
    let name = round.topic.name_any();
    metrics.set_resource_ready("KafkaTopic", &round.namespace, &name, Some(is_ready));
    patch(round, &status).await
}

/// Writes a status as it is, if it is another one.
pub(super) async fn patch(round: &Round<'_>, status: &KafkaTopicStatus) -> Result<(), Error> {
    if round.topic.status.as_ref() == Some(status) {
        return Ok(());
    }
    let name = round.topic.name_any();
    let mut value = serde_json::to_value(status).map_err(|source| Error::Json {
        what: format!("the status of KafkaTopic {name}"),
        source,
    })?;
    if let Some(fields) = value.as_object_mut() {
        // What is not set any more has to be named to go away.
        for optional in [
            "topicId",
            "partitions",
            "replicas",
            "setProperties",
            "drift",
        ] {
            fields.entry(optional).or_insert(Value::Null);
        }
    }
    let api: Api<KafkaTopic> = Api::namespaced(round.context.client.clone(), &round.namespace);
    let patch = json!({ "status": value });
    let patched = api
        .patch_status(&name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    match patched {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        patched => patched
            .map(|_| ())
            .when(|| format!("writing the status of KafkaTopic {name}")),
    }
}
