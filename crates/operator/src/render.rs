//! What a resource becomes: manifests, and what each pod is told of itself.
//!
//! ```text
//!   KafkaCluster ─┬─▶ kafka::nodes ──────▶ the pods that there shall be
//!   Settings ─────┼─▶ kafka::manifests ──▶ StatefulSets, Services, ConfigMaps, budgets, routes
//!   Sizes ────────┤
//!   Surroundings ─┴─▶ pod_config ────────▶ an annotation on each pod: roles, zone, what it advertises
//!                     listener_status ───▶ what a person connects to
//! ```
//!
//! Two files configure a broker. What all pods of a pool share is in their ConfigMap, and pods roll
//! when it changes. What differs from pod to pod, or is known only when the pod has a node and its
//! Services have addresses, is an annotation of the pod, which its volume shows as a file: so one
//! StatefulSet serves brokers with different addresses.
//!
//! Architecture invariant: everything here is pure. It asks nobody, knows no time, and the same
//! arguments give the same manifests, byte by byte: the reconciler tells by comparing them what
//! there is to do.

mod addresses;
mod budget;
pub(crate) mod image;
mod imagined;
pub mod kafka;
pub mod keeper;
mod listeners;
mod manifest;
mod mesh;
mod metadata;
pub mod names;
mod pod;
mod pod_config;
mod properties;
mod stateful_set;

use std::collections::BTreeMap;

pub use addresses::{PodFacts, ServiceFacts, Surroundings, Waiting, listener_status};
pub use manifest::Manifest;
pub use metadata::label;
pub use pod::CONTAINER;
pub use pod_config::{PodConfig, pod_config};

use crate::api::{ControllersMode, KafkaCluster, KeeperEnsemble};

pub(crate) use imagined::{default_replicas, endpoint, imagined};
pub(crate) use properties::{brokers, live as live_config, server as server_properties};

/// The `zoo.cfg` of an ensemble that nobody may change.
pub(crate) fn zoo_cfg(ensemble: &KeeperEnsemble, servers: i32, domain: &str) -> String {
    properties::zoo_cfg(ensemble, servers, domain, None)
}

/// The pool of the cluster's own brokers.
pub const BROKER_POOL: &str = "broker";
/// The pool of separate controllers.
pub const CONTROLLER_POOL: &str = "controller";
/// The node id of the first separate controller.
pub const FIRST_CONTROLLER_ID: i32 = 1000;

/// The annotation of a pod that tells it what it alone is: lines of properties.
pub const CONFIG_ANNOTATION: &str = "ottla.dev/config";
/// The annotation of a pod template that changes when its pods have to roll.
pub const CONFIG_HASH_ANNOTATION: &str = "ottla.dev/config-hash";

/// The port of the metadata quorum.
pub const CONTROLLER_PORT: i32 = 9090;
/// The port on which brokers, and the operator, talk to brokers.
pub const REPLICATION_PORT: i32 = 9091;
/// The port of health checks and metrics.
pub const HTTP_PORT: i32 = 9644;

/// What does not come from the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The image of pods whose resource names none.
    pub image: String,
    /// When it is pulled, where the resource does not say it.
    pub image_pull_policy: Option<String>,
    /// The domain of the Kubernetes cluster's own names.
    pub cluster_domain: String,
}

impl Settings {
    /// The image of a resource's pods: the one that it names, or the operator's own with its version.
    fn image_of(&self, named: Option<&str>, version: Option<&str>) -> String {
        match (named, version) {
            (Some(image), _) => image.to_owned(),
            (None, Some(version)) => image::tagged(&self.image, version),
            (None, None) => self.image.clone(),
        }
    }
}

/// One node of a cluster, which is a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its node id.
    pub id: i32,
    /// `broker` for the cluster's own, `controller` for separate controllers, or a pool's name.
    pub pool: String,
    /// Its number in its StatefulSet.
    pub ordinal: i32,
    /// Its pod.
    pub pod: String,
    /// Whether it is a broker.
    pub broker: bool,
    /// Whether it is a controller.
    pub controller: bool,
}

/// How many pods each StatefulSet shall have now: more than the resource says while data moves
/// away from those that are to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Replicas by pool.
    pub by_pool: BTreeMap<String, i32>,
}

impl Sizes {
    /// What the resource says.
    #[must_use]
    pub fn wanted(cluster: &KafkaCluster) -> Sizes {
        let spec = &cluster.spec;
        let mut by_pool = BTreeMap::from([(BROKER_POOL.to_owned(), spec.replicas)]);
        if spec.controllers.mode == ControllersMode::Separate {
            by_pool.insert(CONTROLLER_POOL.to_owned(), spec.controllers.replicas);
        }
        for pool in &spec.pools {
            by_pool.insert(pool.name.clone(), pool.replicas);
        }
        Sizes { by_pool }
    }

    /// The replicas of a pool.
    #[must_use]
    pub fn of(&self, pool: &str) -> i32 {
        self.by_pool.get(pool).copied().unwrap_or(0)
    }
}

/// What each pod was told last: it starts with that when the operator is not there to tell it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastKnown {
    /// [`PodConfig::text`] by pod.
    pub by_pod: BTreeMap<String, String>,
}

/// Which pods of a cluster may be evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evictions {
    /// Brokers, and combined controllers with them.
    pub brokers: Disruptions,
    /// Separate controllers.
    pub controllers: Disruptions,
}

/// Whether pods may be evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disruptions {
    /// As many as the quorum and the replicas in sync bear.
    #[default]
    Allowed,
    /// None now: some are away or behind, and with one less something would stop.
    Forbidden,
}

#[cfg(test)]
mod tests;
