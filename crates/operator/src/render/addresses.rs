//! What Kubernetes has told, and what follows from it for clients.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::core::v1 as core;

use super::{Node, names};
use crate::api::{
    KafkaCluster, Listener, ListenerStatus, ListenerType, LoadBalancerMode, NodeAddress,
};

/// What Kubernetes has told of a cluster's surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The domain of the Kubernetes cluster's own names.
    pub cluster_domain: String,
    /// Services, by name.
    pub services: BTreeMap<String, ServiceFacts>,
    /// Pods, by name.
    pub pods: BTreeMap<String, PodFacts>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Surroundings {
            cluster_domain: "cluster.local".to_owned(),
            services: BTreeMap::new(),
            pods: BTreeMap::new(),
        }
    }
}

/// What is known of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Its node ports, by the name of the port.
    pub node_ports: BTreeMap<String, i32>,
    /// What its load balancer is reached at: addresses and host names.
    pub ingress: Vec<String>,
}

impl ServiceFacts {
    /// What a Service says of itself.
    #[must_use]
    pub fn of(service: &core::Service) -> ServiceFacts {
        let ports = service
            .spec
            .iter()
            .flat_map(|spec| spec.ports.iter().flatten());
        let node_ports = ports
            .filter_map(|port| Some((port.name.clone().unwrap_or_default(), port.node_port?)))
            .filter(|(_, port)| *port != 0)
            .collect();
        let balancer = service
            .status
            .as_ref()
            .and_then(|status| status.load_balancer.as_ref());
        let entries = balancer.and_then(|balancer| balancer.ingress.as_ref());
        // An address needs no look-up; some clouds tell a name alone.
        let ingress = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ip.clone().or_else(|| entry.hostname.clone()))
            .filter(|address| !address.is_empty())
            .collect();
        ServiceFacts {
            node_ports,
            ingress,
        }
    }
}

/// What is known of a pod and the node that it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// The node that it runs on; unset until it is scheduled.
    pub node: Option<String>,
    /// The node's addresses, by type. Empty if nodes may not be read.
    pub node_addresses: Vec<(String, String)>,
    /// The node's zone.
    pub zone: Option<String>,
    /// The pod's address.
    pub ip: Option<String>,
    /// Whether the pod is ready.
    pub ready: bool,
}

impl PodFacts {
    /// What a pod and its node say of themselves.
    #[must_use]
    pub fn of(pod: &core::Pod, node: Option<&core::Node>, topology_key: &str) -> PodFacts {
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_ref());
        let addresses = node
            .and_then(|node| node.status.as_ref())
            .and_then(|status| status.addresses.as_ref());
        let labels = node.and_then(|node| node.metadata.labels.as_ref());
        PodFacts {
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            node_addresses: addresses
                .into_iter()
                .flatten()
                .map(|address| (address.type_.clone(), address.address.clone()))
                .collect(),
            zone: labels.and_then(|labels| labels.get(topology_key)).cloned(),
            ip: status.and_then(|status| status.pod_ip.clone()),
            ready: conditions
                .into_iter()
                .flatten()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        }
    }
}

/// What has to happen in Kubernetes before an address is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The pod has no node yet.
    Scheduling {
        /// The pod.
        pod: String,
    },
    /// The Service has no node port yet.
    NodePort {
        /// The Service.
        service: String,
    },
    /// The Service has no load balancer yet.
    LoadBalancer {
        /// The Service.
        service: String,
    },
    /// The node has no address of the type that is to be advertised.
    NodeAddress {
        /// The node.
        node: String,
        /// The type.
        kind: NodeAddress,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waiting::Scheduling { pod } => write!(f, "pod {pod} to get a node"),
            Waiting::NodePort { service } => write!(f, "Service {service} to get a node port"),
            Waiting::LoadBalancer { service } => write!(
                f,
                "Service {service} to get an address from a load balancer; if none is there to give \
                 one, use type: nodePort"
            ),
            Waiting::NodeAddress { node, kind } => write!(
                f,
                "node {node} to have an address of type {}; another one can be named in \
                 nodePort.address, or given in advertisedHost",
                kind.as_str()
            ),
        }
    }
}

/// Fills in `{ordinal}`, `{id}` and `{pod}`.
pub(crate) fn fill(template: &str, node: &Node) -> String {
    template
        .replace("{ordinal}", &node.ordinal.to_string())
        .replace("{id}", &node.id.to_string())
        .replace("{pod}", &node.pod)
}

