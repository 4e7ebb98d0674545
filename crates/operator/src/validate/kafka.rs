//! Whether a cluster can be as its resource says.

use std::collections::BTreeMap;

use super::config::Origin;
use super::{Existing, Findings, size, variables};
use crate::api::{ControllersMode, KafkaCluster, Listener, ListenerType};
use crate::render::{self, BROKER_POOL, CONTROLLER_POOL, Node, Sizes, kafka, names};

/// Checks a cluster by itself, and beside what is there already.
#[must_use]
pub fn kafka_cluster(cluster: &KafkaCluster, existing: &Existing) -> Findings {
    let mut findings = Findings::default();
    let nodes = kafka::nodes(cluster, &Sizes::wanted(cluster));
    ids(cluster, &mut findings);
    lengths(cluster, &nodes, &mut findings);
    storage(cluster, existing, &mut findings);
    ports(cluster, &nodes, &mut findings);
    endpoints(cluster, &nodes, &mut findings);
    replication(cluster, &mut findings);
    variables("spec.pod", &cluster.spec.pod.env, &mut findings);
    for (at, pool) in cluster.spec.pools.iter().enumerate() {
        if let Some(pod) = &pool.pod {
            variables(&format!("spec.pools[{at}].pod"), &pod.env, &mut findings);
        }
    }
    configuration(cluster, &nodes, &mut findings);
    findings.errors.sort();
    findings.errors.dedup();
    findings.warnings.sort();
    findings.warnings.dedup();
    findings
}

/// The first and the last id of each pool must not lie within another one's.
fn ids(cluster: &KafkaCluster, findings: &mut Findings) {
    let spec = &cluster.spec;
    let mut taken = vec![(
        "the cluster's own brokers".to_owned(),
        0,
        spec.replicas.saturating_sub(1),
    )];
    if spec.controllers.mode == ControllersMode::Separate {
        let first = render::FIRST_CONTROLLER_ID;
        let last = first + spec.controllers.replicas - 1;
        taken.push(("separate controllers".to_owned(), first, last));
    }
    for (at, pool) in spec.pools.iter().enumerate() {
        // An empty pool keeps the id of its first broker for itself.
        let last = pool.first_id.saturating_add((pool.replicas - 1).max(0));
        let clash = taken
            .iter()
            .find(|(_, first, end)| pool.first_id <= *end && *first <= last);
        if let Some((whose, first, end)) = clash {
            let highest = taken.iter().map(|(_, _, end)| *end).max().unwrap_or(0);
            let free = (highest / 100 + 1).saturating_mul(100);
            findings.error(
                format!("spec.pools[{at}].firstId"),
                format!(
                    "pool {} has the ids {} to {last}, and {whose} {first} to {end}: choose another \
                     firstId, such as {free}",
                    pool.name, pool.first_id
                ),
            );
        }
        taken.push((format!("pool {}", pool.name), pool.first_id, last));
    }
}

/// Kubernetes puts the StatefulSet's name and a hash of 10 letters into a label of 63 letters.
const SET_NAME_MAX: usize = 52;
const SERVICE_NAME_MAX: usize = 63;

fn lengths(cluster: &KafkaCluster, nodes: &[Node], findings: &mut Findings) {
    for (at, pool) in cluster.spec.pools.iter().enumerate() {
        let name = names::stateful_set(cluster, &pool.name);
        if name.len() > SET_NAME_MAX {
            findings.error(
                format!("spec.pools[{at}].name"),
                format!(
                    "its StatefulSet would be called {name}, which has {} letters, and {SET_NAME_MAX} \
                     are possible: choose a shorter name",
                    name.len()
                ),
            );
        }
    }
    let names_of = |listener: &Listener| {
        let per_broker = nodes
            .iter()
            .filter(|node| node.broker && listener.kind != ListenerType::ClusterIp);
        let mut all: Vec<String> = per_broker
            .map(|node| names::per_broker(node, listener))
            .collect();
        all.push(names::bootstrap(cluster, listener));
        all
    };
    for (at, listener) in cluster.spec.listeners.iter().enumerate() {
        let longest = names_of(listener).into_iter().max_by_key(String::len);
        if let Some(name) = longest.filter(|name| name.len() > SERVICE_NAME_MAX) {
            findings.error(
                format!("spec.listeners[{at}].name"),
                format!(
                    "a Service would be called {name}, which has {} letters, and {SERVICE_NAME_MAX} \
                     are possible: choose a shorter name for the listener, the pool or the cluster",
                    name.len()
                ),
            );
        }
    }
}

