//! What can be done without a Kubernetes cluster: show what a resource becomes, and the definitions
//! of the resources.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResourceExt, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{GROUP, KafkaCluster, KafkaTopic, KeeperEnsemble, VERSION};
use crate::render::{
    self, Disruptions, Evictions, LastKnown, Manifest, PodFacts, Settings, Sizes, Surroundings,
    Waiting,
};
use crate::validate::{self, Existing, Finding, Findings};

/// Why a file cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no YAML.
    #[error("this is not YAML that can be read: {0}")]
    Syntax(String),
    /// A document is none of our resources.
    #[error(
        "document {at} is a {kind} of {api_version}: KafkaCluster, KeeperEnsemble and KafkaTopic of \
         {GROUP}/{VERSION} can be rendered"
    )]
    Kind {
        /// The document, counted from 1.
        at: usize,
        /// Its kind.
        kind: String,
        /// Its version of the API.
        api_version: String,
    },
    /// A document is not as its kind should be.
    #[error("{kind} {name}: {reason}")]
    Shape {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A resource cannot be carried out.
    #[error("{kind} {name} cannot be carried out:\n  {}", listed(findings))]
    Invalid {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// All that is wrong.
        findings: Vec<Finding>,
    },
    /// There is no resource in the file.
    #[error("there is no resource in it")]
    Empty,
    /// Something has no text in the format.
    #[error("it cannot be printed: {0}")]
    Printing(String),
}

fn listed(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n  ")
}

/// How manifests are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Documents with comments.
    #[default]
    Yaml,
    /// A `List`.
    Json,
}

/// What a file becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The manifests' text.
    pub text: String,
    /// What to say about it to a person.
    pub warnings: Vec<String>,
}

/// A resource and what it becomes.
struct Part {
    comment: String,
    manifests: Vec<Manifest>,
}

/// Renders the resources of a file. Those that name no namespace are in `namespace`.
///
/// # Errors
/// The file cannot be read, or a resource in it cannot be carried out.
pub fn render(
    text: &str,
    settings: &Settings,
    namespace: &str,
    format: Format,
) -> Result<Rendered, Error> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| Error::Syntax(error.to_string()))?;
    let mut rendered = Rendered::default();
    let mut parts = Vec::new();
    let mut clusters: Vec<KafkaCluster> = Vec::new();
    let mut topics: Vec<KafkaTopic> = Vec::new();
    for (at, mut document) in documents.into_iter().enumerate() {
        if document.is_null() {
            continue;
        }
        if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata
                .entry("namespace")
                .or_insert_with(|| json!(namespace));
        }
        let word = |field: &str| document[field].as_str().unwrap_or("nothing").to_owned();
        let (kind, api_version) = (word("kind"), word("apiVersion"));
        let ours = api_version == format!("{GROUP}/{VERSION}");
        match kind.as_str() {
            "KafkaCluster" if ours => {
                let cluster: KafkaCluster = shaped(document)?;
                let findings = validate::kafka_cluster(&cluster, &Existing::default());
                judged(&cluster, findings, &mut rendered.warnings)?;
                parts.push(of_cluster(&cluster, settings));
                clusters.push(cluster);
            }
            "KeeperEnsemble" if ours => {
                let ensemble: KeeperEnsemble = shaped(document)?;
                let findings = validate::keeper_ensemble(&ensemble, &Existing::default());
                judged(&ensemble, findings, &mut rendered.warnings)?;
                parts.push(of_ensemble(&ensemble, settings));
            }
            "KafkaTopic" if ours => topics.push(shaped(document)?),
            _ => {
                return Err(Error::Kind {
                    at: at + 1,
                    kind,
                    api_version,
                });
            }
        }
    }
    for topic in &topics {
        let cluster = clusters
            .iter()
            .find(|cluster| cluster.meta().name.as_ref() == Some(&topic.spec.cluster));
        let findings = validate::kafka_topic(topic, cluster);
        judged(topic, findings, &mut rendered.warnings)?;
        let name = name(topic);
        let note = format!("KafkaTopic {name} becomes a topic, and no manifest");
        rendered.warnings.push(note);
    }
    if parts.is_empty() && topics.is_empty() {
        return Err(Error::Empty);
    }
    rendered.text = printed(&parts, format)?;
    Ok(rendered)
}

fn name<R: Resource<DynamicType = ()>>(resource: &R) -> String {
    resource.meta().name.clone().unwrap_or_default()
}

