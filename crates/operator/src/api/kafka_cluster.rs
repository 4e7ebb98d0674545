//! A cluster of brokers.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KafkaClusterStatus, Listener, Mesh, PodOptions, Rolling, Storage, Zones, shared};

/// A Kafka cluster: brokers, their controllers, and the ways in.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ottla.dev",
    version = "v1alpha1",
    kind = "KafkaCluster",
    plural = "kafkaclusters",
    shortname = "kfk",
    category = "ottla",
    namespaced,
    derive = "PartialEq",
    derive = "Default",
    status = "KafkaClusterStatus",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Brokers", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Bootstrap", type_ = "string", json_path = ".status.bootstrap"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 40").message("the cluster's name becomes part of host names: 40 characters at most")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.listeners.all(a, self.listeners.exists_one(b, b.port == a.port))")
    .message("two listeners have the same port: give each one its own")
    .field_path(".listeners"))]
#[x_kube(validation = Rule::new("!has(self.pools) || self.pools.all(a, self.pools.exists_one(b, b.firstId == a.firstId))")
    .message("two pools have the same firstId: leave room for each pool's replicas, such as 100 and 200")
    .field_path(".pools"))]
#[x_kube(validation = Rule::new("!has(self.pools) || self.pools.all(p, p.firstId >= self.replicas && (self.controllers.mode == 'combined' || p.firstId + p.replicas <= 1000 || p.firstId >= 1100))")
    .message("a pool's firstId lies in the ids of the cluster's own brokers (0 to replicas - 1) or of separate controllers (1000 to 1099): choose a higher one, such as 100")
    .field_path(".pools"))]
#[x_kube(validation = Rule::new("!has(oldSelf.pools) || oldSelf.pools.all(old, old.replicas == 0 || (has(self.pools) && self.pools.exists(new, new.name == old.name)))")
    .message("a pool with brokers cannot be removed: set its replicas to 0 first, wait until its data has moved, then remove it")
    .field_path(".pools").reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("self.controllers.mode == oldSelf.controllers.mode")
    .message("controllers cannot go from combined to separate or back on a running cluster: make a new cluster and mirror the data (ottla mirror)")
    .field_path(".controllers.mode").reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("!has(self.config) || self.config.all(k, !(k in ['node.id', 'broker.id', 'process.roles', 'listeners', 'advertised.listeners', 'controller.quorum.voters', 'controller.quorum.bootstrap.servers', 'controller.listener.names', 'inter.broker.listener.name', 'listener.security.protocol.map', 'log.dirs', 'log.dir', 'broker.rack', 'ottla.node.id.ordinal.offset', 'ottla.http.listener']))")
    .message("config names a property that follows from the rest of the resource: node.id, process.roles, listeners, advertised.listeners, controller.*, inter.broker.listener.name, listener.security.protocol.map, log.dirs, broker.rack and ottla.http.listener are the operator's; use listeners, controllers, storage and zones")
    .field_path(".config"))]
#[x_kube(validation = shared::version_or_image())]
#[x_kube(validation = shared::version_is_a_tag())]
pub struct KafkaClusterSpec {
    /// How many brokers there are, pools aside.
    #[serde(default = "shared::replicas")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: i32,
    /// What all pods run: this tag of the operator's own image; unset, the operator's own tag. Another
    /// one rolls the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub version: Option<String>,
    /// Another image of all pods, with its tag or digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub image: Option<String>,
    /// Who keeps the cluster's metadata.
    #[serde(default)]
    pub controllers: Controllers,
    /// Further brokers, with other volumes, resources or nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub pools: Vec<NodePool>,
    /// The ways in. Unset, pods of this Kubernetes cluster reach it on port 9092.
    #[serde(default = "default_listeners")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub listeners: Vec<Listener>,
    /// The volume of each broker.
    #[serde(default)]
    pub storage: Storage,
    /// CPU and memory of each broker. From the limit of memory its own budget follows.
    #[serde(default)]
    pub resources: ResourceRequirements,
    /// How brokers and replicas are spread over zones.
    #[serde(default)]
    pub zones: Zones,
    /// Kafka's properties, such as `log.retention.ms`, as text. Brokers take another value of many of
    /// them while they run; where a change needs a restart, the cluster rolls.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 200))]
    pub config: BTreeMap<String, String>,
    /// What is measured.
    #[serde(default)]
    pub metrics: Metrics,
    /// A producer and a consumer that try each listener again and again.
    #[serde(default)]
    pub canary: Canary,
    /// How changes are rolled out, and what happens to what is lost.
    #[serde(default)]
    pub rolling: Rolling,
    /// How replicas are moved to brokers that come, and away from those that go.
    #[serde(default)]
    pub rebalance: Rebalance,
    /// A service mesh that the pods are part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<Mesh>,
    /// How pods look.
    #[serde(default)]
    pub pod: PodOptions,
    /// Whether the cluster is kept from being deleted by mistake: set it to false first.
    #[serde(default = "shared::yes")]
    pub deletion_guard: bool,
    /// Whether the operator leaves the cluster as it is.
    #[serde(default)]
    pub paused: bool,
}

