//! What the operator may do, and no more.

use serde_json::{Value, json};

use super::{Error, Target, text};

/// A rule: groups, resources, verbs.
type Rule = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

/// What it does in the namespaces that it looks after.
const IN_NAMESPACES: &[Rule] = &[
    (
        &["ottla.dev"],
        &["kafkaclusters", "keeperensembles", "kafkatopics"],
        &["get", "list", "watch"],
    ),
    // A topic keeps its resource until it is deleted itself.
    (&["ottla.dev"], &["kafkatopics"], &["patch"]),
    (
        &["ottla.dev"],
        &[
            "kafkaclusters/status",
            "keeperensembles/status",
            "kafkatopics/status",
        ],
        &["get", "patch"],
    ),
    // Owner references that block the owner's deletion need it, where that is enforced.
    (
        &["ottla.dev"],
        &[
            "kafkaclusters/finalizers",
            "keeperensembles/finalizers",
            "kafkatopics/finalizers",
        ],
        &["update"],
    ),
    // It never makes a pod itself.
    (
        &[""],
        &["pods"],
        &["get", "list", "watch", "patch", "delete"],
    ),
    (
        &[""],
        &["persistentvolumeclaims"],
        &["get", "list", "watch", "patch", "delete"],
    ),
    (
        &[""],
        &["services", "configmaps", "serviceaccounts"],
        &["get", "list", "watch", "create", "patch", "delete"],
    ),
    // The password with which the members of an ensemble are changed.
    (&[""], &["secrets"], &["get", "create"]),
    (
        &["apps"],
        &["statefulsets"],
        &["get", "list", "watch", "create", "patch", "delete"],
    ),
    (
        &["policy"],
        &["poddisruptionbudgets"],
        &["get", "list", "watch", "create", "patch", "delete"],
    ),
    (
        &["discovery.k8s.io"],
        &["endpointslices"],
        &["get", "list", "watch", "create", "patch", "delete"],
    ),
    (
        &["networking.k8s.io"],
        &["ingresses"],
        &["get", "list", "watch", "create", "patch", "delete"],
    ),
    (
        &["gateway.networking.k8s.io"],
        &["tlsroutes"],
        &["get", "list", "watch", "create", "patch", "delete"],
    ),
    (
        &["monitoring.coreos.com"],
        &["podmonitors"],
        &["get", "list", "watch", "create", "patch", "delete"],
    ),
    (&["", "events.k8s.io"], &["events"], &["create", "patch"]),
];

/// What has no namespace: zones and addresses of nodes, and whether a volume can grow.
const CLUSTER_WIDE: &[Rule] = &[
    (&[""], &["nodes"], &["get", "list", "watch"]),
    (&["storage.k8s.io"], &["storageclasses"], &["get", "list"]),
];

/// What it does in its own namespace: who of several operators works.
const AT_HOME: &[Rule] = &[(
    &["coordination.k8s.io"],
    &["leases"],
    &["get", "list", "watch", "create", "update", "patch"],
)];

fn rules(of: &[&[Rule]]) -> Value {
    let rules = of.iter().flat_map(|rules| rules.iter());
    rules
        .map(|(groups, resources, verbs)| {
            json!({ "apiGroups": groups, "resources": resources, "verbs": verbs })
        })
        .collect()
}

const GROUP: &str = "rbac.authorization.k8s.io";

fn role(
    kind: &str,
    name: &Value,
    namespace: Option<&Value>,
    target: Target,
    of: &[&[Rule]],
) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": kind,
        "metadata": { "name": name, "namespace": namespace, "labels": target.labels() },
        "rules": rules(of),
    })
}

fn binding(kind: &str, name: &Value, namespace: Option<&Value>, target: Target) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": format!("{kind}Binding"),
        "metadata": { "name": name, "namespace": namespace, "labels": target.labels() },
        "roleRef": { "apiGroup": GROUP, "kind": kind, "name": name },
        "subjects": [{
            "kind": "ServiceAccount",
            "name": target.name(""),
            "namespace": target.namespace(),
        }],
    })
}

/// Rights for all namespaces.
pub(super) fn objects() -> Vec<Value> {
    let target = Target::Plain;
    let name = target.name("");
    let home = target.namespace();
    let everywhere = [IN_NAMESPACES, CLUSTER_WIDE];
    vec![
        role("ClusterRole", &name, None, target, &everywhere),
        binding("ClusterRole", &name, None, target),
        role("Role", &name, Some(&home), target, &[AT_HOME]),
        binding("Role", &name, Some(&home), target),
    ]
}

/// The chart's rights: for all namespaces, or for those that it is told.
pub(super) fn chart() -> Result<String, Error> {
    let target = Target::Helm;
    let name = target.name("");
    let home = target.namespace();
    let both = |objects: [Value; 2]| -> Result<String, Error> {
        let [one, other] = objects;
        Ok(format!(
            "{}---\n{}",
            text(target, one)?,
            text(target, other)?
        ))
    };
    let cluster = |of: &[&[Rule]]| {
        both([
            role("ClusterRole", &name, None, target, of),
            binding("ClusterRole", &name, None, target),
        ])
    };
    let everywhere = cluster(&[IN_NAMESPACES, CLUSTER_WIDE])?;
    let outside = cluster(&[CLUSTER_WIDE])?;
    // Inside of `range` the dot is the namespace, and `$` is what the dot was.
    let watched = target.choice(Value::Null, "$namespace | quote");
    let at_home = target.name("-lease");
    let there = both([
        role("Role", &name, Some(&watched), target, &[IN_NAMESPACES]),
        binding("Role", &name, Some(&watched), target),
    ])?
    .replace("\" . ", "\" $ ")
    .replace(".Release.Namespace", "$.Release.Namespace");
    let lease = both([
        role("Role", &at_home, Some(&home), target, &[AT_HOME]),
        binding("Role", &at_home, Some(&home), target),
    ])?;
    Ok(format!(
        "{{{{- if .Values.rbac.create }}}}\n\
         {{{{- if .Values.watchNamespaces }}}}\n\
         {{{{- if .Values.rbac.nodes }}}}\n{outside}---\n{{{{- end }}}}\n\
         {{{{- range $namespace := .Values.watchNamespaces }}}}\n{there}---\n{{{{- end }}}}\n\
         {{{{- else }}}}\n{everywhere}---\n{{{{- end }}}}\n{lease}{{{{- end }}}}\n"
    ))
}
