//! Labels, and whom an object belongs to.

use std::collections::BTreeMap;

use kube::Resource;
use serde_json::{Value, json};

use super::names;

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// Labels that the operator and its users select by.
pub mod label {
    /// The cluster that something belongs to.
    pub const CLUSTER: &str = "ottla.dev/cluster";
    /// The ensemble that something belongs to.
    pub const ENSEMBLE: &str = "ottla.dev/ensemble";
    /// The pool of a pod.
    pub const POOL: &str = "ottla.dev/pool";
    /// `true` on pods that are brokers.
    pub const BROKER: &str = "ottla.dev/broker";
    /// The listener that a Service belongs to.
    pub const LISTENER: &str = "ottla.dev/listener";
    /// Who makes it.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// What [`MANAGED_BY`] says.
    pub const OPERATOR: &str = "ottla-operator";
}

/// A resource, and what its objects have in common.
pub(crate) struct Owner {
    name: String,
    namespace: String,
    /// The label that names the resource.
    label: &'static str,
    reference: Option<Value>,
}

impl Owner {
    /// The owner of a resource's objects. A resource without a uid is not at the API server, and
    /// nothing can belong to it there.
    pub(crate) fn of<R: Resource<DynamicType = ()>>(resource: &R, label: &'static str) -> Owner {
        let metadata = resource.meta();
        let reference = metadata.uid.as_ref().map(|uid| {
            json!({
                "apiVersion": R::api_version(&()),
                "kind": R::kind(&()),
                "name": names::of(metadata),
                "uid": uid,
                "controller": true,
                "blockOwnerDeletion": true,
            })
        });
        Owner {
            name: names::of(metadata).to_owned(),
            namespace: names::namespace(metadata).to_owned(),
            label,
            reference,
        }
    }

    /// What selects all that belongs to the resource.
    pub(crate) fn selector(&self) -> Labels {
        BTreeMap::from([(self.label.to_owned(), self.name.clone())])
    }

    /// The labels of an object.
    pub(crate) fn labels(&self, component: &str) -> Labels {
        let pairs = [
            ("app.kubernetes.io/name", "ottla"),
            ("app.kubernetes.io/instance", &self.name),
            ("app.kubernetes.io/component", component),
            (label::MANAGED_BY, label::OPERATOR),
            (self.label, &self.name),
        ];
        pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    /// An object's metadata.
    pub(crate) fn metadata(&self, name: &str, labels: &Labels) -> Value {
        self.annotated(name, labels, &BTreeMap::new())
    }

    /// An object's metadata, with annotations.
    pub(crate) fn annotated(&self, name: &str, labels: &Labels, annotations: &Labels) -> Value {
        json!({
            "name": name,
            "namespace": self.namespace,
            "labels": labels,
            "annotations": (!annotations.is_empty()).then_some(annotations),
            "ownerReferences": self.reference.as_ref().map(|reference| vec![reference]),
        })
    }
}
