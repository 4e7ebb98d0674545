//! Client quotas (KIP-13, 124, 257, 546, 599, 612): whom a limit is for, and what it limits.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// `user`, as the protocol calls the type of an entity.
const USER: &str = "user";
/// `client-id`
const CLIENT_ID: &str = "client-id";
/// `ip`
const IP: &str = "ip";

/// One part of an entity: a name, or all names that have no limit of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityName {
    /// Kafka's `<default>`; null on the wire.
    Default,
    /// This very name.
    Named(String),
}

impl EntityName {
    /// The name, or none for the default.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            EntityName::Default => None,
            EntityName::Named(name) => Some(name),
        }
    }
}

/// Whom quotas are for: a user, a client id, both together, or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientQuotaEntity {
    /// All clients of a user together.
    User(EntityName),
    /// A client id of whatever user.
    ClientId(EntityName),
    /// One client id of one user.
    UserClientId(EntityName, EntityName),
    /// An address that connects.
    Ip(EntityName),
}

/// Why parts make no entity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntity {
    /// Nothing is named.
    #[error("A quota entity names nobody: give a user, a client-id or an ip.")]
    Empty,
    /// The type is none that Kafka knows.
    #[error("'{0}' is no type of quota entity: there are user, client-id and ip.")]
    UnknownType(String),
    /// A type came twice.
    #[error("The quota entity names its {0} more than once.")]
    Twice(String),
    /// A name is there and has no letters.
    #[error("The {0} of a quota entity is empty; leave the name away (null) for the default.")]
    EmptyName(String),
    /// An address with a user or a client id.
    #[error("A quota entity is an ip, or a user and client-id, not both.")]
    IpWithOthers,
    /// Not an address.
    #[error("'{0}' is not an IP address. Host names are not resolved: give the address.")]
    NotAnAddress(String),
}

impl ClientQuotaEntity {
    /// Puts an entity together from types and names, as requests and records give them.
    pub fn from_parts<'a>(
        parts: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Self, InvalidEntity> {
        let (mut user, mut client_id, mut ip) = (None, None, None);
        for (kind, name) in parts {
            let slot = match kind {
                USER => &mut user,
                CLIENT_ID => &mut client_id,
                IP => &mut ip,
                other => return Err(InvalidEntity::UnknownType(other.to_owned())),
            };
            if name == Some("") {
                return Err(InvalidEntity::EmptyName(kind.to_owned()));
            }
            let name = name.map_or(EntityName::Default, |n| EntityName::Named(n.to_owned()));
            if slot.replace(name).is_some() {
                return Err(InvalidEntity::Twice(kind.to_owned()));
            }
        }
        match (user, client_id, ip) {
            (None, None, None) => Err(InvalidEntity::Empty),
            (Some(user), None, None) => Ok(ClientQuotaEntity::User(user)),
            (None, Some(id), None) => Ok(ClientQuotaEntity::ClientId(id)),
            (Some(user), Some(id), None) => Ok(ClientQuotaEntity::UserClientId(user, id)),
            (None, None, Some(ip)) => match ip.name() {
                Some(text) if text.parse::<IpAddr>().is_err() => {
                    Err(InvalidEntity::NotAnAddress(text.to_owned()))
                }
                _ => Ok(ClientQuotaEntity::Ip(ip)),
            },
            (_, _, Some(_)) => Err(InvalidEntity::IpWithOthers),
        }
    }

    /// The types and names, in the form that [`ClientQuotaEntity::from_parts`] takes.
    pub fn parts(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let (first, second) = match self {
            ClientQuotaEntity::User(user) => ((USER, user), None),
            ClientQuotaEntity::ClientId(id) => ((CLIENT_ID, id), None),
            ClientQuotaEntity::UserClientId(user, id) => ((USER, user), Some((CLIENT_ID, id))),
            ClientQuotaEntity::Ip(ip) => ((IP, ip), None),
        };
        let parts = std::iter::once(first).chain(second);
        parts.map(|(kind, name)| (kind, name.name()))
    }

    /// Whether `kind` is a type that entities have.
    #[must_use]
    pub fn is_type(kind: &str) -> bool {
        [USER, CLIENT_ID, IP].contains(&kind)
    }

    /// Whether `kind` is the type of addresses, which goes with no other.
    #[must_use]
    pub fn is_ip_type(kind: &str) -> bool {
        kind == IP
    }
}

impl fmt::Display for ClientQuotaEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (kind, name)) in self.parts().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            match name {
                Some(name) => write!(f, "{comma}{kind} '{name}'")?,
                None => write!(f, "{comma}default {kind}")?,
            }
        }
        Ok(())
    }
}

/// What a quota limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaKey {
    /// Bytes of Produce requests a second (KIP-13).
    ProducerByteRate,
    /// Bytes of Fetch responses a second (KIP-13).
    ConsumerByteRate,
    /// Time of the node's threads; 100 is one thread (KIP-124).
    RequestPercentage,
    /// Partitions created or deleted a second (KIP-599).
    ControllerMutationRate,
    /// Connections a second from an address (KIP-612).
    ConnectionCreationRate,
}

impl QuotaKey {
    /// All keys.
    pub const ALL: [QuotaKey; 5] = [
        QuotaKey::ProducerByteRate,
        QuotaKey::ConsumerByteRate,
        QuotaKey::RequestPercentage,
        QuotaKey::ControllerMutationRate,
        QuotaKey::ConnectionCreationRate,
    ];

    /// The key as configuration names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            QuotaKey::ProducerByteRate => "producer_byte_rate",
            QuotaKey::ConsumerByteRate => "consumer_byte_rate",
            QuotaKey::RequestPercentage => "request_percentage",
            QuotaKey::ControllerMutationRate => "controller_mutation_rate",
            QuotaKey::ConnectionCreationRate => "connection_creation_rate",
        }
    }

    /// The key of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// Whether the entity can have this limit.
    #[must_use]
    pub fn applies_to(self, entity: &ClientQuotaEntity) -> bool {
        let is_ip = matches!(entity, ClientQuotaEntity::Ip(_));
        is_ip == (self == QuotaKey::ConnectionCreationRate)
    }

    /// Checks a limit, or says what is wrong with it.
    pub fn check(self, value: QuotaValue) -> Result<(), String> {
        let (name, value) = (self.name(), value.0);
        if !value.is_finite() {
            return Err(format!("{name} must be a finite number."));
        }
        if value <= 0.0 {
            return Err(format!("{name} must be greater than 0."));
        }
        let largest = match self {
            QuotaKey::ProducerByteRate | QuotaKey::ConsumerByteRate => i64::MAX as f64,
            QuotaKey::ConnectionCreationRate => f64::from(i32::MAX),
            QuotaKey::RequestPercentage | QuotaKey::ControllerMutationRate => return Ok(()),
        };
        if value > largest {
            return Err(format!("{name} must be at most {largest}."));
        }
        // Kafka's tolerance for numbers that tools have put through floating point.
        if value % 1.0 > 1e-6 {
            return Err(format!("{name} must be a whole number."));
        }
        Ok(())
    }
}

/// A limit. Values are compared by their bits, so that records and images have an equality.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QuotaValue(pub f64);

impl PartialEq for QuotaValue {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for QuotaValue {}

#[cfg(test)]
mod tests;
