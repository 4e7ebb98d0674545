//! Properties in the environment.
//!
//! As in Bitnami's image: `KAFKA_CFG_LOG_RETENTION_MS` is `log.retention.ms`; the prefix goes,
//! underscores become dots, capitals become small. The two names of listeners that hold an
//! underscore, `sasl_ssl` and `sasl_plaintext`, are kept. `OTTLA_*` works the same way, and may
//! leave out the `ottla.` of our own properties: `OTTLA_HTTP_LISTENER` is `ottla.http.listener`.

use std::collections::BTreeMap;

use crate::keeper;

/// A property that was found in the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    /// The variable's name.
    pub(crate) name: String,
    /// The property's name.
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Variables of the JVM and of Kafka's images that have no meaning here, and why.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    (
        "KAFKA_HEAP_OPTS",
        "there is no JVM; memory follows ottla.memory.budget.bytes",
    ),
    ("KAFKA_OPTS", "there is no JVM"),
    ("KAFKA_JVM_PERFORMANCE_OPTS", "there is no JVM"),
    ("KAFKA_GC_LOG_OPTS", "there is no JVM"),
    ("KAFKA_JMX_OPTS", "there is no JVM; metrics are at /metrics"),
    ("KAFKA_JMX_PORT", "there is no JVM; metrics are at /metrics"),
    ("JMX_PORT", "there is no JVM; metrics are at /metrics"),
    ("KAFKA_LOG4J_OPTS", "there is no log4j"),
    ("KAFKA_LOG4J_CONFIG", "there is no log4j"),
    ("KAFKA_DEBUG", "there is no JVM"),
    (
        "ALLOW_PLAINTEXT_LISTENER",
        "plaintext listeners are allowed when they are configured",
    ),
    (
        "ALLOW_ANONYMOUS_LOGIN",
        "clients of the keeper need no name unless enforce.auth.enabled asks for one",
    ),
    (
        "ALLOW_EMPTY_PASSWORD",
        "clients of the keeper need no name unless enforce.auth.enabled asks for one",
    ),
    ("BITNAMI_DEBUG", "it is for Bitnami's scripts"),
    ("KAFKA_ENABLE_KRAFT", "metadata never needs ZooKeeper"),
    ("KAFKA_ZOOKEEPER_PROTOCOL", "metadata never needs ZooKeeper"),
    ("KAFKA_ZOOKEEPER_CONNECT", "metadata never needs ZooKeeper"),
    ("KF_REPLICAS", "the number of replicas is the StatefulSet's"),
];

/// Variables that are a property under a name of their own.
const ALIASES: &[(&str, &str)] = &[
    ("KAFKA_KRAFT_CLUSTER_ID", "cluster.id"),
    ("KAFKA_BROKER_ID", "broker.id"),
    ("CLUSTER_ID", "cluster.id"),
];

/// Variables of the command line, which are no properties.
const COMMAND_LINE: &[&str] = &[
    "OTTLA_CONFIG",
    "OTTLA_KEEPER_CONFIG",
    "OTTLA_SET",
    "OTTLA_LOG",
    "OTTLA_LOG_FORMAT",
    "OTTLA_BOOTSTRAP_SERVER",
    "OTTLA_BOOTSTRAP_SERVERS",
    "OTTLA_OUTPUT",
    "OTTLA_DATA_DIR",
];

/// What the environment says.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// The properties, by weakest first: `OTTLA_*` stands after `KAFKA_CFG_*`.
    pub(crate) properties: Vec<Variable>,
    /// Variables without effect, and why.
    pub(crate) without_effect: Vec<(String, &'static str)>,
    /// Variables that look like a property and are not read, with the property's name.
    pub(crate) unread: Vec<(String, String)>,
}

/// Picks what concerns the node out of the environment. `is_known` tells whether a property of
/// that name is declared.
pub(crate) fn read(env: &BTreeMap<String, String>, is_known: &dyn Fn(&str) -> bool) -> Environment {
    let mut found = Environment::default();
    let mut ours = Vec::new();
    for (name, value) in env {
        let variable = |key: String| Variable {
            name: name.clone(),
            key,
            value: value.clone(),
        };
        if let Some((_, reason)) = WITHOUT_EFFECT.iter().find(|(known, _)| known == name) {
            found.without_effect.push((name.clone(), reason));
        } else if let Some((_, key)) = ALIASES.iter().find(|(alias, _)| alias == name) {
            found.properties.insert(0, variable((*key).to_owned()));
        } else if let Some(rest) = name.strip_prefix("KAFKA_CFG_") {
            found.properties.push(variable(property_name(rest)));
        } else if let Some(rest) = name.strip_prefix("OTTLA_") {
            if is_foreign(name, rest, value) {
                continue;
            }
            let key = property_name(rest);
            let prefixed = format!("ottla.{key}");
            let key = match (is_known(&prefixed), is_known(&key)) {
                (true, _) => prefixed,
                (false, true) => key,
                (false, false) => keeper::of_variable(rest).unwrap_or(key),
            };
            ours.push(variable(key));
        } else if let Some(rest) = name.strip_prefix("KAFKA_") {
            let key = property_name(rest);
            if is_known(&key) {
                found.unread.push((name.clone(), key));
            }
        }
    }
    found.properties.append(&mut ours);
    found
}

/// `LOG_RETENTION_MS` is `log.retention.ms`.
pub(crate) fn property_name(rest: &str) -> String {
    let key = rest.to_lowercase().replace('_', ".");
    if key == "zookeeper.clientcnxnsocket" {
        return "zookeeper.clientCnxnSocket".to_owned();
    }
    key.replace("sasl.ssl", "sasl_ssl")
        .replace("sasl.plaintext", "sasl_plaintext")
}

/// Variables that begin with `OTTLA_` and are not ours: the command line's, and those that
/// Kubernetes sets for a Service named `ottla` or `ottla-…`, such as
/// `OTTLA_PORT_9092_TCP_ADDR` and `OTTLA_BROKER_SERVICE_HOST`.
pub(crate) fn is_foreign(name: &str, rest: &str, value: &str) -> bool {
    COMMAND_LINE.contains(&name)
        || rest.starts_with("SERVICE_")
        || rest.contains("_SERVICE_")
        || rest.contains("PORT_") && (rest.contains("_TCP") || rest.contains("_UDP"))
        || (rest == "PORT" || rest.ends_with("_PORT")) && value.contains("://")
        || rest.starts_with("TEST_")
}

#[cfg(test)]
mod tests;