/// A resource as an API server would take it.
fn shaped<R>(document: Value) -> Result<R, Error>
where
    R: DeserializeOwned + Resource<DynamicType = ()> + CustomResourceExt,
{
    let text = |pointer: &str| {
        let found = document.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or("without a name").to_owned()
    };
    let (kind, found) = (text("/kind"), text("/metadata/name"));
    let wrong = |reason: String| Error::Shape {
        kind: kind.clone(),
        name: found.clone(),
        reason,
    };
    let resource: R =
        serde_json::from_value(document.clone()).map_err(|error| wrong(error.to_string()))?;
    if resource.meta().name.as_deref().is_none_or(str::is_empty) {
        return Err(wrong("it needs metadata.name".to_owned()));
    }
    let findings = validate::rules::<R>(&document);
    if !findings.is_empty() {
        return Err(Error::Invalid {
            kind,
            name: found,
            findings,
        });
    }
    Ok(resource)
}

fn judged<R: Resource<DynamicType = ()>>(
    resource: &R,
    findings: Findings,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let kind = R::kind(&()).into_owned();
    let name = name(resource);
    for warning in findings.warnings {
        warnings.push(format!("{kind} {name}: {warning}"));
    }
    if findings.errors.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid {
        kind,
        name,
        findings: findings.errors,
    })
}

/// A cluster's manifests. What pods are told is known here as far as it does not come from
/// Kubernetes; where that is all, their files have it, and they start without an operator.
fn of_cluster(cluster: &KafkaCluster, settings: &Settings) -> Part {
    let sizes = Sizes::wanted(cluster);
    let nodes = render::kafka::nodes(cluster, &sizes);
    let mut around = Surroundings {
        cluster_domain: settings.cluster_domain.clone(),
        ..Surroundings::default()
    };
    for node in &nodes {
        let facts = PodFacts {
            node: Some(String::new()),
            ..PodFacts::default()
        };
        around.pods.insert(node.pod.clone(), facts);
    }
    let mut comment = format!(
        "# KafkaCluster {}. Each pod is told its own part in the annotation {}:\n",
        name(cluster),
        render::CONFIG_ANNOTATION
    );
    let mut known = LastKnown::default();
    for node in &nodes {
        comment.push_str(&format!("# {}, node id {}\n", node.pod, node.id));
        match render::pod_config(cluster, node, &around) {
            Ok(config) => {
                for line in config.text().lines() {
                    comment.push_str(&format!("#   {line}\n"));
                }
                known.by_pod.insert(node.pod.clone(), config.text());
            }
            Err(waiting) => {
                let waiting = match waiting {
                    Waiting::NodeAddress { .. } => Waiting::Scheduling {
                        pod: node.pod.clone(),
                    },
                    other => other,
                };
                comment.push_str(&format!("#   waits for {waiting}\n"));
            }
        }
    }
    let allowed = Evictions::default();
    let manifests = render::kafka::manifests(cluster, settings, &sizes, allowed, &known, &around);
    Part { comment, manifests }
}

fn of_ensemble(ensemble: &KeeperEnsemble, settings: &Settings) -> Part {
    let sizes = render::keeper::sizes(ensemble);
    let allowed = Disruptions::Allowed;
    Part {
        comment: format!("# KeeperEnsemble {}\n", name(ensemble)),
        manifests: render::keeper::manifests(ensemble, settings, &sizes, allowed, None),
    }
}

fn printed(parts: &[Part], format: Format) -> Result<String, Error> {
    match format {
        Format::Json => {
            let items: Vec<&Manifest> = parts.iter().flat_map(|part| &part.manifests).collect();
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
            json_text(&list)
        }
        Format::Yaml => {
            let mut text = String::new();
            for part in parts {
                text.push_str(&part.comment);
                for manifest in &part.manifests {
                    text.push_str("---\n");
                    text.push_str(&yaml_text(manifest)?);
                }
            }
            Ok(text)
        }
    }
}

fn json_text(value: &impl Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n")
        .map_err(|error| Error::Printing(error.to_string()))
}

pub(crate) fn yaml_text(value: &impl Serialize) -> Result<String, Error> {
    let text = serde_saphyr::to_string(value);
    text.map(|text| text.trim_end().to_owned() + "\n")
        .map_err(|error| Error::Printing(error.to_string()))
}

/// The definitions of all resources.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![
        KafkaCluster::crd(),
        KafkaTopic::crd(),
        KeeperEnsemble::crd(),
    ]
}

/// The text of the definitions.
///
/// # Errors
/// They have no text in the format.
pub fn crds(format: Format) -> Result<String, Error> {
    let definitions = definitions();
    match format {
        Format::Json => {
            json_text(&json!({ "apiVersion": "v1", "kind": "List", "items": definitions }))
        }
        Format::Yaml => {
            let texts: Result<Vec<String>, Error> = definitions.iter().map(yaml_text).collect();
            Ok(texts?.join("---\n"))
        }
    }
}

#[cfg(test)]
mod tests;
