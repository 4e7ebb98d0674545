//! Whose settings: `topic/orders`, `broker/1`, `user/alice,client/app`.

use std::fmt;

use ottla_client::{ConfigResource, QuotaEntity};

/// What has settings, as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    Topic(String),
    Broker(i32),
    BrokerDefault,
    BrokerLogger(i32),
    Group(String),
    ClientMetrics(String),
    /// Quotas of a user, a client id, an address, or a user together with a client id.
    Quota(QuotaEntity),
}

const SYNTAX: &str = "write topic/NAME, broker/ID, broker-default, broker-logger/ID, group/NAME, \
                      client-metrics/NAME, or for quotas user/NAME, client/ID, ip/ADDRESS, \
                      user-default, client-default, ip-default, or user/NAME,client/ID";

/// What people write, and Kafka's name of the type of entity.
const ENTITIES: [(&str, &str); 4] = [
    ("user", "user"),
    ("client", "client-id"),
    ("client-id", "client-id"),
    ("ip", "ip"),
];

/// Reads `TYPE/NAME`.
pub(crate) fn resource(text: &str) -> Result<Resource, String> {
    let syntax = || SYNTAX.to_owned();
    if let Some(entity) = text.split(',').map(entity).collect::<Option<QuotaEntity>>() {
        return quota(entity);
    }
    let (kind, name) = match text.split_once('/') {
        Some((kind, name)) if !name.is_empty() => (kind, name),
        None if text == "broker-default" => return Ok(Resource::BrokerDefault),
        _ => return Err(syntax()),
    };
    let id = || {
        let id = name.parse::<i32>().ok().filter(|id| *id >= 0);
        id.ok_or_else(|| {
            format!("{name:?} is no id of a broker; `ottla cluster describe` lists them")
        })
    };
    Ok(match kind {
        "topic" | "topics" => Resource::Topic(name.to_owned()),
        "broker" | "brokers" => Resource::Broker(id()?),
        "broker-logger" | "broker-loggers" => Resource::BrokerLogger(id()?),
        "group" | "groups" => Resource::Group(name.to_owned()),
        "client-metrics" => Resource::ClientMetrics(name.to_owned()),
        _ => return Err(syntax()),
    })
}

/// One part of a quota's entity: `user/alice`, `user-default`.
fn entity(text: &str) -> Option<(String, Option<String>)> {
    let default = text.strip_suffix("-default");
    let (kind, name) = match (text.split_once('/'), default) {
        (Some((kind, name)), _) if !name.is_empty() => (kind, Some(name.to_owned())),
        (None, Some(kind)) => (kind, None),
        _ => return None,
    };
    let known = ENTITIES.iter().find(|(written, _)| *written == kind);
    known.map(|(_, kafka)| ((*kafka).to_owned(), name))
}

/// Kafka knows users, client ids, both together, and addresses.
fn quota(entity: QuotaEntity) -> Result<Resource, String> {
    let entity = sorted(entity);
    let kinds: Vec<&str> = entity.iter().map(|(kind, _)| kind.as_str()).collect();
    match kinds.as_slice() {
        ["user" | "client-id" | "ip"] | ["user", "client-id"] => Ok(Resource::Quota(entity)),
        _ => Err("a quota is for a user, a client, a user with a client, or an address".to_owned()),
    }
}

impl Resource {
    /// The client's form; `None` for quotas, which are no settings for Kafka.
    pub(crate) fn config(&self) -> Option<ConfigResource<'_>> {
        Some(match self {
            Resource::Topic(name) => ConfigResource::Topic(name),
            Resource::Broker(id) => ConfigResource::Broker(*id),
            Resource::BrokerDefault => ConfigResource::BrokerDefault,
            Resource::BrokerLogger(id) => ConfigResource::BrokerLogger(*id),
            Resource::Group(name) => ConfigResource::Group(name),
            Resource::ClientMetrics(name) => ConfigResource::ClientMetrics(name),
            Resource::Quota(_) => return None,
        })
    }
}

/// The user before the client.
pub(super) fn sorted(mut entity: QuotaEntity) -> QuotaEntity {
    entity.sort_by(|a, b| b.0.cmp(&a.0));
    entity
}

/// `user/alice,client/app`.
pub(super) fn entity_text(entity: &QuotaEntity) -> String {
    let part = |(kind, name): &(String, Option<String>)| {
        let kind = if kind == "client-id" { "client" } else { kind };
        match name {
            Some(name) => format!("{kind}/{name}"),
            None => format!("{kind}-default"),
        }
    };
    entity.iter().map(part).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Topic(name) => write!(f, "topic/{name}"),
            Resource::Broker(id) => write!(f, "broker/{id}"),
            Resource::BrokerDefault => write!(f, "broker-default"),
            Resource::BrokerLogger(id) => write!(f, "broker-logger/{id}"),
            Resource::Group(name) => write!(f, "group/{name}"),
            Resource::ClientMetrics(name) => write!(f, "client-metrics/{name}"),
            Resource::Quota(entity) => f.write_str(&entity_text(entity)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_read_as_they_are_shown() {
        let texts = [
            "topic/orders",
            "broker/1",
            "broker-default",
            "broker-logger/1",
            "group/a/b",
            "client-metrics/m",
            "user/alice",
            "user/alice,client/app",
            "user-default,client-default",
            "client/app",
            "ip/10.0.0.1",
            "ip-default",
        ];
        for text in texts {
            assert_eq!(resource(text).unwrap().to_string(), text);
        }
        let turned = resource("client-id/app,user-default").unwrap();
        assert_eq!(turned.to_string(), "user-default,client/app");
    }

    #[test]
    fn what_kafka_has_no_settings_for_is_refused() {
        let wrong = [
            "orders",
            "topic/",
            "broker/x",
            "broker/-1",
            "user/a,user/b",
            "ip/a,user/b",
            "user/a,topic/b",
            "host/a",
            "",
        ];
        for text in wrong {
            assert!(resource(text).is_err(), "{text}");
        }
    }
}
