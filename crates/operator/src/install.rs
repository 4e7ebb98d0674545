//! What installs the operator: one file for kubectl, and the templates of a Helm chart. Both are
//! written from the same objects, so that they cannot part; the files under `deploy/` are made with
//! `cargo xtask deploy`, and a test notices when they are stale.
//!
//! ```text
//!                 ┌─ Target::Plain ──▶ deploy/install.yaml
//!   the objects ──┤
//!                 └─ Target::Helm ───▶ deploy/helm/ottla-operator/templates/*.yaml
//! ```
//!
//! What a user of the chart may choose is an expression of Helm's in the place of the value.

mod guard;
mod rights;

use serde_json::{Value, json};

use crate::offline::{self, Error, yaml_text};
use crate::render::Manifest;

/// Where [`files`] puts the chart.
const CHART: &str = "deploy/helm/ottla-operator/templates";
/// What everything is called without a chart.
const NAME: &str = "ottla-operator";
/// The port of health checks and metrics.
const PORT: u16 = 9645;

/// For whom an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// For kubectl.
    Plain,
    /// For Helm.
    Helm,
}

/// The begin and the end of an expression of Helm's, until the YAML is text. No value begins with
/// these signs, and YAML puts what does into quotes.
const OPEN: &str = "@{";
const CLOSE: &str = "}@";

impl Target {
    /// A value, or what Helm puts there.
    pub(crate) fn choice(self, plain: Value, expression: &str) -> Value {
        match self {
            Target::Plain => plain,
            Target::Helm => json!(format!("{OPEN}{expression}{CLOSE}")),
        }
    }

    /// A name: of the operator, with something behind it.
    pub(crate) fn name(self, suffix: &str) -> Value {
        match self {
            Target::Plain => json!(format!("{NAME}{suffix}")),
            Target::Helm => json!(format!(
                "{OPEN}include 'ottla-operator.fullname' .{CLOSE}{suffix}"
            )),
        }
    }

    /// The operator's namespace.
    pub(crate) fn namespace(self) -> Value {
        self.choice(json!("ottla-system"), ".Release.Namespace")
    }

    /// Labels of every object.
    pub(crate) fn labels(self) -> Value {
        let version = env!("CARGO_PKG_VERSION");
        let plain = json!({
            "app.kubernetes.io/name": NAME,
            "app.kubernetes.io/instance": NAME,
            "app.kubernetes.io/version": version,
        });
        self.choice(plain, "include 'ottla-operator.labels' . | nindent 4")
    }
}

/// An object as text.
pub(crate) fn text(target: Target, object: Value) -> Result<String, Error> {
    let yaml = yaml_text(&Manifest::new(object))?;
    Ok(match target {
        Target::Plain => yaml,
        Target::Helm => expressions(&yaml),
    })
}

