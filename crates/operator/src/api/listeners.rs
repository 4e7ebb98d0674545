//! Where clients reach a cluster.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One way in, with a port of its own on each broker and addresses of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.nodePort) || self.type == 'nodePort'")
    .message("nodePort settings need type: nodePort"))]
#[x_kube(validation = Rule::new("!has(self.loadBalancer) || self.type == 'loadBalancer'")
    .message("loadBalancer settings need type: loadBalancer"))]
#[x_kube(validation = Rule::new("(self.type == 'ingress') == has(self.ingress)")
    .message("type: ingress needs the settings ingress.host and ingress.bootstrapHost, and no other type has them"))]
#[x_kube(validation = Rule::new("(self.type == 'tlsRoute') == has(self.tlsRoute)")
    .message("type: tlsRoute needs the settings tlsRoute.gateway, tlsRoute.host and tlsRoute.bootstrapHost, and no other type has them"))]
#[x_kube(validation = Rule::new("!(self.port in [9090, 9091, 9644])")
    .message("ports 9090 (controllers), 9091 (brokers among themselves) and 9644 (health and metrics) are taken: choose another port, such as 9094"))]
#[x_kube(validation = Rule::new("!(self.name in ['controller', 'replication', 'nodes', 'servers'])")
    .message("the names controller, replication, nodes and servers are taken: choose another name, such as outside"))]
pub struct Listener {
    /// Its name in configuration and metrics, in lower case.
    #[schemars(
        length(min = 1, max = 20),
        regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The port that brokers listen on.
    #[schemars(range(min = 1024, max = 65535))]
    pub port: i32,
    /// How it is reached.
    #[serde(rename = "type", default)]
    pub kind: ListenerType,
    /// For type nodePort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<NodePortOptions>,
    /// For type loadBalancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancerOptions>,
    /// For type ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressOptions>,
    /// For type tlsRoute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_route: Option<TlsRouteOptions>,
    /// The host that brokers advertise, where it is not the one that Kubernetes tells: a template
    /// with `{ordinal}`, `{id}` and `{pod}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub advertised_host: Option<String>,
    /// The port that broker 0 advertises, where it is not the one that Kubernetes tells; each next
    /// one has the next port. With a host that differs from broker to broker, all have this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub advertised_port: Option<i32>,
}

/// How a listener is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ListenerType {
    /// By pods of this Kubernetes cluster, under the pods' own names.
    #[default]
    #[serde(rename = "clusterIP")]
    ClusterIp,
    /// At a port of the nodes.
    NodePort,
    /// At the addresses of load balancers.
    LoadBalancer,
    /// By server name, through an ingress controller that passes TLS through.
    Ingress,
    /// By server name, through a Gateway.
    TlsRoute,
}

/// For type nodePort.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePortOptions {
    /// The node port of the bootstrap service; unset, Kubernetes chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub bootstrap: Option<i32>,
    /// The node port of the broker with id 0; each next one has the next port. Unset,
    /// Kubernetes chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub first: Option<i32>,
    /// Which address of a node is advertised.
    #[serde(default)]
    pub address: NodeAddress,
}

/// An address of a node, as its status lists them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NodeAddress {
    /// The address inside the data centre.
    #[default]
    InternalIP,
    /// The address that others see.
    ExternalIP,
    /// The name inside the data centre.
    InternalDNS,
    /// The name that others see.
    ExternalDNS,
    /// The host name.
    Hostname,
}

impl NodeAddress {
    /// As a node's status has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            NodeAddress::InternalIP => "InternalIP",
            NodeAddress::ExternalIP => "ExternalIP",
            NodeAddress::InternalDNS => "InternalDNS",
            NodeAddress::ExternalDNS => "ExternalDNS",
            NodeAddress::Hostname => "Hostname",
        }
    }
}

/// For type loadBalancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerOptions {
    /// One load balancer for each broker, or one address for all.
    #[serde(default)]
    pub mode: LoadBalancerMode,
    /// With mode shared: the port of the broker with id 0; each next one has the next port.
    /// With mode perPod: the port of all.
    #[serde(default = "LoadBalancerOptions::default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The address to ask for (`spec.loadBalancerIP`), with mode shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The class of load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Whether what comes in at a node goes to brokers on that node alone, which keeps the client's
    /// address. Unset, `Local` for a broker's own load balancer; `Cluster` where brokers share an
    /// address, since that may come in at a node without the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<ExternalTrafficPolicy>,
    /// Annotations of the services; `{ordinal}`, `{id}` and `{pod}` are filled in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Who may come in: CIDRs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub source_ranges: Vec<String>,
}

impl LoadBalancerOptions {
    fn default_port() -> i32 {
        9092
    }
}

/// Where a node sends what a load balancer gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExternalTrafficPolicy {
    /// To any broker of the service; the client's address is lost.
    Cluster,
    /// To brokers on that node.
    Local,
}

/// How many load balancers there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LoadBalancerMode {
    /// One address, with a port for each broker: 9092, 9093, 9094, …
    #[default]
    Shared,
    /// One for each broker, all with the same port.
    PerPod,
}

/// For type ingress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.host.contains('{ordinal}') || self.host.contains('{id}') || self.host.contains('{pod}')")
    .message("host must differ from broker to broker: write {ordinal}, {id} or {pod} in it, such as broker-{id}.kafka.example.org"))]
pub struct IngressOptions {
    /// The ingress class; its controller must pass TLS through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The server name of each broker: a template with `{ordinal}`, `{id}` or `{pod}`.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The server name of any broker.
    #[schemars(length(min = 1, max = 253))]
    pub bootstrap_host: String,
    /// The port that clients use.
    #[serde(default = "default_tls_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Annotations, such as the one that makes the controller pass TLS through.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// For type tlsRoute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.host.contains('{ordinal}') || self.host.contains('{id}') || self.host.contains('{pod}')")
    .message("host must differ from broker to broker: write {ordinal}, {id} or {pod} in it, such as broker-{id}.kafka.example.org"))]
pub struct TlsRouteOptions {
    /// The Gateway with a TLS listener in mode Passthrough.
    pub gateway: GatewayRef,
    /// The server name of each broker: a template with `{ordinal}`, `{id}` or `{pod}`.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The server name of any broker.
    #[schemars(length(min = 1, max = 253))]
    pub bootstrap_host: String,
    /// The port that clients use.
    #[serde(default = "default_tls_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

fn default_tls_port() -> i32 {
    443
}

/// A Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; unset, the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its listener; unset, each one that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}
