//! Whether a topic can be as its resource says.

use ottla_config::{InvalidConfig, NodeConfig, TopicConfig};

use super::Findings;
use crate::api::{KafkaCluster, KafkaTopic};
use crate::render;

/// Checks a topic, beside its cluster if that is there.
#[must_use]
pub fn kafka_topic(topic: &KafkaTopic, cluster: Option<&KafkaCluster>) -> Findings {
    let mut findings = Findings::default();
    let spec = &topic.spec;
    if let Err(error) = TopicConfig::resolve(&NodeConfig::default(), &spec.config) {
        let field = match &error {
            InvalidConfig::UnknownName { name, .. }
            | InvalidConfig::InvalidValue { name, .. }
            | InvalidConfig::InvalidList { name, .. }
            | InvalidConfig::NotSupported { name, .. } => format!("spec.config[\"{name}\"]"),
            _ => "spec.config".to_owned(),
        };
        findings.error(field, error.to_string());
    }
    let brokers = cluster.map(render::brokers);
    let default = cluster.map(render::default_replicas);
    let replicas = spec.replicas.or(default);
    if let (Some(replicas), Some(brokers)) = (spec.replicas, brokers)
        && replicas > brokers
    {
        findings.error(
            "spec.replicas",
            format!(
                "{replicas} replicas need as many brokers, and the cluster has {brokers}: lower it, \
                 or raise the cluster's replicas"
            ),
        );
    }
    let minimum = spec.config.get("min.insync.replicas");
    let minimum = minimum.and_then(|text| text.trim().parse::<i32>().ok());
    if let (Some(minimum), Some(replicas)) = (minimum, replicas) {
        let field = "spec.config[\"min.insync.replicas\"]";
        if minimum > replicas {
            findings.error(
                field,
                format!(
                    "{minimum} replicas in sync of {replicas}: every write with acks=all would be \
                     refused"
                ),
            );
        } else if minimum == replicas && replicas > 1 {
            findings.warn(
                field,
                format!(
                    "all {replicas} replicas have to be in sync: writes with acks=all are refused \
                     while any one broker is away"
                ),
            );
        }
    }
    findings
}