fn storage(cluster: &KafkaCluster, existing: &Existing, findings: &mut Findings) {
    let spec = &cluster.spec;
    size(
        "spec.storage",
        BROKER_POOL,
        &spec.storage.size,
        existing,
        findings,
    );
    if spec.controllers.mode == ControllersMode::Separate {
        let (field, storage) = match &spec.controllers.storage {
            Some(own) => ("spec.controllers.storage", own),
            None => ("spec.storage", &spec.storage),
        };
        size(field, CONTROLLER_POOL, &storage.size, existing, findings);
    }
    for (at, pool) in spec.pools.iter().enumerate() {
        let (field, storage) = match &pool.storage {
            Some(own) => (format!("spec.pools[{at}].storage"), own),
            None => ("spec.storage".to_owned(), &spec.storage),
        };
        size(&field, &pool.name, &storage.size, existing, findings);
    }
}

/// The range that API servers hand out unless they are told otherwise.
const NODE_PORTS: std::ops::RangeInclusive<i32> = 30000..=32767;

/// Ports that are given must exist, and be nobody else's.
fn ports(cluster: &KafkaCluster, nodes: &[Node], findings: &mut Findings) {
    let mut taken: BTreeMap<i32, String> = BTreeMap::new();
    let brokers = || nodes.iter().filter(|node| node.broker);
    for (at, listener) in cluster.spec.listeners.iter().enumerate() {
        let field = format!("spec.listeners[{at}]");
        let mut node_ports: Vec<(String, i32, String)> = Vec::new();
        if let Some(options) = &listener.node_port {
            if let Some(port) = options.bootstrap {
                let whose = format!("the bootstrap of listener {}", listener.name);
                node_ports.push(("bootstrap".to_owned(), port, whose));
            }
            for (first, node) in options
                .first
                .iter()
                .flat_map(|f| brokers().map(move |n| (f, n)))
            {
                let whose = format!("broker {} of listener {}", node.id, listener.name);
                node_ports.push(("first".to_owned(), first.saturating_add(node.id), whose));
            }
        }
        for (part, port, whose) in node_ports {
            let field = format!("{field}.nodePort.{part}");
            if let Some(other) = taken.insert(port, whose.clone()) {
                let message = format!("node port {port} would be that of {other} and of {whose}");
                findings.error(&field, message);
            }
            if port > 65535 {
                findings.error(&field, format!("{whose} would have the port {port}"));
            } else if !NODE_PORTS.contains(&port) {
                let (low, high) = (NODE_PORTS.start(), NODE_PORTS.end());
                findings.warn(
                    &field,
                    format!(
                        "{whose} would have the node port {port}, and API servers give {low} to \
                         {high} unless they are told otherwise"
                    ),
                );
            }
        }
    }
}

