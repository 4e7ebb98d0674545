//! A cluster of brokers.

use serde_json::json;

use super::addresses::Surroundings;
use super::listeners::Ways;
use super::metadata::{Labels, Owner, label};
use super::pod::Pod;
use super::stateful_set::StatefulSet;
use super::{
    BROKER_POOL, CONTROLLER_POOL, CONTROLLER_PORT, Evictions, LastKnown, Manifest, Node,
    REPLICATION_PORT, Settings, Sizes, budget, mesh, names, pod, properties,
};
use crate::api::{ControllersMode, KafkaCluster};

/// The pods that there shall be, in the order in which they are made; by it they roll, too:
/// controllers that are no brokers come last.
#[must_use]
pub fn nodes(cluster: &KafkaCluster, sizes: &Sizes) -> Vec<Node> {
    let separate = cluster.spec.controllers.mode == ControllersMode::Separate;
    let combined = properties::combined_controllers(cluster);
    let mut nodes = Vec::new();
    for pool in pools(cluster) {
        for ordinal in 0..sizes.of(pool) {
            let is_controllers = pool == CONTROLLER_POOL;
            nodes.push(Node {
                id: properties::first_id(cluster, pool).saturating_add(ordinal),
                pool: pool.to_owned(),
                ordinal,
                pod: names::pod(cluster, pool, ordinal),
                broker: !is_controllers,
                controller: is_controllers
                    || !separate && pool == BROKER_POOL && ordinal < combined,
            });
        }
    }
    nodes
}

/// The pools of a cluster: its own brokers, the resource's pools, separate controllers.
fn pools(cluster: &KafkaCluster) -> Vec<&str> {
    let spec = &cluster.spec;
    let mut pools = vec![BROKER_POOL];
    pools.extend(spec.pools.iter().map(|pool| pool.name.as_str()));
    if spec.controllers.mode == ControllersMode::Separate {
        pools.push(CONTROLLER_POOL);
    }
    pools
}

/// Everything that a cluster is made of.
#[must_use]
pub fn manifests(
    cluster: &KafkaCluster,
    settings: &Settings,
    sizes: &Sizes,
    evictions: Evictions,
    last_known: &LastKnown,
    surroundings: &Surroundings,
) -> Vec<Manifest> {
    let owner = Owner::of(cluster, label::CLUSTER);
    let nodes = nodes(cluster, sizes);
    let mut manifests = vec![service_account(&owner, names::of(&cluster.metadata))];
    manifests.push(nodes_service(cluster, &owner));
    for listener in &cluster.spec.listeners {
        let ways = Ways {
            cluster,
            owner: &owner,
            brokers: nodes.iter().filter(|node| node.broker).collect(),
            surroundings,
        };
        manifests.extend(ways.manifests(listener));
    }
    for pool in pools(cluster) {
        let shared = properties::server(cluster, pool, &settings.cluster_domain);
        let mut files = Labels::from([("server.properties".to_owned(), shared.clone())]);
        for node in nodes.iter().filter(|node| node.pool == pool) {
            if let Some(text) = last_known.by_pod.get(&node.pod) {
                files.insert(format!("{}.properties", node.pod), text.clone());
            }
        }
        let labels = owner.labels(component(pool));
        let name = names::config_map(cluster, pool);
        manifests.push(config_map(&owner, &name, &labels, &files));
        let hash = properties::hash(&shared, &properties::live(cluster));
        manifests.push(stateful_set(
            cluster,
            settings,
            &owner,
            pool,
            sizes.of(pool),
            hash,
        ));
    }
    manifests.extend(budgets(cluster, &owner, evictions));
    if cluster.spec.metrics.pod_monitor {
        let name = names::of(&cluster.metadata);
        manifests.push(pod_monitor(&owner, name, &cluster.spec.metrics.labels));
    }
    manifests
}

fn component(pool: &str) -> &'static str {
    if pool == CONTROLLER_POOL {
        "controller"
    } else {
        "broker"
    }
}

/// The account of the pods, which may do nothing: it is their identity for meshes and policies.
pub(super) fn service_account(owner: &Owner, name: &str) -> Manifest {
    Manifest::new(json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": owner.metadata(name, &owner.labels("server")),
        "automountServiceAccountToken": false,
    }))
}

pub(super) fn config_map(owner: &Owner, name: &str, labels: &Labels, files: &Labels) -> Manifest {
    Manifest::new(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(name, labels),
        "data": files,
    }))
}

/// What Prometheus' operator looks for.
pub(super) fn pod_monitor(owner: &Owner, name: &str, more: &Labels) -> Manifest {
    let mut labels = owner.labels("server");
    labels.extend(more.clone());
    Manifest::new(json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": owner.metadata(name, &labels),
        "spec": {
            "selector": { "matchLabels": owner.selector() },
            "podTargetLabels": [label::CLUSTER, label::ENSEMBLE, label::POOL],
            "podMetricsEndpoints": [{ "port": "http", "path": "/metrics" }],
        },
    }))
}

/// The headless Service. Pods have to find each other before they are ready.
fn nodes_service(cluster: &KafkaCluster, owner: &Owner) -> Manifest {
    let mut ports = vec![
        ("tcp-controller".to_owned(), CONTROLLER_PORT),
        ("tcp-replication".to_owned(), REPLICATION_PORT),
    ];
    for listener in &cluster.spec.listeners {
        ports.push((names::port(listener), listener.port));
    }
    let numbers: Vec<i32> = ports.iter().map(|(_, port)| *port).collect();
    let annotations = mesh::service_annotations(cluster.spec.mesh, &numbers);
    headless(owner, &names::nodes_service(cluster), &ports, &annotations)
}