/// Puts Helm's brackets where the signs are. A value that is nothing but an expression loses its
/// quotes: it may be a number or a map. Within the others quotes are single ones, since those of
/// Helm's own texts are double.
fn expressions(yaml: &str) -> String {
    let mut text = String::new();
    for line in yaml.lines() {
        let value = line.split_once(&format!("\"{OPEN}"));
        match value.and_then(|(head, rest)| Some((head, rest.strip_suffix('"')?))) {
            Some((head, rest)) => {
                let is_whole = rest.find(CLOSE) == rest.len().checked_sub(CLOSE.len());
                let quote = if is_whole { "" } else { "'" };
                let value = format!("{{{{ {rest}")
                    .replace('\'', "\"")
                    .replace(CLOSE, " }}");
                text.push_str(&format!("{head}{quote}{value}{quote}"));
            }
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// The files below `deploy/`, by path.
///
/// # Errors
/// An object has no text.
pub fn files() -> Result<Vec<(String, String)>, Error> {
    let mut files = Vec::new();
    let mut crds = Vec::new();
    for definition in offline::definitions() {
        let name = definition.spec.names.plural.clone();
        let yaml = yaml_text(&definition)?;
        files.push((format!("deploy/crds/{name}.yaml"), yaml.clone()));
        crds.push(yaml);
    }
    files.push(("deploy/install.yaml".to_owned(), plain(&crds)?));
    let chart =
        |name: &str, text: String| (format!("{CHART}/{name}.yaml"), MADE.to_owned() + &text);
    files.push(chart("crds", chart_crds(&crds)));
    files.push(chart("rights", rights::chart()?));
    files.push(chart("deployment", {
        let account = text(Target::Helm, service_account(Target::Helm))?;
        format!(
            "{account}---\n{}",
            text(Target::Helm, deployment(Target::Helm))?
        )
    }));
    files.push(chart("deletion-guard", {
        let documents = guard::objects(Target::Helm)
            .into_iter()
            .map(|object| text(Target::Helm, object))
            .collect::<Result<Vec<_>, _>>()?;
        let documents = documents.join("---\n");
        format!("{{{{- if .Values.deletionGuard.enabled }}}}\n{documents}{{{{- end }}}}\n")
    }));
    files.push(chart("pod-monitor", {
        let document = text(Target::Helm, pod_monitor(Target::Helm))?;
        format!("{{{{- if .Values.metrics.podMonitor }}}}\n{document}{{{{- end }}}}\n")
    }));
    files.push(("deploy/monitoring/operator.yaml".to_owned(), {
        let document = text(Target::Plain, pod_monitor(Target::Plain))?;
        format!(
            "# Lets the Prometheus operator find Ottla's operator: kubectl apply -f operator.yaml\n\
             # Made by `cargo xtask deploy`: change crates/operator/src/install instead.\n{document}"
        )
    }));
    Ok(files)
}

const MADE: &str =
    "{{- /* Made by `cargo xtask deploy`: change crates/operator/src/install instead. */ -}}\n";

fn plain(crds: &[String]) -> Result<String, Error> {
    let mut documents = vec![text(Target::Plain, namespace())?];
    documents.extend(crds.iter().cloned());
    documents.push(text(Target::Plain, service_account(Target::Plain))?);
    for object in rights::objects() {
        documents.push(text(Target::Plain, object)?);
    }
    documents.push(text(Target::Plain, deployment(Target::Plain))?);
    for object in guard::objects(Target::Plain) {
        documents.push(text(Target::Plain, object)?);
    }
    Ok(format!(
        "# Installs Ottla's operator for all namespaces: kubectl apply --server-side -f install.yaml\n\
         # Made by `cargo xtask deploy`: change crates/operator/src/install instead.\n{}",
        documents.join("---\n")
    ))
}

/// The definitions, as templates: Helm upgrades what is a template, and nothing in its folder `crds`.
fn chart_crds(crds: &[String]) -> String {
    let keep = "metadata:\n  {{- if .Values.crds.keep }}\n  annotations:\n    \
                helm.sh/resource-policy: keep\n  {{- end }}\n";
    let documents: Vec<String> = crds
        .iter()
        .map(|crd| crd.replacen("metadata:\n", keep, 1))
        .collect();
    let documents = documents.join("---\n");
    format!("{{{{- if .Values.crds.install }}}}\n{documents}{{{{- end }}}}\n")
}

fn namespace() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "ottla-system",
            "labels": {
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/enforce-version": "latest",
            },
        },
    })
}

fn service_account(target: Target) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": target.name(""),
            "namespace": target.namespace(),
            "labels": target.labels(),
            "annotations": target.choice(
                Value::Null,
                ".Values.serviceAccount.annotations | default dict | toJson"
            ),
        },
    })
}

/// Its metrics have labels of their own for the namespace and the name of each resource.
fn pod_monitor(target: Target) -> Value {
    let selector = target.choice(
        json!({ "app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME }),
        "include 'ottla-operator.selector' . | nindent 6",
    );
    json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {
            "name": target.name(""),
            "namespace": target.namespace(),
            "labels": target.labels(),
        },
        "spec": {
            "selector": { "matchLabels": selector },
            "podMetricsEndpoints": [{ "port": "http", "path": "/metrics", "honorLabels": true }],
        },
    })
}

