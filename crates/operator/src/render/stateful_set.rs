//! A StatefulSet that the operator rolls itself.

use serde_json::json;

use super::Manifest;
use super::metadata::{Labels, Owner};
use crate::api::Storage;

/// What a StatefulSet is made of.
pub(crate) struct StatefulSet<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: &'a Labels,
    /// What its pods have and no others; it can never change.
    pub(crate) selector: Labels,
    pub(crate) replicas: i32,
    pub(crate) service: &'a str,
    pub(crate) template: serde_json::Value,
    pub(crate) storage: &'a Storage,
}

impl StatefulSet<'_> {
    /// The manifest. All pods start together, since a quorum needs them all; none is replaced but by
    /// the operator, which knows when; and no claim is ever deleted with it.
    pub(crate) fn manifest(self, owner: &Owner) -> Manifest {
        let claim_labels = owner.selector();
        Manifest::new(json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": owner.metadata(self.name, self.labels),
            "spec": {
                "replicas": self.replicas,
                "serviceName": self.service,
                "selector": { "matchLabels": self.selector },
                "podManagementPolicy": "Parallel",
                "updateStrategy": { "type": "OnDelete" },
                "revisionHistoryLimit": 3,
                "persistentVolumeClaimRetentionPolicy":
                    { "whenDeleted": "Retain", "whenScaled": "Retain" },
                "template": self.template,
                "volumeClaimTemplates": [{
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": { "name": "data", "labels": claim_labels },
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "storageClassName": self.storage.class,
                        "resources": { "requests": { "storage": self.storage.size } },
                    },
                }],
            },
        }))
    }
}