fn default_listeners() -> Vec<Listener> {
    vec![Listener {
        name: "internal".to_owned(),
        port: 9092,
        kind: super::ListenerType::ClusterIp,
        node_port: None,
        load_balancer: None,
        ingress: None,
        tls_route: None,
        advertised_host: None,
        advertised_port: None,
    }]
}

/// Who keeps the cluster's metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.replicas % 2 == 1")
    .message("controllers decide by majority: an even number survives no more failures than one less; use 1, 3 or 5"))]
#[x_kube(validation = Rule::new("self.mode == 'separate' || (!has(self.storage) && !has(self.resources))")
    .message("combined controllers are the brokers: their storage and resources are those of the cluster"))]
pub struct Controllers {
    /// On the first brokers, or on pods of their own.
    #[serde(default)]
    pub mode: ControllersMode,
    /// How many vote. Combined, no more than there are brokers, which are taken down to an odd
    /// number.
    #[serde(default = "shared::replicas")]
    #[schemars(range(min = 1, max = 9))]
    pub replicas: i32,
    /// Separate controllers' volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Separate controllers' CPU and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

impl Default for Controllers {
    fn default() -> Self {
        Controllers {
            mode: ControllersMode::default(),
            replicas: shared::replicas(),
            storage: None,
            resources: None,
        }
    }
}

/// Where controllers run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ControllersMode {
    /// The first brokers are controllers, too.
    #[default]
    Combined,
    /// Pods of their own, with node ids from 1000 on.
    Separate,
}

/// Brokers that differ from the cluster's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.firstId == oldSelf.firstId")
    .message("the ids of brokers that exist cannot be changed: add another pool and remove this one")
    .reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("!(self.name in ['broker', 'controller'])")
    .message("the names broker and controller are the cluster's own: choose another one"))]
pub struct NodePool {
    /// Its name, a part of its pods' names.
    #[schemars(
        length(min = 1, max = 20),
        regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The broker id of its first pod; the others follow.
    #[schemars(range(min = 1, max = 100000))]
    pub first_id: i32,
    /// How many brokers it has.
    #[schemars(range(min = 0, max = 100))]
    pub replicas: i32,
    /// Their volumes; unset, like the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Their CPU and memory; unset, like the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Properties for them alone, over those of the cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 200))]
    pub config: BTreeMap<String, String>,
    /// How their pods look; unset, like the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodOptions>,
}

/// What is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Whether to make a `PodMonitor` for the Prometheus operator, where it is installed.
    #[serde(default)]
    pub pod_monitor: bool,
    /// Labels of the `PodMonitor`, by which Prometheus finds it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A producer and a consumer that try each listener again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// Whether it runs.
    #[serde(default)]
    pub enabled: bool,
    /// Its topic, with a partition for each broker.
    #[serde(default = "Canary::default_topic")]
    #[schemars(length(min = 1, max = 249))]
    pub topic: String,
    /// How often it tries.
    #[serde(default = "Canary::default_interval")]
    #[schemars(range(min = 1, max = 3600))]
    pub interval_seconds: i64,
}

impl Canary {
    fn default_topic() -> String {
        "__ottla_canary".to_owned()
    }

    fn default_interval() -> i64 {
        5
    }
}

impl Default for Canary {
    fn default() -> Self {
        Canary {
            enabled: false,
            topic: Self::default_topic(),
            interval_seconds: Self::default_interval(),
        }
    }
}

/// How replicas are moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.throttle) || (isQuantity(self.throttle) && quantity(self.throttle).compareTo(quantity('1k')) >= 0)")
    .message("throttle is a number of bytes in a second, 1k or more, with a suffix, such as 50Mi")
    .field_path(".throttle"))]
pub struct Rebalance {
    /// How many bytes each broker may copy for it in a second, such as `50Mi` (KIP-73); it holds for moves
    /// that somebody else asks for, too. It has to be more than what clients write to the replicas that
    /// move, which would never catch up. Unset: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "throttle_schema")]
    pub throttle: Option<Quantity>,
    /// How many partitions are copied at the same time.
    #[serde(default = "Rebalance::default_max_moves")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_moves_in_flight: i32,
}

fn throttle_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema = shared::quantity_schema();
    schema.insert("nullable".to_owned(), true.into());
    schema
}

impl Rebalance {
    fn default_max_moves() -> i32 {
        20
    }
}

impl Default for Rebalance {
    fn default() -> Self {
        Rebalance {
            throttle: None,
            max_moves_in_flight: Self::default_max_moves(),
        }
    }
}
