//! Keeps a `KafkaTopic` as its resource says.
//!
//! ```text
//!   resource ─▶ its cluster ─▶ validate ─▶ is it the only one? ─▶ look at this topic ─▶ plan
//!                                                                                        │
//!                    status ◀─ drift told ◀─ made, grown, moved, properties set ◀────────┘
//! ```
//!
//! Only what the resource names is the operator's: topics without a resource, and properties that no
//! resource names, are left alone. A look asks for this one topic, so that a thousand of them are a
//! few small requests in a second.

mod act;
mod found;
mod plan;
mod rivals;
mod status;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::Patch;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

pub(crate) use rivals::Topics;

use crate::api::{DeletionPolicy, KafkaCluster, KafkaTopic, KafkaTopicStatus, Reason};
use crate::context::{Context, patching};
use crate::error::{Asked, Error};
use crate::{kafka, validate};

/// Keeps a resource until its topic is deleted. Only resources with `deletionPolicy: Delete` have it.
pub(crate) const FINALIZER: &str = "ottla.dev/topic";

/// When nothing is under way, how long until the next look: this, and as much more by chance, so that
/// topics that were made together are not looked at together for ever.
const QUIET: Duration = Duration::from_secs(120);
/// When the cluster does not answer, or has refused something.
const LATER: Duration = Duration::from_secs(15);
/// When replicas are being copied.
const BUSY: Duration = Duration::from_secs(2);

/// The topic's name in Kafka.
pub(crate) fn topic_name(topic: &KafkaTopic) -> String {
    topic.spec.topic.clone().unwrap_or_else(|| topic.name_any())
}

/// What one reconciliation knows.
struct Round<'a> {
    context: &'a Context,
    topic: &'a KafkaTopic,
    about: ObjectReference,
    namespace: String,
    /// The topic's name in Kafka.
    name: String,
    before: KafkaTopicStatus,
}

impl Round<'_> {
    async fn say(&self, reason: Reason, note: impl Into<String>) {
        self.context.say(&self.about, reason, note).await;
    }

    async fn warn(&self, reason: Reason, note: impl Into<String>) {
        self.context.warn(&self.about, reason, note).await;
    }

    /// Says why the topic is not looked at, and comes back later.
    async fn not_ready(&self, reason: Reason, message: String) -> Result<Action, Error> {
        let status = self.before.clone();
        status::write(self, status, false, reason, message).await?;
        Ok(Action::requeue(LATER))
    }
}

/// Takes the next steps, and says when to look again.
pub(crate) async fn reconcile(
    topic: Arc<KafkaTopic>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let namespace = topic.namespace().unwrap_or_default();
    let mut round = Round {
        context: &context,
        topic: &topic,
        about: topic.object_ref(&()),
        name: topic_name(&topic),
        before: topic.status.clone().unwrap_or_default(),
        namespace,
    };
    let clusters: Api<KafkaCluster> = Api::namespaced(context.client.clone(), &round.namespace);
    let of = &topic.spec.cluster;
    let cluster = clusters.get_opt(of).await;
    let cluster = cluster.when(|| format!("asking for KafkaCluster {of}"))?;
    // A cluster that is going takes its topics with it.
    let cluster = cluster.filter(|cluster| cluster.metadata.deletion_timestamp.is_none());
    let rival = context.topics.older(&topic);
    if topic.metadata.deletion_timestamp.is_some() {
        return delete(&round, cluster.as_ref(), rival.is_some()).await;
    }
    let keeps = topic.spec.deletion_policy == DeletionPolicy::Delete
        && cluster.is_some()
        && rival.is_none();
    hold(&round, keeps).await?;
    if let Some(rival) = rival {
        let message = format!(
            "KafkaTopic {rival} is for the same topic {} and is older, so it decides: delete this one, \
             or give it another spec.topic",
            round.name
        );
        round.warn(Reason::Invalid, message.clone()).await;
        return round.not_ready(Reason::Invalid, message).await;
    }
    let Some(cluster) = cluster else {
        let message = format!(
            "there is no KafkaCluster {of} in namespace {}",
            round.namespace
        );
        return round.not_ready(Reason::Unreachable, message).await;
    };
    let verdict = validate::kafka_topic(&topic, Some(&cluster));
    if let Some(message) = verdict.error_text() {
        round.warn(Reason::Invalid, message.clone()).await;
        return round.not_ready(Reason::Invalid, message).await;
    }
    for warning in &verdict.warnings {
        round.warn(Reason::Invalid, warning.to_string()).await;
    }
    let bootstrap = kafka::bootstrap_of(&cluster, &context.settings.cluster_domain);
    if bootstrap.is_empty() {
        let message = format!("no broker of KafkaCluster {of} is ready");
        return round.not_ready(Reason::Unreachable, message).await;
    }
    act::remember_properties(&mut round).await?;
    match act::act(&round, &bootstrap).await {
        Ok(again) => Ok(Action::requeue(again)),
        Err(Error::Kafka { action, source }) => {
            let message = format!("{action}: {source}");
            if source.is_retriable() || source.code().is_none() {
                context.clusters.forget(&bootstrap);
                return round.not_ready(Reason::Unreachable, message).await;
            }
            round.warn(Reason::Error, message.clone()).await;
            round.not_ready(Reason::Error, message).await
        }
        Err(error) => Err(error),
    }
}