/// Whether a host differs from broker to broker.
pub(crate) fn is_template(host: &str) -> bool {
    ["{ordinal}", "{id}", "{pod}"]
        .iter()
        .any(|part| host.contains(part))
}

/// Where clients of a listener reach a broker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: i32,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Surroundings {
    fn load_balancer(&self, service: String) -> Result<String, Waiting> {
        let facts = self.services.get(&service);
        let address = facts.and_then(|facts| facts.ingress.first()).cloned();
        address.ok_or(Waiting::LoadBalancer { service })
    }

    fn node_port(&self, service: String, port: &str) -> Result<i32, Waiting> {
        let facts = self.services.get(&service);
        let found = facts.and_then(|facts| facts.node_ports.get(port)).copied();
        found.ok_or(Waiting::NodePort { service })
    }

    fn node_address(&self, pod: &str, kind: NodeAddress) -> Result<String, Waiting> {
        let facts = self.pods.get(pod);
        let node = facts.and_then(|facts| facts.node.clone());
        let (Some(facts), Some(node)) = (facts, node) else {
            let pod = pod.to_owned();
            return Err(Waiting::Scheduling { pod });
        };
        let mut addresses = facts.node_addresses.iter();
        let found = addresses.find(|(found, _)| found == kind.as_str());
        found
            .map(|(_, address)| address.clone())
            .ok_or(Waiting::NodeAddress { node, kind })
    }
}

/// The host that a broker advertises: what the resource says, or else what Kubernetes tells.
fn host(
    cluster: &KafkaCluster,
    listener: &Listener,
    node: &Node,
    around: &Surroundings,
) -> Result<String, Waiting> {
    if let Some(host) = &listener.advertised_host {
        return Ok(fill(host, node));
    }
    match listener.kind {
        ListenerType::ClusterIp => Ok(names::pod_host(cluster, &node.pod, &around.cluster_domain)),
        ListenerType::NodePort => {
            let options = listener.node_port.as_ref();
            let kind = options.map(|options| options.address).unwrap_or_default();
            around.node_address(&node.pod, kind)
        }
        ListenerType::LoadBalancer => {
            let service = match balancing(listener) {
                Balancing::PerPod | Balancing::SharedAddress => names::per_broker(node, listener),
                Balancing::SharedService => names::bootstrap(cluster, listener),
            };
            around.load_balancer(service)
        }
        ListenerType::Ingress | ListenerType::TlsRoute => Ok(fill(server_name(listener), node)),
    }
}

/// The port that a broker advertises.
fn port(listener: &Listener, node: &Node, around: &Surroundings) -> Result<i32, Waiting> {
    if let Some(port) = listener.advertised_port {
        let differs = listener.advertised_host.as_deref().map_or_else(
            || match listener.kind {
                ListenerType::ClusterIp | ListenerType::Ingress | ListenerType::TlsRoute => true,
                ListenerType::LoadBalancer => balancing(listener) == Balancing::PerPod,
                ListenerType::NodePort => false,
            },
            is_template,
        );
        return Ok(if differs {
            port
        } else {
            port.saturating_add(node.id)
        });
    }
    Ok(match listener.kind {
        ListenerType::ClusterIp => listener.port,
        ListenerType::NodePort => {
            around.node_port(names::per_broker(node, listener), &names::port(listener))?
        }
        ListenerType::LoadBalancer => balanced_port(listener, node),
        ListenerType::Ingress => listener
            .ingress
            .as_ref()
            .map_or(443, |ingress| ingress.port),
        ListenerType::TlsRoute => listener.tls_route.as_ref().map_or(443, |route| route.port),
    })
}

/// The template of the server names of an ingress or a route.
pub(crate) fn server_name(listener: &Listener) -> &str {
    let ingress = listener.ingress.as_ref().map(|ingress| &ingress.host);
    let route = listener.tls_route.as_ref().map(|route| &route.host);
    ingress.or(route).map_or("", String::as_str)
}

/// How load balancers are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balancing {
    /// One for each broker.
    PerPod,
    /// A Service for each broker, which all ask for the same address.
    SharedAddress,
    /// One Service with a port for each broker.
    SharedService,
}

pub(crate) fn balancing(listener: &Listener) -> Balancing {
    let options = listener.load_balancer.as_ref();
    match options.map(|options| options.mode).unwrap_or_default() {
        LoadBalancerMode::PerPod => Balancing::PerPod,
        LoadBalancerMode::Shared if options.is_some_and(|options| options.address.is_some()) => {
            Balancing::SharedAddress
        }
        LoadBalancerMode::Shared => Balancing::SharedService,
    }
}

