//! What the resources' definitions say, their bounds and their rules (CEL), where there is no API server
//! that asks them. The rules are evaluated as they stand there; those about a change have nothing to say
//! here.

use kube::CustomResourceExt;
use kube_cel::Validator;
use serde_json::Value;

use super::{Finding, bounds};

/// What is wrong with a resource by the definition of its kind. What lies beyond the bounds comes first:
/// rules are about what lies within.
#[must_use]
pub fn rules<R: CustomResourceExt>(resource: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    let versions = R::crd().spec.versions.into_iter();
    let schemas = versions.filter_map(|version| version.schema?.open_api_v3_schema);
    for schema in schemas.filter_map(|schema| serde_json::to_value(schema).ok()) {
        bounds::beyond(&schema, resource, "", &mut found);
        if !found.is_empty() {
            continue;
        }
        if let Err(broken) = Validator::new().validate(&schema, resource, None) {
            found.extend(broken.into_vec().into_iter().map(|broken| Finding {
                field: broken.field_path,
                message: broken.message,
            }));
        }
    }
    found
}
