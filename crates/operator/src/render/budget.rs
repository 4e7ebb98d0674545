//! How many pods may be evicted at once.

use serde_json::json;

use super::metadata::{Labels, Owner};
use super::{Disruptions, Manifest};

/// A budget of `allowed` pods. It is never zero by itself, even where one pod less already means
/// that something stops: a node could then never be drained, and a person who drains one knows.
pub(crate) fn manifest(
    owner: &Owner,
    name: &str,
    labels: &Labels,
    selector: &Labels,
    allowed: i32,
    disruptions: Disruptions,
) -> Manifest {
    let allowed = match disruptions {
        Disruptions::Allowed => allowed.max(1),
        Disruptions::Forbidden => 0,
    };
    Manifest::new(json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": owner.metadata(name, labels),
        "spec": {
            "maxUnavailable": allowed,
            "selector": { "matchLabels": selector },
            // A pod that is not ready serves nobody, and must not keep its node from being drained.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }))
}
