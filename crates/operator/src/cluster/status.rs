//! What a person reads of a cluster.

use kube::ResourceExt;
use serde_json::json;

use super::Round;
use crate::api::{BrokerStatus, CanaryStatus, KafkaClusterStatus, ListenerStatus, condition};
use crate::canary::{self, Task};
use crate::conditions::Conditions;
use crate::error::Error;
use crate::observed;
use crate::render::image::tag;
use crate::render::{BROKER_POOL, label, listener_status, names};
use crate::status::{self, conclude};

/// Writes the status, if it is another one.
pub(super) async fn write(round: &Round<'_>, before: &KafkaClusterStatus) -> Result<(), Error> {
    let status = status(round, before);
    canary::tell(round.context, &round.about, &before.canary, &status.canary).await;
    conclude(round, round.cluster, status).await
}

fn status(round: &Round<'_>, before: &KafkaClusterStatus) -> KafkaClusterStatus {
    let cluster = round.cluster;
    let generation = cluster.metadata.generation;
    let mut conditions = Conditions::of(&before.conditions, generation, round.context.now());
    let ready = round.observed.ready();
    let total = round.nodes.len();
    let counted = format!("{ready} of {total} pods are ready");
    let is_serving = ready == total && total > 0 && round.view.is_some();
    conditions.sum_up(round, is_serving, counted);
    let brokers: Vec<_> = round
        .nodes
        .iter()
        .filter(|node| node.broker)
        .cloned()
        .collect();
    let listeners = listener_status(cluster, &round.observed.surroundings, &brokers);
    let canary = canary(round, &listeners, before);
    if canary.is_empty() {
        conditions.remove(condition::CANARY_HEALTHY);
    } else {
        canary::set(&mut conditions, &canary);
    }
    let view = round.view.as_ref();
    let image = common_image(round);
    let set = names::stateful_set(cluster, BROKER_POOL);
    KafkaClusterStatus {
        conditions: conditions.into_vec(),
        observed_generation: generation,
        replicas: round.observed.replicas(&set).unwrap_or(0),
        ready_replicas: i32::try_from(ready).unwrap_or(i32::MAX),
        selector: Some(format!(
            "{},{}={BROKER_POOL}",
            observed::of_cluster(&cluster.name_any()),
            label::POOL
        )),
        cluster_id: view
            .map(|view| view.cluster_id.clone())
            .or_else(|| before.cluster_id.clone()),
        version: image.as_deref().and_then(tag).map(str::to_owned),
        image,
        bootstrap: listeners
            .first()
            .and_then(|listener| listener.bootstrap.clone()),
        listeners,
        brokers: round.nodes.iter().map(|node| broker(round, node)).collect(),
        added: round.owed.replicas.iter().copied().collect(),
        restarted: round.owed.leaders.iter().copied().collect(),
        set_properties: round.set_properties.iter().cloned().collect(),
        throttled: round.throttled.iter().cloned().collect(),
        canary,
    }
}

/// Sees to it that there is a canary, if there shall be one, and what it has found.
fn canary(
    round: &Round<'_>,
    listeners: &[ListenerStatus],
    before: &KafkaClusterStatus,
) -> Vec<CanaryStatus> {
    let canaries = &round.context.canaries;
    match Task::of(round.cluster, listeners, round.bootstrap()) {
        // It begins when the cluster is there, and goes on when it is not any more.
        Some(task) if round.view.is_some() || !before.canary.is_empty() => {
            canary::judge(&before.canary, canaries.keep(task))
        }
        Some(_) => Vec::new(),
        None => {
            canaries.stop(&round.namespace, &round.cluster.name_any());
            Vec::new()
        }
    }
}

/// The image that all pods run.
fn common_image(round: &Round<'_>) -> Option<String> {
    let mut images = round.observed.pods.values().map(|pod| pod.image.clone());
    let first = images.next()??;
    images
        .all(|image| image.as_ref() == Some(&first))
        .then_some(first)
}

fn broker(round: &Round<'_>, node: &crate::render::Node) -> BrokerStatus {
    let pod = round.observed.pods.get(&node.pod);
    let facts = round.observed.surroundings.pods.get(&node.pod);
    let told = pod
        .and_then(|pod| pod.config.as_deref())
        .unwrap_or_default();
    let advertised = told
        .lines()
        .find_map(|line| line.strip_prefix("advertised.listeners="));
    BrokerStatus {
        id: node.id,
        pod: node.pod.clone(),
        zone: facts.and_then(|facts| facts.zone.clone()),
        node: pod.and_then(|pod| pod.node.clone()),
        ready: pod.is_some_and(|pod| pod.ready),
        advertised: advertised
            .into_iter()
            .flat_map(|all| all.split(','))
            .map(str::to_owned)
            .collect(),
    }
}

/// Writes down that the lead is owed to a broker, before it is taken from it: it would look drained by a
/// person to an operator that begins anew in between.
pub(super) async fn owe_leaders(round: &mut Round<'_>, broker: i32) -> Result<(), Error> {
    if !round.owed.leaders.insert(broker) {
        return Ok(());
    }
    let fields = json!({ "restarted": round.owed.leaders });
    status::patch(round.context, round.cluster, fields).await
}
