//! What Kubernetes has of a resource at a moment: stateful sets, pods, services, nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::context::Context;
use crate::error::{Asked, Error};
use crate::nodes;
use crate::render::{CONFIG_ANNOTATION, PodFacts, ServiceFacts, Surroundings, label};

const REVISION: &str = "controller-revision-hash";

/// What Kubernetes has of a resource.
pub(crate) struct Observed {
    /// By name.
    pub(crate) sets: BTreeMap<String, StatefulSet>,
    pub(crate) pods: BTreeMap<String, PodNow>,
    pub(crate) claims: BTreeMap<String, PersistentVolumeClaim>,
    /// What each pod was told last, by pod.
    pub(crate) last_told: BTreeMap<String, String>,
    pub(crate) surroundings: Surroundings,
}

/// A pod as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodNow {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) ready: bool,
    pub(crate) created: Option<Timestamp>,
    /// Since when it has been ready, or not.
    pub(crate) since: Option<Timestamp>,
    pub(crate) deleting: bool,
    /// The node that it runs on, and whether that is well; unset where nodes cannot be seen.
    pub(crate) node: Option<String>,
    pub(crate) node_ready: Option<bool>,
    /// Since when the node has been well, or not.
    pub(crate) node_since: Option<Timestamp>,
    pub(crate) ip: Option<String>,
    /// The revision of the stateful set that it was made from.
    pub(crate) revision: Option<String>,
    /// The generation of its container's image, as it was asked for.
    pub(crate) image: Option<String>,
    /// What it was told.
    pub(crate) config: Option<String>,
    /// Why it does not run, in Kubernetes' words.
    pub(crate) trouble: Option<String>,
    /// How often its container was started again.
    pub(crate) restarts: i32,
}

impl Observed {
    /// Asks for everything that carries the label of the resource.
    pub(crate) async fn of(
        context: &Context,
        namespace: &str,
        selector: &str,
        topology_key: &str,
    ) -> Result<Self, Error> {
        let listing = ListParams::default().labels(selector);
        let client = &context.client;
        let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
        let sets = sets
            .list(&listing)
            .await
            .when(|| "listing stateful sets".to_owned())?;
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let pods = pods
            .list(&listing)
            .await
            .when(|| "listing pods".to_owned())?;
        let services: Api<Service> = Api::namespaced(client.clone(), namespace);
        let services = services
            .list(&listing)
            .await
            .when(|| "listing services".to_owned())?;
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
        let claims = claims
            .list(&listing)
            .await
            .when(|| "listing volume claims".to_owned())?;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let maps = maps
            .list(&listing)
            .await
            .when(|| "listing config maps".to_owned())?;
        let mut nodes: BTreeMap<String, Option<Arc<Node>>> = BTreeMap::new();
        let named = pods
            .iter()
            .filter_map(|pod| pod.spec.as_ref()?.node_name.clone());
        for name in named.collect::<BTreeSet<_>>() {
            let node = context.nodes.get(&name).await?;
            nodes.insert(name, node);
        }
        let mut surroundings = Surroundings {
            cluster_domain: context.settings.cluster_domain.clone(),
            ..Surroundings::default()
        };
        for service in &services {
            surroundings
                .services
                .insert(service.name_any(), ServiceFacts::of(service));
        }
        let mut now = BTreeMap::new();
        for pod in &pods {
            let on = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
            let node = on
                .and_then(|name| nodes.get(name))
                .and_then(Option::as_deref);
            let facts = PodFacts::of(pod, node, topology_key);
            surroundings.pods.insert(pod.name_any(), facts);
            now.insert(pod.name_any(), PodNow::of(pod, node));
        }
        let by_name = |claims: kube::core::ObjectList<PersistentVolumeClaim>| {
            claims
                .into_iter()
                .map(|claim| (claim.name_any(), claim))
                .collect()
        };
        Ok(Observed {
            sets: sets.into_iter().map(|set| (set.name_any(), set)).collect(),
            last_told: last_told(maps.items, &now),
            pods: now,
            claims: by_name(claims),
            surroundings,
        })
    }

