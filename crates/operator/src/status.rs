//! Statuses of all kinds: written when they are other ones, and why a resource is left alone.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::Patch;
use kube::core::object::HasStatus;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::api::{KafkaClusterStatus, KafkaTopicStatus, KeeperEnsembleStatus, Reason, condition};
use crate::conditions::{Conditions, is_so};
use crate::context::{Context, patching};
use crate::error::{Asked, Error};
use crate::progress::{Progress, QUIET};
use crate::validate::Findings;

/// A status with conditions, of a generation.
pub(crate) trait Told: Clone + Default + PartialEq + Serialize {
    fn conditions(&mut self) -> (&mut Vec<Condition>, &mut Option<i64>);
}

macro_rules! told {
    ($($status:ty),*) => {$(
        impl Told for $status {
            fn conditions(&mut self) -> (&mut Vec<Condition>, &mut Option<i64>) {
                (&mut self.conditions, &mut self.observed_generation)
            }
        }
    )*};
}

told!(KafkaClusterStatus, KeeperEnsembleStatus, KafkaTopicStatus);

/// A resource of ours.
pub(crate) trait Ours:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Told>
    + Clone
    + Debug
    + DeserializeOwned
{
}

impl<K> Ours for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + HasStatus<Status: Told>
        + Clone
        + Debug
        + DeserializeOwned
{
}

/// Writes what differs in a status from the one that the resource has. Nothing else: what was known of
/// the resource may be older than what was written in between.
pub(crate) async fn write<K: Ours>(
    context: &Context,
    resource: &K,
    status: &K::Status,
) -> Result<(), Error> {
    if resource.status() == Some(status) {
        return Ok(());
    }
    let what = || format!("the status of {} {}", K::kind(&()), resource.name_any());
    let fields = |status: &K::Status| -> Result<Map<String, Value>, Error> {
        let value = serde_json::to_value(status).and_then(serde_json::from_value);
        value.map_err(|source| Error::Json {
            what: what(),
            source,
        })
    };
    let now = fields(status)?;
    let before = resource.status().map(fields).transpose()?;
    let before = before.unwrap_or_default();
    // What is not set any more has to be named to go away.
    let gone = before.keys().filter(|field| !now.contains_key(*field));
    let mut changes: Map<String, Value> = gone.map(|field| (field.clone(), Value::Null)).collect();
    let differs = |field: &String, value: &Value| before.get(field) != Some(value);
    changes.extend(
        now.into_iter()
            .filter(|(field, value)| differs(field, value)),
    );
    patch(context, resource, Value::Object(changes)).await
}

/// Writes some fields of a status. A resource that is gone needs none.
pub(crate) async fn patch<K: Ours>(
    context: &Context,
    resource: &K,
    status: Value,
) -> Result<(), Error> {
    let (name, namespace) = (resource.name_any(), resource.namespace());
    let api: Api<K> = Api::namespaced(context.client.clone(), &namespace.unwrap_or_default());
    let patch = json!({ "status": status });
    let patched = api
        .patch_status(&name, &patching(), &Patch::Merge(patch))
        .await;
    match patched {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        patched => patched
            .map(|_| ())
            .when(|| format!("writing the status of {} {name}", K::kind(&()))),
    }
}

/// Writes the status that a reconciliation has come to, and tells people when all is well.
pub(crate) async fn conclude<K: Ours>(
    progress: &Progress<'_>,
    resource: &K,
    mut status: K::Status,
) -> Result<(), Error> {
    let mut before = resource.status().cloned().unwrap_or_default();
    let is_ready = is_so(status.conditions().0, condition::READY);
    let is_done = |status: &mut K::Status| {
        let conditions = status.conditions().0;
        is_so(conditions, condition::READY) && !is_so(conditions, condition::PROGRESSING)
    };
    let metrics = &progress.context.metrics;
    let name = resource.name_any();
    metrics.set_resource_ready(&K::kind(&()), &progress.namespace, &name, Some(is_ready));
    if is_done(&mut status) && !is_done(&mut before) {
        progress
            .say(Reason::AsDeclared, "all is as the resource says")
            .await;
    }
    write(progress.context, resource, &status).await
}

/// Tells people what is wrong with a resource. One that cannot be carried out is left alone, and why.
pub(crate) async fn refuse_invalid<K: Ours>(
    context: &Context,
    resource: &K,
    findings: &Findings,
) -> Result<Option<Action>, Error> {
    let about = resource.object_ref(&());
    if let Some(message) = findings.error_text() {
        context.warn(&about, Reason::Invalid, &message).await;
        let refused = refuse(context, resource, Reason::Invalid, message).await?;
        return Ok(Some(refused));
    }
    for warning in &findings.warnings {
        let warning = warning.to_string();
        context.warn(&about, Reason::Invalid, warning).await;
    }
    Ok(None)
}

/// Leaves a resource alone that says so.
pub(crate) async fn refuse_paused<K: Ours>(
    context: &Context,
    resource: &K,
) -> Result<Action, Error> {
    let message = "the resource says paused: true; nothing is changed";
    refuse(context, resource, Reason::Paused, message.to_owned()).await
}

/// Says why nothing is done.
async fn refuse<K: Ours>(
    context: &Context,
    resource: &K,
    reason: Reason,
    message: String,
) -> Result<Action, Error> {
    let mut status = resource.status().cloned().unwrap_or_default();
    let generation = resource.meta().generation;
    let (known, told_of) = status.conditions();
    let mut conditions = Conditions::of(known, generation, context.now());
    conditions.set(condition::PROGRESSING, false, reason, message.clone());
    // What is left alone is as ready as it was.
    if reason != Reason::Paused {
        conditions.set(condition::DEGRADED, true, reason, message.clone());
        conditions.set(condition::READY, false, reason, message);
    }
    *known = conditions.into_vec();
    *told_of = generation;
    write(context, resource, &status).await?;
    Ok(Action::requeue(QUIET))
}
