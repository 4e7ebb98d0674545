//! The template of a pod: the same for brokers, controllers and keepers.

use serde_json::{Value, json};

use super::metadata::Labels;
use super::{CONFIG_ANNOTATION, HTTP_PORT, Settings, mesh};
use crate::api::{Mesh, PodOptions, Zones};
use k8s_openapi::api::core::v1::ResourceRequirements;

/// Where the ConfigMap is mounted.
pub(crate) const CONFIG_FOLDER: &str = "/etc/ottla/config";
/// Where the pod's own annotation is mounted.
pub(crate) const POD_FOLDER: &str = "/etc/ottla/pod";
/// Where the volume is mounted.
pub(crate) const DATA_FOLDER: &str = "/var/lib/ottla";

/// The container that runs the server.
pub const CONTAINER: &str = "ottla";

/// How long a server may read its data before it is taken for stuck. It works on it all that time,
/// and starting again would only make it longer.
const START_SECONDS_MAX: i64 = 3600;

/// What a pod is made of.
pub(crate) struct Pod<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) image: String,
    pub(crate) options: &'a PodOptions,
    pub(crate) resources: &'a ResourceRequirements,
    pub(crate) zones: &'a Zones,
    pub(crate) mesh: Option<Mesh>,
    pub(crate) labels: Labels,
    /// What selects the pods that should be on other nodes and in other zones.
    pub(crate) peers: Labels,
    pub(crate) config_map: String,
    pub(crate) config_hash: String,
    pub(crate) service_account: String,
    pub(crate) args: Vec<String>,
    /// Ports of the server's protocols, by name.
    pub(crate) ports: Vec<(String, i32)>,
    /// Whether it is told more after it has been scheduled.
    pub(crate) told_later: bool,
}

impl Pod<'_> {
    /// The template.
    pub(crate) fn template(&self) -> Value {
        let grace = self.options.termination_grace_period_seconds;
        let protocol_ports: Vec<i32> = self.ports.iter().map(|(_, port)| *port).collect();
        let mut labels = self.options.labels.clone();
        labels.extend(mesh::pod_labels(self.mesh));
        labels.extend(self.labels.clone());
        let mut annotations = self.options.annotations.clone();
        annotations.extend(mesh::pod_annotations(self.mesh, &protocol_ports, grace));
        annotations.insert(
            super::CONFIG_HASH_ANNOTATION.to_owned(),
            self.config_hash.clone(),
        );
        let secrets = &self.options.image_pull_secrets;
        let tolerations = &self.options.tolerations;
        let node_selector = &self.options.node_selector;
        json!({
            "metadata": { "labels": labels, "annotations": annotations },
            "spec": {
                "serviceAccountName": self.service_account,
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": grace,
                "priorityClassName": self.options.priority_class,
                "imagePullSecrets": (!secrets.is_empty()).then_some(secrets),
                "nodeSelector": (!node_selector.is_empty()).then_some(node_selector),
                "tolerations": (!tolerations.is_empty()).then_some(tolerations),
                "affinity": { "podAntiAffinity": self.anti_affinity() },
                "topologySpreadConstraints": [self.spread()],
                // The names of pods are full ones: asked for as they are, they are found with one
                // question instead of four.
                "dnsConfig": { "options": [{ "name": "ndots", "value": "2" }] },
                "securityContext": {
                    "runAsNonRoot": true,
                    "runAsUser": 1000,
                    "runAsGroup": 1000,
                    "fsGroup": 1000,
                    "fsGroupChangePolicy": "OnRootMismatch",
                    "seccompProfile": { "type": "RuntimeDefault" },
                },
                "containers": [self.container()],
                "volumes": self.volumes(),
            },
        })
    }

    fn anti_affinity(&self) -> Value {
        let term = json!({
            "labelSelector": { "matchLabels": self.peers },
            "topologyKey": "kubernetes.io/hostname",
        });
        if self.options.share_nodes {
            json!({
                "preferredDuringSchedulingIgnoredDuringExecution":
                    [{ "weight": 100, "podAffinityTerm": term }],
            })
        } else {
            json!({ "requiredDuringSchedulingIgnoredDuringExecution": [term] })
        }
    }

    fn spread(&self) -> Value {
        json!({
            "maxSkew": 1,
            "topologyKey": self.zones.topology_key,
            "whenUnsatisfiable":
                if self.zones.required { "DoNotSchedule" } else { "ScheduleAnyway" },
            "labelSelector": { "matchLabels": self.peers },
        })
    }

    fn container(&self) -> Value {
        let pull_policy = self.options.image_pull_policy.as_ref();
        let mut ports: Vec<Value> = self
            .ports
            .iter()
            .map(|(name, port)| json!({ "name": port_name(name), "containerPort": port }))
            .collect();
        ports.push(json!({ "name": "http", "containerPort": HTTP_PORT }));
        let mut mounts = vec![
            json!({ "name": "data", "mountPath": DATA_FOLDER }),
            json!({ "name": "config", "mountPath": CONFIG_FOLDER, "readOnly": true }),
            json!({ "name": "tmp", "mountPath": "/tmp" }),
        ];
        if self.told_later {
            mounts.push(json!({ "name": "pod", "mountPath": POD_FOLDER, "readOnly": true }));
        }
        let resources = serde_json::to_value(self.resources).unwrap_or_default();
        let is_empty = resources.as_object().is_none_or(serde_json::Map::is_empty);
        json!({
            "name": CONTAINER,
            "image": self.image,
            "imagePullPolicy": pull_policy.or(self.settings.image_pull_policy.as_ref()),
            "args": self.args,
            "env": self.env(),
            "ports": ports,
            "resources": (!is_empty).then_some(resources),
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
            // A second between two tries: what waits for the pod waits no longer than it must.
            "startupProbe": probe("startup", 1, 2, START_SECONDS_MAX),
            "readinessProbe": probe("ready", 2, 2, 2),
            "livenessProbe": probe("live", 10, 5, 6),
            "volumeMounts": mounts,
        })
    }

    fn env(&self) -> Vec<Value> {
        let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
        let mut env = vec![
            field("POD_NAME", "metadata.name"),
            field("POD_NAMESPACE", "metadata.namespace"),
            field("MY_POD_NAME", "metadata.name"),
            field("MY_POD_IP", "status.podIP"),
            field("MY_HOST_IP", "status.hostIP"),
        ];
        for variable in &self.options.env {
            env.push(serde_json::to_value(variable).unwrap_or_default());
        }
        env
    }

    fn volumes(&self) -> Vec<Value> {
        let mut volumes = vec![
            json!({ "name": "config", "configMap": { "name": self.config_map } }),
            json!({ "name": "tmp", "emptyDir": {} }),
        ];
        if self.told_later {
            let path = format!("metadata.annotations['{CONFIG_ANNOTATION}']");
            volumes.push(json!({
                "name": "pod",
                "downwardAPI": {
                    "items": [{ "path": "config", "fieldRef": { "fieldPath": path } }],
                },
            }));
        }
        volumes
    }
}

fn probe(path: &str, period: i64, timeout: i64, failures: i64) -> Value {
    json!({
        "httpGet": { "path": format!("/health/{path}"), "port": "http" },
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    })
}

/// A container's port has at most 15 letters in its name, a listener 20. It does without one then.
fn port_name(name: &str) -> Option<&str> {
    (name.len() <= 15 && !name.contains("--") && name != "http").then_some(name)
}
