//! A Kubernetes cluster that has given everything that was asked for: to see what would come of a
//! resource before anything is asked.

use super::addresses::{self, Surroundings, Waiting};
use super::{Node, PodFacts, ServiceFacts, names, properties};
use crate::api::{KafkaCluster, Listener, NodeAddress};

/// Surroundings in which all brokers are on one node, and each Service has what it asked for, or else
/// something that no other one has.
pub(crate) fn imagined(cluster: &KafkaCluster, nodes: &[Node]) -> Surroundings {
    let mut around = Surroundings::default();
    let kinds = [
        NodeAddress::InternalIP,
        NodeAddress::ExternalIP,
        NodeAddress::InternalDNS,
        NodeAddress::ExternalDNS,
        NodeAddress::Hostname,
    ];
    for node in nodes {
        let addresses = kinds.map(|kind| (kind.as_str().to_owned(), "192.0.2.1".to_owned()));
        let facts = PodFacts {
            node: Some("node".to_owned()),
            node_addresses: addresses.to_vec(),
            ..PodFacts::default()
        };
        around.pods.insert(node.pod.clone(), facts);
    }
    // Ports that nobody can ask for, but servers take: each is used once.
    let mut next = 0;
    for listener in &cluster.spec.listeners {
        let options = listener.node_port.as_ref();
        let balancer = listener.load_balancer.as_ref();
        let address = balancer.and_then(|balancer| balancer.address.clone());
        let first = options.and_then(|options| options.first);
        let mut add = |name: String, node_port: Option<i32>| {
            next += 1;
            let port = node_port.unwrap_or(next);
            let host = address
                .clone()
                .unwrap_or_else(|| format!("lb-{next}.invalid"));
            let facts = ServiceFacts {
                node_ports: [(names::port(listener), port)].into(),
                ingress: vec![host],
            };
            around.services.insert(name, facts);
        };
        let bootstrap = options.and_then(|options| options.bootstrap);
        add(names::bootstrap(cluster, listener), bootstrap);
        for node in nodes {
            let port = first.map(|first| first.saturating_add(node.id));
            add(names::per_broker(node, listener), port);
        }
    }
    around
}

/// The host and the port of a listener at a broker.
pub(crate) fn endpoint(
    cluster: &KafkaCluster,
    listener: &Listener,
    node: &Node,
    around: &Surroundings,
) -> Result<(String, i32), Waiting> {
    let address = addresses::advertised(cluster, listener, node, around)?;
    Ok((address.host, address.port))
}

/// The replication factor of topics that ask for none.
pub(crate) fn default_replicas(cluster: &KafkaCluster) -> i32 {
    properties::Replication::of(cluster).factor
}