/// Carries out what the resource says of its own deletion.
async fn delete(
    round: &Round<'_>,
    cluster: Option<&KafkaCluster>,
    is_rival: bool,
) -> Result<Action, Error> {
    let context = round.context;
    let topic = round.topic;
    let is_held = topic.finalizers().iter().any(|one| one == FINALIZER);
    let goes = topic.spec.deletion_policy == DeletionPolicy::Delete && !is_rival;
    if let Some(cluster) = cluster.filter(|_| is_held && goes) {
        let bootstrap = kafka::bootstrap_of(cluster, &context.settings.cluster_domain);
        if bootstrap.is_empty() {
            let message = format!(
                "topic {} is to be deleted, when a broker of KafkaCluster {} is ready; with \
                 deletionPolicy: Retain the resource goes without it",
                round.name, topic.spec.cluster
            );
            round.warn(Reason::Deleting, message.clone()).await;
            return round.not_ready(Reason::Deleting, message).await;
        }
        match act::delete(round, &bootstrap).await {
            Ok(()) => {}
            Err(Error::Kafka { action, source }) => {
                context.clusters.forget(&bootstrap);
                let message = format!("{action}: {source}");
                round.warn(Reason::Deleting, message.clone()).await;
                return round.not_ready(Reason::Deleting, message).await;
            }
            Err(error) => return Err(error),
        }
    }
    hold(round, false).await?;
    context.forget(&topic.uid().unwrap_or_default());
    let metrics = &context.metrics;
    metrics.set_resource_ready("KafkaTopic", &round.namespace, &topic.name_any(), None);
    Ok(Action::await_change())
}

/// Sees to it that the resource is kept until its topic is deleted, or is not.
async fn hold(round: &Round<'_>, keeps: bool) -> Result<(), Error> {
    let topic = round.topic;
    let now = topic.finalizers();
    if now.iter().any(|one| one == FINALIZER) == keeps {
        return Ok(());
    }
    let mut wanted: Vec<&str> = now.iter().map(String::as_str).collect();
    wanted.retain(|one| *one != FINALIZER);
    if keeps {
        wanted.push(FINALIZER);
    }
    let api: Api<KafkaTopic> = Api::namespaced(round.context.client.clone(), &round.namespace);
    let name = topic.name_any();
    // The version makes sure that nobody else's finalizer is lost.
    let patch = json!({"metadata": {
        "finalizers": wanted,
        "resourceVersion": topic.metadata.resource_version,
    }});
    let patched = api
        .patch_metadata(&name, &patching(), &Patch::Merge(patch))
        .await;
    match patched {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        patched => patched
            .map(|_| ())
            .when(|| format!("changing the finalizers of KafkaTopic {name}")),
    }
}

#[cfg(test)]
mod tests;
