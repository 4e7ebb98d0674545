//! What a cluster can do, as levels of features that all its nodes know (KIP-584).

use std::collections::BTreeMap;

/// A feature that this build knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Kafka's name for it.
    pub name: &'static str,
    /// The lowest level; 0 for a feature that can be off.
    pub level_min: i16,
    /// The highest level.
    pub level_max: i16,
}

/// The version of the metadata's records. Ours are our own; tools and clients read from it which
/// Kafka the cluster is like.
pub const METADATA_VERSION: &str = "metadata.version";
/// The version of the quorum: 1 since voters come and go (KIP-853).
pub const KRAFT_VERSION: &str = "kraft.version";
/// Whether replicas that have everything are remembered outside the ISR (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS_VERSION: &str = "eligible.leader.replicas.version";

/// The features of this build, with Kafka 4.4's levels; a new cluster has the highest ones.
pub const FEATURES: &[Feature] = &[
    Feature::new(ELIGIBLE_LEADER_REPLICAS_VERSION, 0, 1),
    // 1: consumer groups (KIP-848).
    Feature::new("group.version", 0, 1),
    Feature::new(KRAFT_VERSION, 0, 1),
    // 7 is Kafka 3.3, 33 is 4.4.
    Feature::new(METADATA_VERSION, 7, 33),
    // 2: each end of a transaction bumps the producer's epoch (KIP-890).
    Feature::new("transaction.version", 0, 2),
];

/// The levels of `metadata.version` that brought new records or fields: going back below one of
/// them would lose what stands in those.
const METADATA_CHANGED: [i16; 10] = [8, 11, 13, 14, 15, 17, 23, 30, 32, 33];

impl Feature {
    const fn new(name: &'static str, level_min: i16, level_max: i16) -> Self {
        Feature {
            name,
            level_min,
            level_max,
        }
    }

    /// The feature of that name, if this build knows it.
    #[must_use]
    pub fn of(name: &str) -> Option<&'static Feature> {
        FEATURES.iter().find(|feature| feature.name == name)
    }
}

/// What a node of this build says in its registration: the lowest and highest level of each
/// feature.
#[must_use]
pub fn supported_features() -> BTreeMap<String, (i16, i16)> {
    let features = FEATURES.iter();
    features
        .map(|feature| {
            (
                feature.name.to_owned(),
                (feature.level_min, feature.level_max),
            )
        })
        .collect()
}

/// Whether records or fields would be lost when `metadata.version` went from one level down to
/// another.
pub(crate) fn metadata_changed_between(lower: i16, higher: i16) -> bool {
    METADATA_CHANGED
        .iter()
        .any(|level| *level > lower && *level <= higher)
}
