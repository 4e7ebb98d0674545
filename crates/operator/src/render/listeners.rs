//! Services, Ingresses and routes: how each listener is reached.
//!
//! | type | bootstrap | for each broker |
//! |---|---|---|
//! | clusterIP | Service | (the pod's own name) |
//! | nodePort | Service | Service, with `externalTrafficPolicy: Local` |
//! | loadBalancer, per pod | Service | Service |
//! | loadBalancer, shared, with an address | (all brokers) | Service that asks for that address |
//! | loadBalancer, shared, without one | Service with a port a broker | EndpointSlice |
//! | ingress | Service, Ingress | Service, Ingress |
//! | tlsRoute | Service, TLSRoute | Service, TLSRoute |

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::addresses::{Balancing, Surroundings, balanced_port, balancing, fill, server_name};
use super::metadata::{Labels, Owner, label};
use super::{Manifest, Node, mesh, names};
use crate::api::{ExternalTrafficPolicy, KafkaCluster, Listener, ListenerType};

/// The newest version of `TLSRoute`, which Gateways' CRDs have since 1.5.
const TLS_ROUTE: &str = "gateway.networking.k8s.io/v1";

/// Makes what one listener needs.
pub(crate) struct Ways<'a> {
    pub(crate) cluster: &'a KafkaCluster,
    pub(crate) owner: &'a Owner,
    pub(crate) brokers: Vec<&'a Node>,
    pub(crate) surroundings: &'a Surroundings,
}

