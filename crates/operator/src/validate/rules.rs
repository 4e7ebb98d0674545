//! What the resources' own rules (CEL) say, where there is no API server that asks them. They are those of
//! the definitions themselves; the ones about a change from what was before have nothing to say here.

use kube::CustomResourceExt;
use kube_cel::Validator;
use serde_json::Value;

use super::Finding;

/// What is wrong with a resource by the rules of its kind.
#[must_use]
pub fn rules<R: CustomResourceExt>(resource: &Value) -> Vec<Finding> {
    let schemas = R::crd().spec.versions.into_iter();
    let schemas = schemas.filter_map(|version| version.schema?.open_api_v3_schema);
    let validator = Validator::new();
    let broken = schemas.filter_map(|schema| {
        let schema = serde_json::to_value(schema).ok()?;
        validator.validate(&schema, resource, None).err()
    });
    let broken = broken.flat_map(kube_cel::ValidationErrors::into_vec);
    broken
        .map(|broken| Finding {
            field: broken.field_path,
            message: broken.message,
        })
        .collect()
}