/// The port of a broker at a load balancer. Where brokers share an address it follows from the node
/// id, which stays when pools come and go; of the cluster's own brokers that is the ordinal.
pub(crate) fn balanced_port(listener: &Listener, node: &Node) -> i32 {
    let first = listener
        .load_balancer
        .as_ref()
        .map_or(9092, |options| options.port);
    match balancing(listener) {
        Balancing::PerPod => first,
        Balancing::SharedAddress | Balancing::SharedService => first.saturating_add(node.id),
    }
}

/// Where clients of a listener reach a broker.
pub(crate) fn advertised(
    cluster: &KafkaCluster,
    listener: &Listener,
    node: &Node,
    around: &Surroundings,
) -> Result<Address, Waiting> {
    Ok(Address {
        host: host(cluster, listener, node, around)?,
        port: port(listener, node, around)?,
    })
}

/// What a person connects to, listener by listener, and what is still waited for.
#[must_use]
pub fn listener_status(
    cluster: &KafkaCluster,
    surroundings: &Surroundings,
    nodes: &[Node],
) -> Vec<ListenerStatus> {
    let listeners = cluster.spec.listeners.iter();
    listeners
        .map(|listener| {
            let bootstrap = bootstrap(cluster, listener, surroundings, nodes);
            let brokers = nodes.iter().filter(|node| node.broker);
            let waiting = brokers
                .filter_map(|node| advertised(cluster, listener, node, surroundings).err())
                .next();
            let waiting = bootstrap.as_ref().err().cloned().or(waiting);
            let bootstrap = bootstrap.ok();
            ListenerStatus {
                name: listener.name.clone(),
                kind: listener.kind,
                try_it: bootstrap.as_ref().map(|address| try_it(listener, address)),
                bootstrap,
                waiting_for: waiting.map(|waiting| waiting.to_string()),
            }
        })
        .collect()
}

fn try_it(listener: &Listener, address: &str) -> String {
    match listener.kind {
        ListenerType::Ingress | ListenerType::TlsRoute => {
            format!("kcat -b {address} -X security.protocol=ssl -L")
        }
        _ => format!("kcat -b {address} -L"),
    }
}

/// What a client connects to first.
fn bootstrap(
    cluster: &KafkaCluster,
    listener: &Listener,
    around: &Surroundings,
    nodes: &[Node],
) -> Result<String, Waiting> {
    let brokers = || nodes.iter().filter(|node| node.broker);
    let all_brokers = || {
        let mut addresses = Vec::new();
        for node in brokers() {
            addresses.push(advertised(cluster, listener, node, around)?.to_string());
        }
        Ok(addresses.join(","))
    };
    if listener.advertised_host.is_some() {
        return all_brokers();
    }
    let service = names::bootstrap(cluster, listener);
    match listener.kind {
        ListenerType::ClusterIp => {
            let namespace = names::namespace(&cluster.metadata);
            Ok(format!("{service}.{namespace}.svc:{}", listener.port))
        }
        ListenerType::NodePort => {
            let port = around.node_port(service, &names::port(listener))?;
            let kind = listener.node_port.as_ref().map(|options| options.address);
            let mut hosts = BTreeSet::new();
            let mut waiting = None;
            for node in brokers() {
                match around.node_address(&node.pod, kind.unwrap_or_default()) {
                    Ok(host) => drop(hosts.insert(host)),
                    Err(error) => waiting = waiting.or(Some(error)),
                }
            }
            // Three are enough to find the others.
            let addresses = hosts.into_iter().take(3).map(|host| Address { host, port });
            let text: Vec<String> = addresses.map(|address| address.to_string()).collect();
            match waiting.filter(|_| text.is_empty()) {
                Some(waiting) => Err(waiting),
                None => Ok(text.join(",")),
            }
        }
        ListenerType::LoadBalancer if balancing(listener) == Balancing::PerPod => {
            let host = around.load_balancer(service)?;
            let port = listener
                .load_balancer
                .as_ref()
                .map_or(9092, |options| options.port);
            Ok(Address { host, port }.to_string())
        }
        ListenerType::LoadBalancer => all_brokers(),
        ListenerType::Ingress | ListenerType::TlsRoute => {
            let ingress = listener.ingress.as_ref();
            let route = listener.tls_route.as_ref();
            let host = ingress
                .map(|ingress| (&ingress.bootstrap_host, ingress.port))
                .or_else(|| route.map(|route| (&route.bootstrap_host, route.port)));
            Ok(host.map_or_else(String::new, |(host, port)| format!("{host}:{port}")))
        }
    }
}