pub(super) fn headless(
    owner: &Owner,
    name: &str,
    ports: &[(String, i32)],
    annotations: &Labels,
) -> Manifest {
    let ports: Vec<serde_json::Value> = ports
        .iter()
        .map(|(name, port)| json!({ "name": name, "port": port, "protocol": "TCP" }))
        .collect();
    Manifest::new(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.annotated(name, &owner.labels("server"), annotations),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": owner.selector(),
            "ports": ports,
        },
    }))
}

fn stateful_set(
    cluster: &KafkaCluster,
    settings: &Settings,
    owner: &Owner,
    pool: &str,
    replicas: i32,
    config_hash: String,
) -> Manifest {
    let spec = &cluster.spec;
    let special = spec.pools.iter().find(|candidate| candidate.name == pool);
    let controllers = (pool == CONTROLLER_POOL).then_some(&spec.controllers);
    let options = special
        .and_then(|pool| pool.pod.as_ref())
        .unwrap_or(&spec.pod);
    let resources = special
        .and_then(|pool| pool.resources.as_ref())
        .or(controllers.and_then(|controllers| controllers.resources.as_ref()))
        .unwrap_or(&spec.resources);
    let storage = special
        .and_then(|pool| pool.storage.as_ref())
        .or(controllers.and_then(|controllers| controllers.storage.as_ref()))
        .unwrap_or(&spec.storage);

    let mut selector = owner.selector();
    selector.insert(label::POOL.to_owned(), pool.to_owned());
    let mut labels = owner.labels(component(pool));
    labels.insert(label::POOL.to_owned(), pool.to_owned());
    let mut peers = owner.selector();
    let mut pod_labels = labels.clone();
    if controllers.is_some() {
        peers.insert(label::POOL.to_owned(), pool.to_owned());
    } else {
        peers.insert(label::BROKER.to_owned(), "true".to_owned());
        pod_labels.insert(label::BROKER.to_owned(), "true".to_owned());
    }
    let template = Pod {
        settings,
        image: settings.image_of(spec.image.as_deref(), spec.version.as_deref()),
        options,
        resources,
        zones: &spec.zones,
        mesh: spec.mesh,
        labels: pod_labels,
        peers,
        config_map: names::config_map(cluster, pool),
        config_hash,
        service_account: names::of(&cluster.metadata).to_owned(),
        args: args(),
        ports: ports(cluster, pool),
        told_later: true,
    };
    let set = StatefulSet {
        name: &names::stateful_set(cluster, pool),
        labels: &labels,
        selector,
        replicas,
        service: &names::nodes_service(cluster),
        template: template.template(),
        storage,
    };
    set.manifest(owner)
}

fn args() -> Vec<String> {
    [
        "server",
        "--config",
        &format!("{}/server.properties", pod::CONFIG_FOLDER),
        "--late-config",
        &format!("{}/config", pod::POD_FOLDER),
        "--late-config-fallback",
        &format!("{}/$(POD_NAME).properties", pod::CONFIG_FOLDER),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn ports(cluster: &KafkaCluster, pool: &str) -> Vec<(String, i32)> {
    let mut ports = Vec::new();
    let separate = cluster.spec.controllers.mode == ControllersMode::Separate;
    if pool == CONTROLLER_POOL || pool == BROKER_POOL && !separate {
        ports.push(("controller".to_owned(), CONTROLLER_PORT));
    }
    if pool != CONTROLLER_POOL {
        ports.push(("replication".to_owned(), REPLICATION_PORT));
        for listener in &cluster.spec.listeners {
            ports.push((listener.name.clone(), listener.port));
        }
    }
    ports
}

/// How many pods may be away at once: as many as the quorum bears where its voters are among them,
/// and as many replicas as a partition may miss.
fn budgets(cluster: &KafkaCluster, owner: &Owner, evictions: Evictions) -> Vec<Manifest> {
    let replication = properties::Replication::of(cluster);
    let by_replicas = replication.factor - replication.min_isr;
    let separate = cluster.spec.controllers.mode == ControllersMode::Separate;
    let voters = if separate {
        cluster.spec.controllers.replicas
    } else {
        properties::combined_controllers(cluster)
    };
    let by_quorum = (voters - 1) / 2;
    let of_brokers = if separate {
        by_replicas
    } else {
        by_replicas.min(by_quorum)
    };
    let mut budgets = Vec::new();
    let mut budget = |pool: &str, selector: &Labels, allowed: i32, disruptions| {
        let name = names::stateful_set(cluster, pool);
        let labels = owner.labels(component(pool));
        budgets.push(budget::manifest(
            owner,
            &name,
            &labels,
            selector,
            allowed,
            disruptions,
        ));
    };
    let mut brokers = owner.selector();
    brokers.insert(label::BROKER.to_owned(), "true".to_owned());
    budget(BROKER_POOL, &brokers, of_brokers, evictions.brokers);
    if separate {
        let mut controllers = owner.selector();
        controllers.insert(label::POOL.to_owned(), CONTROLLER_POOL.to_owned());
        let allowed = evictions.controllers;
        budget(CONTROLLER_POOL, &controllers, by_quorum, allowed);
    }
    budgets
}