impl Ways<'_> {
    /// All that the listener needs.
    pub(crate) fn manifests(&self, listener: &Listener) -> Vec<Manifest> {
        let mut manifests = Vec::new();
        match listener.kind {
            ListenerType::ClusterIp => manifests.push(self.bootstrap(listener, json!({}))),
            ListenerType::NodePort => self.node_ports(listener, &mut manifests),
            ListenerType::LoadBalancer => match balancing(listener) {
                Balancing::PerPod => self.load_balancers(listener, &mut manifests),
                Balancing::SharedAddress => self.shared_address(listener, &mut manifests),
                Balancing::SharedService => self.shared_service(listener, &mut manifests),
            },
            ListenerType::Ingress => self.ingresses(listener, &mut manifests),
            ListenerType::TlsRoute => self.routes(listener, &mut manifests),
        }
        manifests
    }

    fn labels(&self, listener: &Listener) -> Labels {
        let mut labels = self.owner.labels("broker");
        labels.insert(label::LISTENER.to_owned(), listener.name.clone());
        labels
    }

    /// A Service. `spec` has what is special about it.
    fn service(
        &self,
        listener: &Listener,
        name: &str,
        annotations: &Labels,
        ports: Vec<Value>,
        mut spec: Value,
    ) -> Manifest {
        let numbers: Vec<i32> = ports
            .iter()
            .filter_map(|port| i32::try_from(port.get("port")?.as_i64()?).ok())
            .collect();
        let mut all = annotations.clone();
        all.extend(mesh::service_annotations(self.cluster.spec.mesh, &numbers));
        if let Some(fields) = spec.as_object_mut() {
            fields.insert("ports".to_owned(), Value::Array(ports));
            fields.entry("type").or_insert_with(|| json!("ClusterIP"));
        }
        Manifest::new(json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self.owner.annotated(name, &self.labels(listener), &all),
            "spec": spec,
        }))
    }

    /// A port of a Service that leads to the listener.
    fn port(listener: &Listener, port: i32, node_port: Option<i32>) -> Value {
        json!({
            "name": names::port(listener),
            "port": port,
            "targetPort": listener.port,
            "nodePort": node_port,
            "protocol": "TCP",
        })
    }

    /// The Service that leads to any broker.
    fn bootstrap(&self, listener: &Listener, special: Value) -> Manifest {
        let port = match listener.kind {
            ListenerType::LoadBalancer => {
                let options = listener.load_balancer.as_ref();
                options.map_or(9092, |options| options.port)
            }
            _ => listener.port,
        };
        let node_port = listener
            .node_port
            .as_ref()
            .and_then(|options| options.bootstrap);
        let mut selector = self.owner.selector();
        selector.insert(label::BROKER.to_owned(), "true".to_owned());
        let mut spec = special;
        if let Some(fields) = spec.as_object_mut() {
            fields.insert("selector".to_owned(), json!(selector));
        }
        let annotations = self.balancer_annotations(listener, None);
        let ports = vec![Self::port(listener, port, node_port)];
        let name = names::bootstrap(self.cluster, listener);
        self.service(listener, &name, &annotations, ports, spec)
    }

    /// The Service that leads to one broker.
    fn of_broker(
        &self,
        listener: &Listener,
        node: &Node,
        port: i32,
        node_port: Option<i32>,
        special: Value,
    ) -> Manifest {
        let mut spec = special;
        if let Some(fields) = spec.as_object_mut() {
            let selector = json!({ "statefulset.kubernetes.io/pod-name": node.pod });
            fields.insert("selector".to_owned(), selector);
            // A broker that is behind with one partition may lead others, and nobody else can stand
            // in for it.
            fields.insert("publishNotReadyAddresses".to_owned(), json!(true));
        }
        let annotations = self.balancer_annotations(listener, Some(node));
        let ports = vec![Self::port(listener, port, node_port)];
        let name = names::per_broker(node, listener);
        self.service(listener, &name, &annotations, ports, spec)
    }

    fn balancer_annotations(&self, listener: &Listener, node: Option<&Node>) -> Labels {
        let Some(options) = &listener.load_balancer else {
            return BTreeMap::new();
        };
        let fill_in = |(key, value): (&String, &String)| {
            let value =
                node.map_or_else(|| value.replace("{pod}", "bootstrap"), |n| fill(value, n));
            (key.clone(), value)
        };
        options.annotations.iter().map(fill_in).collect()
    }

    fn node_ports(&self, listener: &Listener, manifests: &mut Vec<Manifest>) {
        manifests.push(self.bootstrap(listener, json!({ "type": "NodePort" })));
        let first = listener
            .node_port
            .as_ref()
            .and_then(|options| options.first);
        for node in &self.brokers {
            let node_port = first.map(|first| first.saturating_add(node.id));
            let special = json!({ "type": "NodePort", "externalTrafficPolicy": "Local" });
            manifests.push(self.of_broker(listener, node, listener.port, node_port, special));
        }
    }

    /// The part of a Service's spec that is about its load balancer.
    fn balancer(listener: &Listener, policy: ExternalTrafficPolicy) -> Value {
        let options = listener.load_balancer.as_ref();
        let said = options.and_then(|options| options.external_traffic_policy);
        let ranges = options.map(|options| &options.source_ranges);
        json!({
            "type": "LoadBalancer",
            "externalTrafficPolicy": said.unwrap_or(policy),
            "loadBalancerIP": options.and_then(|options| options.address.as_ref()),
            "loadBalancerClass": options.and_then(|options| options.class.as_ref()),
            "loadBalancerSourceRanges": ranges.filter(|ranges| !ranges.is_empty()),
        })
    }

    fn load_balancers(&self, listener: &Listener, manifests: &mut Vec<Manifest>) {
        // Any node may take what is for any broker.
        let special = Self::balancer(listener, ExternalTrafficPolicy::Cluster);
        manifests.push(self.bootstrap(listener, special));
        for node in &self.brokers {
            let special = Self::balancer(listener, ExternalTrafficPolicy::Local);
            let port = balanced_port(listener, node);
            manifests.push(self.of_broker(listener, node, port, None, special));
        }
    }

    fn shared_address(&self, listener: &Listener, manifests: &mut Vec<Manifest>) {
        for node in &self.brokers {
            // An address that Services share comes in at one node, which the broker need not be on.
            let special = Self::balancer(listener, ExternalTrafficPolicy::Cluster);
            let port = balanced_port(listener, node);
            manifests.push(self.of_broker(listener, node, port, None, special));
        }
    }

    fn shared_service(&self, listener: &Listener, manifests: &mut Vec<Manifest>) {
        let name = names::bootstrap(self.cluster, listener);
        let port_name = |node: &Node| format!("tcp-{}", node.id);
        let mut ports = Vec::new();
        for node in &self.brokers {
            ports.push(json!({
                "name": port_name(node),
                "port": balanced_port(listener, node),
                "targetPort": listener.port,
                "protocol": "TCP",
            }));
        }
        // A Service without ports is refused, and one without brokers has nowhere to lead.
        if ports.is_empty() {
            return;
        }
        let special = Self::balancer(listener, ExternalTrafficPolicy::Cluster);
        let annotations = self.balancer_annotations(listener, None);
        manifests.push(self.service(listener, &name, &annotations, ports, special));
        for node in &self.brokers {
            manifests.push(self.endpoint_slice(listener, node, &name, &port_name(node)));
        }
    }

    /// Where a port of a shared Service leads: to the broker while it is ready, else nowhere.
    fn endpoint_slice(
        &self,
        listener: &Listener,
        node: &Node,
        service: &str,
        port_name: &str,
    ) -> Manifest {
        let facts = self.surroundings.pods.get(&node.pod);
        let ready = facts.filter(|facts| facts.ready);
        let ip = ready.and_then(|facts| facts.ip.clone());
        let endpoint = |ip: &String| {
            json!({
                "addresses": [ip],
                "conditions": { "ready": true },
                "nodeName": ready.and_then(|facts| facts.node.as_ref()),
                "zone": ready.and_then(|facts| facts.zone.as_ref()),
                "targetRef": {
                    "kind": "Pod",
                    "name": node.pod,
                    "namespace": names::namespace(&self.cluster.metadata),
                },
            })
        };
        let kind = match &ip {
            Some(ip) if ip.contains(':') => "IPv6",
            _ => "IPv4",
        };
        let mut labels = self.labels(listener);
        labels.insert("kubernetes.io/service-name".to_owned(), service.to_owned());
        let by = "endpointslice.kubernetes.io/managed-by".to_owned();
        labels.insert(by, label::OPERATOR.to_owned());
        let name = names::per_broker(node, listener);
        Manifest::new(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": self.owner.metadata(&name, &labels),
            "addressType": kind,
            "ports": [{ "name": port_name, "port": listener.port, "protocol": "TCP" }],
            "endpoints": ip.iter().map(endpoint).collect::<Vec<_>>(),
        }))
    }

    fn ingresses(&self, listener: &Listener, manifests: &mut Vec<Manifest>) {
        let Some(options) = &listener.ingress else {
            return;
        };
        let ingress = |name: &str, host: &str| {
            let backend = json!({
                "service": { "name": name, "port": { "name": names::port(listener) } },
            });
            Manifest::new(json!({
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "metadata":
                    self.owner.annotated(name, &self.labels(listener), &options.annotations),
                "spec": {
                    "ingressClassName": options.class,
                    // TLS passes through to the broker, which has the certificate.
                    "tls": [{ "hosts": [host] }],
                    "rules": [{
                        "host": host,
                        "http": {
                            "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }],
                        },
                    }],
                },
            }))
        };
        self.by_server_name(listener, &options.bootstrap_host, &ingress, manifests);
    }

    fn routes(&self, listener: &Listener, manifests: &mut Vec<Manifest>) {
        let Some(options) = &listener.tls_route else {
            return;
        };
        let route = |name: &str, host: &str| {
            Manifest::new(json!({
                "apiVersion": TLS_ROUTE,
                "kind": "TLSRoute",
                "metadata": self.owner.metadata(name, &self.labels(listener)),
                "spec": {
                    "parentRefs": [{
                        "name": options.gateway.name,
                        "namespace": options.gateway.namespace,
                        "sectionName": options.gateway.section_name,
                    }],
                    "hostnames": [host],
                    "rules": [{ "backendRefs": [{ "name": name, "port": listener.port }] }],
                },
            }))
        };
        self.by_server_name(listener, &options.bootstrap_host, &route, manifests);
    }

    /// A Service and what leads to it, for any broker and for each.
    fn by_server_name(
        &self,
        listener: &Listener,
        bootstrap_host: &str,
        leading: &dyn Fn(&str, &str) -> Manifest,
        manifests: &mut Vec<Manifest>,
    ) {
        manifests.push(self.bootstrap(listener, json!({})));
        let name = names::bootstrap(self.cluster, listener);
        manifests.push(leading(&name, bootstrap_host));
        for node in &self.brokers {
            manifests.push(self.of_broker(listener, node, listener.port, None, json!({})));
            let host = fill(server_name(listener), node);
            manifests.push(leading(&names::per_broker(node, listener), &host));
        }
    }
}
