//! What clusters and ensembles have in common: volumes, zones, and how pods look.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, LocalObjectReference, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The volume of each pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.class) == has(oldSelf.class) && (!has(self.class) || self.class == oldSelf.class)")
    .message("a volume's storage class cannot be changed: add a node pool with the other class, move the data there, and remove this one")
    .reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("isQuantity(self.size) && quantity(self.size).isGreaterThan(quantity('0'))")
    .message("size is a number of bytes above 0 with a suffix, such as 100Gi")
    .field_path(".size"))]
#[x_kube(validation = Rule::new("!isQuantity(self.size) || !isQuantity(oldSelf.size) || quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0")
    .message("volumes cannot shrink: give the size of before or more; for smaller ones add a node pool, and remove this one when its data has moved")
    .field_path(".size").reason(Reason::FieldValueForbidden))]
pub struct Storage {
    /// The size of each volume. It can grow while pods run, where the storage class allows it, and
    /// cannot shrink.
    #[serde(default = "Storage::default_size")]
    #[schemars(schema_with = "size_schema")]
    pub size: Quantity,
    /// The storage class; unset, the cluster's default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

fn size_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    super::shared::quantity_schema()
}

impl Storage {
    fn default_size() -> Quantity {
        Quantity("10Gi".to_owned())
    }
}

impl Default for Storage {
    fn default() -> Self {
        Storage {
            size: Self::default_size(),
            class: None,
        }
    }
}

/// How pods are spread over zones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Zones {
    /// The label of nodes that names their zone. It becomes `broker.rack`.
    #[serde(default = "Zones::default_key")]
    #[schemars(length(min = 1, max = 317))]
    pub topology_key: String,
    /// Whether a pod rather waits than makes zones uneven.
    #[serde(default)]
    pub required: bool,
}

impl Zones {
    fn default_key() -> String {
        "topology.kubernetes.io/zone".to_owned()
    }
}

impl Default for Zones {
    fn default() -> Self {
        Zones {
            topology_key: Self::default_key(),
            required: false,
        }
    }
}

/// How changes are rolled out, and what happens to what is lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rolling {
    /// How long a restarted pod may take until it is ready, and the others may be in step with it; then
    /// the roll stops, and the condition says at which pod.
    #[serde(default = "Rolling::default_timeout")]
    #[schemars(range(min = 10, max = 86400))]
    pub timeout_seconds: i64,
    /// How long a restarted pod is ready before others are restarted, or it leads again. It is the time
    /// that Kubernetes and load balancers may take to send clients there once more; set it to what the
    /// health checks of a load balancer take.
    #[serde(default = "Rolling::default_min_ready")]
    #[schemars(range(min = 0, max = 3600))]
    pub min_ready_seconds: i64,
    /// How long a pod whose node or volume is gone is waited for. Then its claim is given up and the
    /// replica is built again from the others, if they have everything. 0: it is waited for ever.
    #[serde(default = "Rolling::default_rebuild")]
    #[schemars(range(min = 0, max = 604800))]
    pub rebuild_after_seconds: i64,
}

impl Rolling {
    fn default_timeout() -> i64 {
        600
    }

    fn default_min_ready() -> i64 {
        3
    }

    fn default_rebuild() -> i64 {
        1800
    }
}

impl Default for Rolling {
    fn default() -> Self {
        Rolling {
            timeout_seconds: Self::default_timeout(),
            min_ready_seconds: Self::default_min_ready(),
            rebuild_after_seconds: Self::default_rebuild(),
        }
    }
}

/// A service mesh whose proxies run beside the pods' own container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mesh {
    /// Istio: the proxy starts first, and stays until the hand-over is done.
    Istio,
    /// Linkerd: the same.
    Linkerd,
}

/// How pods look, beyond what follows from everything else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodOptions {
    /// More labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// More annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// More environment variables of the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub env: Vec<EnvVar>,
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub tolerations: Vec<Toleration>,
    /// Whether two pods of the same cluster may run on one node.
    #[serde(default)]
    pub share_nodes: bool,
    /// The priority class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class: Option<String>,
    /// When the image is pulled: Always, IfNotPresent or Never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<String>,
    /// Secrets for the image's registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// How long a pod may take to hand over and stop.
    #[serde(default = "PodOptions::default_grace")]
    #[schemars(range(min = 10, max = 3600))]
    pub termination_grace_period_seconds: i64,
}

impl PodOptions {
    /// As in the documents that people follow.
    fn default_grace() -> i64 {
        300
    }
}

impl Default for PodOptions {
    fn default() -> Self {
        PodOptions {
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            env: Vec::new(),
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            share_nodes: false,
            priority_class: None,
            image_pull_policy: None,
            image_pull_secrets: Vec::new(),
            termination_grace_period_seconds: Self::default_grace(),
        }
    }
}
