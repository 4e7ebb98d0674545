//! A topic of a cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A topic. Topics without a resource are left alone.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "ottla.dev",
    version = "v1alpha1",
    kind = "KafkaTopic",
    plural = "kafkatopics",
    shortname = "kft",
    category = "ottla",
    namespaced,
    derive = "PartialEq",
    derive = "Default",
    status = "KafkaTopicStatus",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster"),
    printcolumn(name = "Topic", type_ = "string", json_path = ".status.topic"),
    printcolumn(
        name = "Partitions",
        type_ = "integer",
        json_path = ".status.partitions"
    ),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.cluster == oldSelf.cluster")
    .message("a topic cannot go to another cluster: make a KafkaTopic there and mirror the data (ottla mirror)")
    .field_path(".cluster").reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("has(self.topic) == has(oldSelf.topic) && (!has(self.topic) || self.topic == oldSelf.topic)")
    .message("a topic cannot be renamed: make another KafkaTopic")
    .field_path(".topic").reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("self.partitions >= oldSelf.partitions")
    .message("a topic cannot have fewer partitions than before: the records of the others would be lost; make another topic")
    .field_path(".partitions").reason(Reason::FieldValueForbidden))]
pub struct KafkaTopicSpec {
    /// The `KafkaCluster` of the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub cluster: String,
    /// The topic's name, where it is not the resource's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249), regex(pattern = r"^[a-zA-Z0-9._-]+$"))]
    pub topic: Option<String>,
    /// How many partitions it has. They can become more.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100000))]
    pub partitions: i32,
    /// How many replicas each partition has; unset, the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: Option<i32>,
    /// The topic's properties, such as `retention.ms`, as text. Those that are not named are left
    /// alone; those that were named once and are not any more go back to their default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub config: BTreeMap<String, String>,
    /// What becomes of the topic when the resource is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

fn one() -> i32 {
    1
}

/// What becomes of a topic when its resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The topic and its records stay.
    #[default]
    Retain,
    /// The topic goes with all its records.
    Delete,
}

/// What is known of a topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTopicStatus {
    /// `Ready`, with a reason.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation that this tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The topic's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The topic's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
    /// How many partitions it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// How many replicas its partitions have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Properties that this resource has set, so that they can be taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_properties: Vec<String>,
    /// Where the topic was found to be different from what the resource says, before it was changed
    /// back, or because it cannot be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<TopicDrift>,
}

/// A difference between a topic and its resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicDrift {
    /// `partitions`, `replicas`, or a property.
    pub field: String,
    /// What the resource says.
    pub wanted: String,
    /// What the topic has.
    pub found: String,
}
