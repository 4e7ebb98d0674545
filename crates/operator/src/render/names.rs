//! What everything is called. Names are part of the contract with people: dashboards, scripts and
//! clients have them.

use super::Node;
use crate::api::{KafkaCluster, KeeperEnsemble, Listener};

/// A resource's name; the API server has none without.
pub(crate) fn of(metadata: &kube::core::ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

/// A resource's namespace.
pub(crate) fn namespace(metadata: &kube::core::ObjectMeta) -> &str {
    metadata.namespace.as_deref().unwrap_or("default")
}

/// The StatefulSet of a pool.
#[must_use]
pub fn stateful_set(cluster: &KafkaCluster, pool: &str) -> String {
    format!("{}-{pool}", of(&cluster.metadata))
}

/// The ConfigMap of a pool.
#[must_use]
pub fn config_map(cluster: &KafkaCluster, pool: &str) -> String {
    format!("{}-{pool}-config", of(&cluster.metadata))
}

/// A pod.
#[must_use]
pub fn pod(cluster: &KafkaCluster, pool: &str, ordinal: i32) -> String {
    format!("{}-{pool}-{ordinal}", of(&cluster.metadata))
}

/// A pod's claim of its volume.
#[must_use]
pub fn claim(pod: &str) -> String {
    format!("data-{pod}")
}

/// The headless Service that gives each pod of a cluster its name.
#[must_use]
pub fn nodes_service(cluster: &KafkaCluster) -> String {
    format!("{}-nodes", of(&cluster.metadata))
}

/// The Service, Ingress or route of a listener that leads to any broker.
#[must_use]
pub fn bootstrap(cluster: &KafkaCluster, listener: &Listener) -> String {
    format!("{}-{}", of(&cluster.metadata), listener.name)
}

/// The Service, Ingress or route of a listener that leads to one broker.
#[must_use]
pub fn per_broker(node: &Node, listener: &Listener) -> String {
    format!("{}-{}", node.pod, listener.name)
}

/// The port of a listener in its Services. Meshes read the protocol from its first word.
#[must_use]
pub fn port(listener: &Listener) -> String {
    format!("tcp-{}", listener.name)
}

/// The name by which pods of the Kubernetes cluster find a pod.
#[must_use]
pub fn pod_host(cluster: &KafkaCluster, pod: &str, cluster_domain: &str) -> String {
    let service = nodes_service(cluster);
    let namespace = namespace(&cluster.metadata);
    format!("{pod}.{service}.{namespace}.svc.{cluster_domain}")
}

/// The listener's name in the configuration.
#[must_use]
pub fn listener(listener: &Listener) -> String {
    listener.name.to_uppercase()
}

/// The StatefulSet of an ensemble, also the name of its ServiceAccount and its budget.
#[must_use]
pub fn keeper_stateful_set(ensemble: &KeeperEnsemble) -> String {
    format!("{}-keeper", of(&ensemble.metadata))
}

/// A pod of an ensemble.
#[must_use]
pub fn keeper_pod(ensemble: &KeeperEnsemble, ordinal: i32) -> String {
    format!("{}-keeper-{ordinal}", of(&ensemble.metadata))
}

/// The ConfigMap of an ensemble.
#[must_use]
pub fn keeper_config_map(ensemble: &KeeperEnsemble) -> String {
    format!("{}-keeper-config", of(&ensemble.metadata))
}

/// The Secret with the password of those who may change an ensemble's members.
#[must_use]
pub fn keeper_secret(ensemble: &KeeperEnsemble) -> String {
    format!("{}-keeper-admin", of(&ensemble.metadata))
}

/// The Service for an ensemble's clients. It has the ensemble's own name: `zk:2181`.
#[must_use]
pub fn keeper_client_service(ensemble: &KeeperEnsemble) -> String {
    of(&ensemble.metadata).to_owned()
}

/// The headless Service that gives each server of an ensemble its name.
#[must_use]
pub fn keeper_servers_service(ensemble: &KeeperEnsemble) -> String {
    format!("{}-servers", of(&ensemble.metadata))
}

/// The name by which servers and clients find one server.
#[must_use]
pub fn keeper_pod_host(ensemble: &KeeperEnsemble, ordinal: i32, cluster_domain: &str) -> String {
    let pod = keeper_pod(ensemble, ordinal);
    let service = keeper_servers_service(ensemble);
    let namespace = namespace(&ensemble.metadata);
    format!("{pod}.{service}.{namespace}.svc.{cluster_domain}")
}
