//! The resources of the API group `ottla.dev`: what a person says about a cluster, an ensemble, a topic.
//!
//! ```text
//!   KafkaCluster ──┬─ listeners   where clients reach it        KeeperEnsemble ── servers
//!                  ├─ pools       brokers of different kinds    KafkaTopic ────── in one KafkaCluster
//!                  ├─ controllers combined or separate
//!                  └─ storage, zones, rolling, canary, …
//! ```
//!
//! The types are the schema: fields, defaults, bounds and rules (CEL) are declared here once, and
//! `ottla operator crds` prints them for the API server. Rules that need more than the resource
//! itself are in [`crate::validate`].
//!
//! Versions: `v1alpha1` may change from release to release, with a line in the changelog. Fields
//! that later versions drop are kept for two releases. `v1beta1` will be served beside it, stored as
//! `v1alpha1` until all resources are rewritten; no webhook converts, so the two have the same
//! fields.

#![expect(
    clippy::duplicated_attributes,
    unreachable_pub,
    reason = "what the derives of `kube` write has both"
)]

pub mod kafka_cluster;
pub mod kafka_topic;
pub mod keeper_ensemble;
pub mod listeners;
pub mod pods;
mod shared;
pub mod status;

pub use kafka_cluster::{
    Canary, Controllers, ControllersMode, KafkaCluster, KafkaClusterSpec, Metrics, NodePool,
    Rebalance,
};
pub use kafka_topic::{DeletionPolicy, KafkaTopic, KafkaTopicSpec, KafkaTopicStatus, TopicDrift};
pub use keeper_ensemble::{KeeperEnsemble, KeeperEnsembleSpec, KeeperEnsembleStatus, ServerStatus};
pub use listeners::{
    ExternalTrafficPolicy, GatewayRef, IngressOptions, Listener, ListenerType, LoadBalancerMode,
    LoadBalancerOptions, NodeAddress, NodePortOptions, TlsRouteOptions,
};
pub use pods::{Mesh, PodOptions, Rolling, Storage, Zones};
pub use status::{
    BrokerStatus, CanaryStatus, KafkaClusterStatus, ListenerStatus, Reason, condition,
};

/// The API group.
pub const GROUP: &str = "ottla.dev";
/// The version that is stored.
pub const VERSION: &str = "v1alpha1";