/// Each broker is reached at an address of its own, and that is a possible one.
fn endpoints(cluster: &KafkaCluster, nodes: &[Node], findings: &mut Findings) {
    let around = render::imagined(cluster, nodes);
    let mut taken: BTreeMap<(String, i32), String> = BTreeMap::new();
    for (at, listener) in cluster.spec.listeners.iter().enumerate() {
        let field = format!("spec.listeners[{at}]");
        let route = listener.tls_route.as_ref();
        let bootstrap = listener
            .ingress
            .as_ref()
            .map(|ingress| (&ingress.bootstrap_host, ingress.port))
            .or(route.map(|route| (&route.bootstrap_host, route.port)));
        if let Some((host, port)) = bootstrap {
            let whose = format!("the bootstrap of listener {}", listener.name);
            taken.insert((host.clone(), port), whose);
        }
        for node in nodes.iter().filter(|node| node.broker) {
            let Ok((host, port)) = render::endpoint(cluster, listener, node, &around) else {
                continue;
            };
            if !(1..=65535).contains(&port) {
                let message = format!(
                    "broker {} would advertise the port {port}, and 65535 is the last one: ports \
                     go up with the id, so take a lower first port or lower ids",
                    node.id
                );
                findings.error(&field, message);
            }
            let whose = format!("broker {} (listener {})", node.id, listener.name);
            let place = (host, port);
            if let Some(other) = taken.get(&place) {
                let (host, port) = &place;
                let message = format!(
                    "{whose} would advertise {host}:{port}, which {other} has already: clients \
                     could not tell them apart; write {{id}} into the host, or give another port"
                );
                findings.error(&field, message);
            } else {
                taken.insert(place, whose);
            }
        }
    }
}

/// Properties whose value is a number of replicas.
const FACTORS: [&str; 3] = [
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
];

fn replication(cluster: &KafkaCluster, findings: &mut Findings) {
    let spec = &cluster.spec;
    let brokers = render::brokers(cluster);
    let said = |key: &str| spec.config.get(key)?.trim().parse::<i32>().ok();
    for key in FACTORS {
        if let Some(factor) = said(key).filter(|factor| *factor > brokers) {
            findings.error(
                format!("spec.config[\"{key}\"]"),
                format!(
                    "{factor} replicas need as many brokers, and there are {brokers}: raise \
                     replicas or lower it"
                ),
            );
        }
    }
    for key in ["min.insync.replicas", "transaction.state.log.min.isr"] {
        if let Some(minimum) = said(key).filter(|minimum| *minimum > brokers) {
            findings.error(
                format!("spec.config[\"{key}\"]"),
                format!(
                    "{minimum} replicas in sync need as many brokers, and there are {brokers}: \
                     every write with acks=all would be refused"
                ),
            );
        }
    }
    if spec.controllers.mode == ControllersMode::Combined && spec.replicas == 2 {
        findings.warn(
            "spec.replicas",
            "of two brokers one is the controller, and without it nothing can be changed: with 3 \
             any one may fail",
        );
    }
    if spec.controllers.mode == ControllersMode::Separate && spec.controllers.replicas == 1 {
        findings.warn(
            "spec.controllers.replicas",
            "without the only controller nothing can be changed: with 3 any one may fail",
        );
    }
}

/// What each kind of server would say of its files.
fn configuration(cluster: &KafkaCluster, nodes: &[Node], findings: &mut Findings) {
    let around = render::imagined(cluster, nodes);
    let mut seen: Vec<(&str, bool)> = Vec::new();
    for node in nodes {
        // One of each kind is enough.
        let kind = (node.pool.as_str(), node.controller);
        if seen.contains(&kind) {
            continue;
        }
        seen.push(kind);
        let Ok(own) = render::pod_config(cluster, node, &around) else {
            continue;
        };
        let shared = render::server_properties(cluster, &node.pool, &around.cluster_domain);
        let shared = shared
            .lines()
            .filter(|line| !line.starts_with("listeners="));
        let mut text: String = shared.map(|line| format!("{line}\n")).collect();
        text.push_str(&own.text());
        let spec = &cluster.spec;
        let mut fields = Vec::new();
        for (at, pool) in spec.pools.iter().enumerate() {
            if pool.name == node.pool {
                fields.push((format!("spec.pools[{at}].config"), &pool.config));
            }
        }
        fields.push(("spec.config".to_owned(), &spec.config));
        let origin = Origin {
            text,
            is_keeper: false,
            pod: &node.pod,
            fields,
            listeners: "spec.listeners",
        };
        origin.judge(findings);
    }
}
