//! The deletion guard: the API server itself refuses to delete a cluster by mistake. It holds while
//! the operator is away, needs no webhook, and leaves no finalizer behind.

use serde_json::{Value, json};

use super::Target;

/// The annotation that lets a definition be deleted.
const OFF: &str = "ottla.dev/deletion-guard";

/// The policies and their bindings.
pub(super) fn objects(target: Target) -> Vec<Value> {
    let resources = policy(
        target,
        "-resources",
        "ottla.dev",
        &["kafkaclusters", "keeperensembles"],
        None,
        "!has(oldObject.spec.deletionGuard) || !oldObject.spec.deletionGuard",
        "oldObject.kind + ' ' + oldObject.metadata.name + ' has a deletion guard: to delete it, set \
         spec.deletionGuard to false first. Its volumes stay until their claims are deleted.'",
    );
    // With a definition all its resources go, and nobody is asked about those one by one.
    let definitions = policy(
        target,
        "-definitions",
        "apiextensions.k8s.io",
        &["customresourcedefinitions"],
        Some("oldObject.spec.group == 'ottla.dev'"),
        &format!(
            "has(oldObject.metadata.annotations) && '{OFF}' in oldObject.metadata.annotations && \
             oldObject.metadata.annotations['{OFF}'] == 'off'"
        ),
        &format!(
            "'with ' + oldObject.metadata.name + ' all its resources would be deleted: to do that, \
             kubectl annotate crd ' + oldObject.metadata.name + ' {OFF}=off'"
        ),
    );
    [resources, definitions].concat()
}

fn policy(
    target: Target,
    suffix: &str,
    group: &str,
    resources: &[&str],
    only: Option<&str>,
    allowed: &str,
    message: &str,
) -> Vec<Value> {
    let name = match target {
        Target::Plain => json!(format!("ottla-deletion-guard{suffix}")),
        Target::Helm => target.name(&format!("-deletion-guard{suffix}")),
    };
    let only = only.map(|expression| json!([{ "name": "ours", "expression": expression }]));
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": name, "labels": target.labels() },
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [{
                    "apiGroups": [group],
                    "apiVersions": ["*"],
                    "operations": ["DELETE"],
                    "resources": resources,
                }],
            },
            "matchConditions": only,
            "validations": [{
                "expression": allowed,
                "messageExpression": message,
                "reason": "Forbidden",
            }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": name, "labels": target.labels() },
        "spec": { "policyName": name, "validationActions": ["Deny"] },
    });
    vec![policy, binding]
}
