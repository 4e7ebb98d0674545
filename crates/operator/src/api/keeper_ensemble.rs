//! An ensemble of keepers: the ZooKeeper service.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{Mesh, Metrics, PodOptions, Rolling, Storage, Zones, shared};

/// A ZooKeeper ensemble.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ottla.dev",
    version = "v1alpha1",
    kind = "KeeperEnsemble",
    plural = "keeperensembles",
    shortname = "kpr",
    category = "ottla",
    namespaced,
    derive = "PartialEq",
    derive = "Default",
    status = "KeeperEnsembleStatus",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Servers", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Connect", type_ = "string", json_path = ".status.connect"),
    printcolumn(name = "Leader", type_ = "string", json_path = ".status.leader"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 40").message("the ensemble's name becomes part of host names: 40 characters at most")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.replicas % 2 == 1")
    .message("servers decide by majority: an even number survives no more failures than one less; use 1, 3, 5 or 7")
    .field_path(".replicas"))]
#[x_kube(validation = Rule::new("!has(self.config) || self.config.all(k, !(k in ['dataDir', 'dataLogDir', 'clientPort', 'clientPortAddress', 'myid', 'admin.serverPort']) && !k.startsWith('server.'))")
    .message("config names a setting that follows from the rest of the resource: dataDir, dataLogDir, clientPort, myid, admin.serverPort and server.* are the operator's; use replicas and storage")
    .field_path(".config"))]
#[x_kube(validation = shared::version_or_image())]
#[x_kube(validation = shared::version_is_a_tag())]
pub struct KeeperEnsembleSpec {
    /// How many servers vote.
    #[serde(default = "shared::replicas")]
    #[schemars(range(min = 1, max = 7))]
    pub replicas: i32,
    /// What all pods run: this tag of the operator's own image; unset, the operator's own tag. Another
    /// one rolls the ensemble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub version: Option<String>,
    /// Another image of all pods, with its tag or digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub image: Option<String>,
    /// The volume of each server.
    #[serde(default)]
    pub storage: Storage,
    /// CPU and memory of each server.
    #[serde(default)]
    pub resources: ResourceRequirements,
    /// How servers are spread over zones.
    #[serde(default)]
    pub zones: Zones,
    /// Settings of `zoo.cfg`, such as `tickTime`, as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub config: BTreeMap<String, String>,
    /// What is measured.
    #[serde(default)]
    pub metrics: Metrics,
    /// How changes are rolled out, and what happens to what is lost.
    #[serde(default)]
    pub rolling: Rolling,
    /// A service mesh that the pods are part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<Mesh>,
    /// How pods look.
    #[serde(default)]
    pub pod: PodOptions,
    /// Whether the ensemble is kept from being deleted by mistake: set it to false first.
    #[serde(default = "shared::yes")]
    pub deletion_guard: bool,
    /// Whether the operator leaves the ensemble as it is.
    #[serde(default)]
    pub paused: bool,
}

/// What is known of an ensemble.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeeperEnsembleStatus {
    /// `Ready`, `Progressing`, `Degraded`, with reasons.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation that this tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many servers there are.
    #[serde(default)]
    pub replicas: i32,
    /// How many of them are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// The pods' labels, for autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// What a client connects to: `HOST:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<String>,
    /// The pod that leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Each server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerStatus>,
}

/// What is known of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    /// Its number, `myid`.
    pub id: i32,
    /// Its pod.
    pub pod: String,
    /// `leader`, `follower`, or what else it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Whether its pod is ready.
    #[serde(default)]
    pub ready: bool,
}