fn deployment(target: Target) -> Value {
    let image = format!("ottla:{}", env!("CARGO_PKG_VERSION"));
    let image = target.choice(json!(image), "include 'ottla-operator.image' . | quote");
    let selector = target.choice(
        json!({ "app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME }),
        "include 'ottla-operator.selector' . | nindent 6",
    );
    let pod_labels = target.choice(
        json!({ "app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME }),
        "include 'ottla-operator.podLabels' . | nindent 8",
    );
    let json_of =
        |plain: Value, value: &str| target.choice(plain, &format!(".Values.{value} | toJson"));
    let spread = json!({
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {
                        "matchLabels": { "app.kubernetes.io/name": NAME },
                    },
                },
            }],
        },
    });
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let env = |name: &str, value: Value| json!({ "name": name, "value": value });
    let probe = |path: &str, period: i64| json!({ "httpGet": { "path": path, "port": "http" }, "periodSeconds": period });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": target.name(""),
            "namespace": target.namespace(),
            "labels": target.labels(),
        },
        "spec": {
            // One works, the other one takes over within seconds.
            "replicas": target.choice(json!(2), ".Values.replicas"),
            "selector": { "matchLabels": selector },
            "template": {
                "metadata": {
                    "labels": pod_labels,
                    "annotations": target.choice(Value::Null, ".Values.podAnnotations | toJson"),
                },
                "spec": {
                    "serviceAccountName": target.name(""),
                    "priorityClassName": target.choice(
                        Value::Null,
                        ".Values.priorityClassName | quote"
                    ),
                    "imagePullSecrets": json_of(Value::Null, "imagePullSecrets"),
                    "nodeSelector": json_of(Value::Null, "nodeSelector"),
                    "tolerations": json_of(Value::Null, "tolerations"),
                    "affinity": json_of(spread, "affinity"),
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": 1000,
                        "runAsGroup": 1000,
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                    "containers": [{
                        "name": "operator",
                        "image": image,
                        "imagePullPolicy": target.choice(
                            Value::Null,
                            ".Values.image.pullPolicy | quote"
                        ),
                        "args": ["operator", "run"],
                        "env": [
                            field("POD_NAME", "metadata.name"),
                            field("POD_NAMESPACE", "metadata.namespace"),
                            env("OTTLA_IMAGE", image.clone()),
                            env("OTTLA_IMAGE_PULL_POLICY", target.choice(
                                json!(""),
                                ".Values.image.pullPolicy | quote",
                            )),
                            env("OTTLA_WATCH_NAMESPACES", target.choice(
                                json!(""),
                                "join ',' .Values.watchNamespaces | quote",
                            )),
                            env("OTTLA_CLUSTER_DOMAIN", target.choice(
                                json!("cluster.local"),
                                ".Values.clusterDomain | quote",
                            )),
                            env("OTTLA_LOG", target.choice(
                                json!("info"),
                                ".Values.logLevel | quote",
                            )),
                            env("OTTLA_LOG_FORMAT", target.choice(
                                json!("text"),
                                ".Values.logFormat | quote",
                            )),
                        ],
                        "ports": [{ "name": "http", "containerPort": PORT }],
                        "resources": json_of(
                            json!({
                                "requests": { "cpu": "50m", "memory": "64Mi" },
                                "limits": { "memory": "256Mi" },
                            }),
                            "resources"
                        ),
                        "startupProbe": {
                            "httpGet": { "path": "/health/live", "port": "http" },
                            "periodSeconds": 1,
                            "failureThreshold": 60,
                        },
                        "livenessProbe": probe("/health/live", 10),
                        "readinessProbe": probe("/health/ready", 5),
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "capabilities": { "drop": ["ALL"] },
                        },
                    }],
                },
            },
        },
    })
}
