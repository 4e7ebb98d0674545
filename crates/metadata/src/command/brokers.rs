//! Commands about brokers and about the features of the cluster, and their answers.

use std::collections::BTreeMap;

use ottla_model::{BrokerId, ClusterId, Offset, Uuid};
use serde::{Deserialize, Serialize};

use crate::record::Endpoint;

/// See [`Command::RegisterBroker`](crate::Command::RegisterBroker).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterBroker {
    /// The broker's number.
    pub broker_id: BrokerId,
    /// The cluster that it believes to belong to.
    pub cluster_id: ClusterId,
    /// Names this run of the process.
    pub incarnation_id: Uuid,
    /// Names the volume that the broker keeps its logs on (KIP-853). One process at a time holds
    /// it, so whoever registers with the same one is the successor of a process that is dead.
    pub directory_id: Uuid,
    /// The failure zone, `broker.rack`.
    pub rack: Option<String>,
    /// The advertised endpoints, one for each listener name.
    pub endpoints: Vec<Endpoint>,
    /// The levels of each feature that the broker's build knows: lowest and highest.
    pub features: BTreeMap<String, (i16, i16)>,
    /// Whether it starts fenced: known, but leading nothing until a heartbeat says that it has
    /// caught up. In a cluster of one, the broker registers unfenced.
    pub fenced: bool,
    /// Whether records that the broker has acknowledged may be gone from its disk: its last stop
    /// was not clean, and its topics do not wait for the disk. It leaves the ISRs then.
    pub data_may_be_lost: bool,
}

/// See [`Reply::RegisterBroker`](crate::Reply::RegisterBroker).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredBroker {
    /// The number of this registration; the broker names it in later commands.
    pub broker_epoch: i64,
}

/// See [`Command::BrokerHeartbeat`](crate::Command::BrokerHeartbeat) (KIP-631).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerHeartbeat {
    /// The broker's number.
    pub broker_id: BrokerId,
    /// Its registration; an old one is refused with `STALE_BROKER_EPOCH`.
    pub broker_epoch: i64,
    /// The offset of the last metadata record that the broker has applied.
    pub metadata_offset: Offset,
    /// Whether it wants to be fenced, or to stay so.
    pub want_fence: bool,
    /// Whether it wants to stop: others shall lead what it leads.
    pub want_shut_down: bool,
}

/// See [`Reply::BrokerHeartbeat`](crate::Reply::BrokerHeartbeat).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerHeartbeatReply {
    /// Whether the broker has applied its own registration.
    pub is_caught_up: bool,
    /// Whether it is fenced.
    pub is_fenced: bool,
    /// Whether it leads nothing any more and may stop. Who drives the controller holds this back
    /// until the other brokers know it too: [`Liveness::may_shut_down`](crate::Liveness).
    pub should_shut_down: bool,
}

/// See [`Command::FenceBroker`](crate::Command::FenceBroker).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FenceBroker {
    /// The broker's number.
    pub broker_id: BrokerId,
    /// The registration that was silent; a later one is left alone.
    pub broker_epoch: i64,
}

/// See [`Command::UpdateFeatures`](crate::Command::UpdateFeatures) (KIP-584).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateFeatures {
    /// The levels that are asked for; all of them are set, or none.
    pub updates: Vec<FeatureUpdate>,
    /// Only say what would happen.
    pub validate_only: bool,
}

/// One feature of [`UpdateFeatures`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureUpdate {
    /// The feature's name.
    pub feature: String,
    /// The level that it shall have; 0 switches it off.
    pub level: i16,
    /// Which way the level may move.
    pub upgrade: FeatureUpgrade,
}

/// Which way the level of a feature may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeatureUpgrade {
    /// Up only.
    Upgrade,
    /// Down too, where nothing is lost by it.
    SafeDowngrade,
    /// Down too, whatever is lost by it.
    UnsafeDowngrade,
}
