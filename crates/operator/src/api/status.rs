//! What is known of a cluster, and conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::ListenerType;

/// What is known of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaClusterStatus {
    /// `Ready`, `Progressing`, `Degraded`, `CanaryHealthy`, with reasons.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation that this tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many brokers there are, pools aside.
    #[serde(default)]
    pub replicas: i32,
    /// How many pods, of all kinds, are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// The labels of the cluster's own brokers, for autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The cluster's id, as Kafka's clients see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The image that all pods run; unset while they roll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The tag of the image that all pods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What a client of the first listener connects to: `HOST:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<String>,
    /// Each listener's addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerStatus>,
    /// Each node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brokers: Vec<BrokerStatus>,
    /// Brokers that were added and have not got their share of the replicas yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<i32>,
    /// Brokers that were restarted and do not lead their share again yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarted: Vec<i32>,
    /// Properties that were set for all brokers while they ran. They are unset when the resource names
    /// them no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_properties: Vec<String>,
    /// Topics of which what is copied is limited. They are free again when nothing is copied any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throttled: Vec<String>,
    /// What the canary found, listener by listener.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canary: Vec<CanaryStatus>,
}

/// Where a listener is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// How it is reached.
    #[serde(rename = "type")]
    pub kind: ListenerType,
    /// What a client connects to first: `HOST:PORT`, several with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<String>,
    /// What to type to try it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_it: Option<String>,
    /// What is still waited for, if no address is known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
}

/// What is known of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerStatus {
    /// Its id.
    pub id: i32,
    /// Its pod.
    pub pod: String,
    /// Its zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The Kubernetes node that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether its pod is ready.
    #[serde(default)]
    pub ready: bool,
    /// What it advertises: `LISTENER://HOST:PORT`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advertised: Vec<String>,
}

/// What the canary found on a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// The listener.
    pub listener: String,
    /// Whether the last try worked.
    pub healthy: bool,
    /// Since when it has been so (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Types of conditions.
pub mod condition {
    /// All that the resource says is so, and clients can work.
    pub const READY: &str = "Ready";
    /// Something is being changed.
    pub const PROGRESSING: &str = "Progressing";
    /// Something is not as it should be, and a person may have to look.
    pub const DEGRADED: &str = "Degraded";
    /// The canary's last tries worked, on every listener.
    pub const CANARY_HEALTHY: &str = "CanaryHealthy";
}

/// Reasons of conditions and events. One word each, which stays the same from release to release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Reason {
    /// All is as the resource says.
    AsDeclared,
    /// The resource cannot be carried out as it is.
    Invalid,
    /// Pods are being made.
    Creating,
    /// Pods are not ready yet.
    PodsNotReady,
    /// Services have no address yet.
    WaitingForAddress,
    /// Pods are restarted one by one.
    Rolling,
    /// A restarted pod did not come back in time.
    RollStuck,
    /// The roll waits: a partition would fall below its minimum of replicas in sync.
    WaitingForReplicas,
    /// Brokers are added, and data moves to them.
    ScalingOut,
    /// Data moves away from brokers that are to go.
    ScalingIn,
    /// Volumes are being made larger.
    GrowingVolumes,
    /// A replica is built again from the others.
    Rebuilding,
    /// A pod's node or volume is gone.
    PodLost,
    /// The cluster does not answer.
    Unreachable,
    /// The resource says to leave it alone.
    Paused,
    /// The resource is being deleted.
    Deleting,
    /// What the API server or the cluster answered.
    Error,
    /// The canary works.
    Healthy,
    /// The canary does not work.
    Failing,
    /// Something was made.
    Created,
    /// Something was changed.
    Changed,
    /// Something was deleted.
    Deleted,
    /// Something was different from what the resource says.
    Drift,
}

impl Reason {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::AsDeclared => "AsDeclared",
            Reason::Invalid => "Invalid",
            Reason::Creating => "Creating",
            Reason::PodsNotReady => "PodsNotReady",
            Reason::WaitingForAddress => "WaitingForAddress",
            Reason::Rolling => "Rolling",
            Reason::RollStuck => "RollStuck",
            Reason::WaitingForReplicas => "WaitingForReplicas",
            Reason::ScalingOut => "ScalingOut",
            Reason::ScalingIn => "ScalingIn",
            Reason::GrowingVolumes => "GrowingVolumes",
            Reason::Rebuilding => "Rebuilding",
            Reason::PodLost => "PodLost",
            Reason::Unreachable => "Unreachable",
            Reason::Paused => "Paused",
            Reason::Deleting => "Deleting",
            Reason::Error => "Error",
            Reason::Healthy => "Healthy",
            Reason::Failing => "Failing",
            Reason::Created => "Created",
            Reason::Changed => "Changed",
            Reason::Deleted => "Deleted",
            Reason::Drift => "Drift",
        }
    }
}