    /// How many replicas a stateful set has been told to have.
    pub(crate) fn replicas(&self, set: &str) -> Option<i32> {
        self.sets.get(set)?.spec.as_ref()?.replicas
    }

    /// The revision that a stateful set's pods shall have; unknown while its controller has not
    /// seen the newest template.
    pub(crate) fn revision(&self, set: &str) -> Option<&str> {
        let set = self.sets.get(set)?;
        let status = set.status.as_ref()?;
        if status.observed_generation < set.metadata.generation {
            return None;
        }
        status.update_revision.as_deref()
    }

    /// A stateful set whose controller has not seen the newest template.
    pub(crate) fn unseen_template(&self) -> Option<&str> {
        let unseen = self.sets.keys().find(|set| self.revision(set).is_none());
        unseen.map(String::as_str)
    }

    /// How many pods are ready.
    pub(crate) fn ready(&self) -> usize {
        self.pods.values().filter(|pod| pod.ready).count()
    }
}

impl PodNow {
    pub(crate) fn of(pod: &Pod, node: Option<&Node>) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let ready = conditions
            .iter()
            .find(|condition| condition.type_ == "Ready");
        let unscheduled = conditions
            .iter()
            .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
        let containers = status.container_statuses.unwrap_or_default();
        let waiting = containers.iter().find_map(|container| {
            let waiting = container.state.as_ref()?.waiting.as_ref()?;
            let reason = waiting.reason.clone()?;
            let fine = ["ContainerCreating", "PodInitializing"].contains(&reason.as_str());
            (!fine).then(|| words(reason, waiting.message.clone()))
        });
        let annotations = pod.annotations();
        PodNow {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            ready: ready.is_some_and(|condition| condition.status == "True")
                && pod.metadata.deletion_timestamp.is_none(),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            since: stopping_since(pod).or_else(|| {
                let condition = ready.or(unscheduled)?;
                Some(condition.last_transition_time.as_ref()?.0)
            }),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            node_ready: node.map(nodes::is_ready),
            node_since: node.and_then(nodes::since),
            ip: status.pod_ip,
            revision: pod.labels().get(REVISION).cloned(),
            image: pod
                .spec
                .as_ref()
                .and_then(|spec| spec.containers.first()?.image.clone()),
            config: annotations.get(CONFIG_ANNOTATION).cloned(),
            trouble: unscheduled
                .map(|condition| {
                    let reason = condition.reason.clone().unwrap_or_default();
                    words(reason, condition.message.clone())
                })
                .or(waiting),
            restarts: containers
                .iter()
                .map(|container| container.restart_count)
                .max()
                .unwrap_or(0),
        }
    }
}

/// What the pods' files say, and over that what the pods that are there were told.
fn last_told(maps: Vec<ConfigMap>, pods: &BTreeMap<String, PodNow>) -> BTreeMap<String, String> {
    let files = maps
        .into_iter()
        .flat_map(|map| map.data.unwrap_or_default());
    let mut told: BTreeMap<String, String> = files
        .filter_map(|(name, text)| Some((name.strip_suffix(".properties")?.to_owned(), text)))
        .filter(|(pod, _)| pod != "server")
        .collect();
    for pod in pods.values() {
        if let Some(config) = &pod.config {
            told.insert(pod.name.clone(), config.clone());
        }
    }
    told
}

/// When a pod was told to stop. Its deletion time is when it has to be gone.
fn stopping_since(pod: &Pod) -> Option<Timestamp> {
    let by = pod.metadata.deletion_timestamp.as_ref()?.0;
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
    Timestamp::from_second(by.as_second().saturating_sub(grace)).ok()
}

fn words(reason: String, message: Option<String>) -> String {
    match message {
        Some(message) if !message.is_empty() => format!("{reason}: {message}"),
        _ => reason,
    }
}

/// The selector of everything that belongs to a cluster.
pub(crate) fn of_cluster(name: &str) -> String {
    format!("{}={name}", label::CLUSTER)
}

/// The selector of everything that belongs to an ensemble.
pub(crate) fn of_ensemble(name: &str) -> String {
    format!("{}={name}", label::ENSEMBLE)
}
