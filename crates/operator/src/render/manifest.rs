//! An object as it is sent to the API server.

use kube::core::GroupVersionKind;
use serde::Serialize;
use serde_json::Value;

/// An object as it is sent to the API server: what is not in it is not the operator's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Manifest(Value);

impl Manifest {
    /// Takes an object, without the fields that are null: to the API server those would be an order
    /// to remove them.
    pub(crate) fn new(mut value: Value) -> Manifest {
        drop_nulls(&mut value);
        Manifest(value)
    }

    fn text(&self, pointer: &str) -> &str {
        self.0
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Its version of the API, such as `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// Its kind, such as `StatefulSet`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Its namespace; empty for objects without one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// Its group, version and kind.
    #[must_use]
    pub fn gvk(&self) -> GroupVersionKind {
        let (group, version) = match self.api_version().split_once('/') {
            Some((group, version)) => (group, version),
            None => ("", self.api_version()),
        };
        GroupVersionKind::gvk(group, version, self.kind())
    }

    /// The whole object.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The whole object, to be changed.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.0
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
