//! What one pod is told of itself.

use super::addresses::{Surroundings, Waiting, advertised};
use super::{CONTROLLER_PORT, Node, REPLICATION_PORT, names, properties};
use crate::api::KafkaCluster;

/// What one pod is told of itself, once it has a node and its Services have addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodConfig {
    /// The zone of its node.
    pub rack: Option<String>,
    /// Whether it is a broker.
    pub broker: bool,
    /// Whether it is a controller.
    pub controller: bool,
    /// `listeners`, as its roles want them.
    pub listeners: String,
    /// What it advertises: `LISTENER://HOST:PORT`.
    pub advertised: Vec<String>,
}

impl PodConfig {
    /// Lines of properties.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(rack) = &self.rack {
            properties::line(&mut text, "broker.rack", rack);
        }
        let roles = match (self.broker, self.controller) {
            (true, true) => "broker,controller",
            (_, false) => "broker",
            (false, true) => "controller",
        };
        properties::line(&mut text, "process.roles", roles);
        properties::line(&mut text, "listeners", &self.listeners);
        properties::line(
            &mut text,
            "advertised.listeners",
            &self.advertised.join(","),
        );
        text
    }
}

/// What a pod is to be told, or what has to happen before that is known.
///
/// # Errors
/// Kubernetes has not told everything yet.
pub fn pod_config(
    cluster: &KafkaCluster,
    node: &Node,
    surroundings: &Surroundings,
) -> Result<PodConfig, Waiting> {
    let facts = surroundings.pods.get(&node.pod);
    let Some(facts) = facts.filter(|facts| facts.node.is_some()) else {
        let pod = node.pod.clone();
        return Err(Waiting::Scheduling { pod });
    };
    let host = names::pod_host(cluster, &node.pod, &surroundings.cluster_domain);
    let mut entries = Vec::new();
    if node.controller {
        entries.push(format!("CONTROLLER://{host}:{CONTROLLER_PORT}"));
    }
    if node.broker {
        entries.push(format!("REPLICATION://{host}:{REPLICATION_PORT}"));
        for listener in &cluster.spec.listeners {
            let address = advertised(cluster, listener, node, surroundings)?;
            entries.push(format!("{}://{address}", names::listener(listener)));
        }
    }
    Ok(PodConfig {
        rack: facts.zone.clone().filter(|_| node.broker),
        broker: node.broker,
        controller: node.controller,
        listeners: properties::listeners(cluster, node.broker, node.controller),
        advertised: entries,
    })
}
