//! Listeners and the addresses that clients are told.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::broker::BrokerProperties;
use crate::error::ConfigError;
use crate::node::Roles;

/// How a listener is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name, in capitals.
    pub name: String,
    /// The host to bind, without brackets; empty is every interface.
    pub bind_host: String,
    /// The port to bind; 0 is any free one.
    pub port: u16,
    /// How it is secured.
    pub protocol: SecurityProtocol,
    /// The host that clients are told, without brackets.
    pub advertised_host: String,
    /// The port that clients are told; `None` is the port that was bound.
    pub advertised_port: Option<u16>,
}

const LISTENERS: &str = "listeners";
const ADVERTISED: &str = "advertised.listeners";
const PROTOCOL_MAP: &str = "listener.security.protocol.map";

/// An entry `NAME://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    text: String,
    name: String,
    host: String,
    port: u16,
}

/// The ports of listeners by name, as far as they can be read; for templates, before everything
/// is checked.
pub(crate) fn ports_by_name(entries: &[String]) -> BTreeMap<String, u16> {
    entries
        .iter()
        .filter_map(|entry| parse_endpoint(LISTENERS, entry).ok())
        .map(|endpoint| (endpoint.name, endpoint.port))
        .collect()
}

/// The name in front of `://`, in capitals.
pub(crate) fn name_of(entry: &str) -> Option<String> {
    entry
        .split_once("://")
        .map(|(name, _)| name.trim().to_uppercase())
}

/// What decides which listeners are opened.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// What the process does.
    pub(crate) roles: Roles,
    /// Whether the node has a quorum to reach or to be reached by.
    pub(crate) has_quorum: bool,
}

/// The listeners, put together.
#[derive(Default)]
pub(crate) struct Opened {
    /// Those for clients and other brokers.
    pub(crate) broker: Vec<Listener>,
    /// Those for the metadata quorum.
    pub(crate) controller: Vec<Listener>,
    /// The names of the controller's listeners that nobody needs.
    pub(crate) not_opened: Vec<String>,
}

/// Puts the listeners together.
pub(crate) fn build(
    broker: &BrokerProperties,
    wanted: Wanted,
    protocol_map_is_set: bool,
    hostname: &str,
    errors: &mut Vec<ConfigError>,
) -> Opened {
    let controller_names: Vec<String> = broker
        .controller_listener_names
        .iter()
        .map(|name| name.to_uppercase())
        .collect();
    let endpoints = parse_all(LISTENERS, &broker.listeners, errors);
    check_ports(&endpoints, errors);
    let advertised_entries = broker.advertised_listeners.as_deref().unwrap_or_default();
    let advertised = parse_all(ADVERTISED, advertised_entries, errors);
    check_advertised(&advertised, &endpoints, &controller_names, errors);
    let mut protocols = parse_protocol_map(&broker.listener_security_protocol_map, errors);
    if !protocol_map_is_set {
        // As in Kafka, the listener of the quorum needs no entry of its own.
        for name in &controller_names {
            let plaintext = || "PLAINTEXT".to_owned();
            protocols.entry(name.clone()).or_insert_with(plaintext);
        }
    }

    let mut opened = Opened::default();
    for endpoint in &endpoints {
        let is_controllers = controller_names.contains(&endpoint.name);
        if is_controllers && !wanted.has_quorum {
            opened.not_opened.push(endpoint.name.clone());
            continue;
        }
        if let Err(error) = check_role(endpoint, is_controllers, wanted.roles) {
            errors.push(error);
            continue;
        }
        if let Err(error) = check_protocol(endpoint, &protocols, protocol_map_is_set) {
            errors.push(error);
            continue;
        }
        let entry = advertised.iter().find(|entry| entry.name == endpoint.name);
        match advertise(endpoint, entry, !advertised.is_empty(), hostname) {
            Ok(listener) if is_controllers => opened.controller.push(listener),
            Ok(listener) => opened.broker.push(listener),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        errors.extend(missing(broker, wanted, &opened));
    }
    opened
}

/// A listener whose role the process does not have would be opened for nobody.
fn check_role(endpoint: &Endpoint, is_controllers: bool, roles: Roles) -> Result<(), ConfigError> {
    match (is_controllers, roles) {
        (
            true,
            Roles {
                controller: false, ..
            },
        ) => Err(refused(
            LISTENERS,
            &endpoint.text,
            "it is the controller's, but process.roles does not have controller",
        )),
        (false, Roles { broker: false, .. }) => Err(refused(
            LISTENERS,
            &endpoint.text,
            "it is no controller's, but process.roles does not have broker; name it in \
             controller.listener.names",
        )),
        _ => Ok(()),
    }
}

/// What a role needs and does not have.
fn missing(broker: &BrokerProperties, wanted: Wanted, opened: &Opened) -> Option<ConfigError> {
    let listeners = broker.listeners.join(",");
    if wanted.roles.broker && opened.broker.is_empty() {
        let reason = "every listener is the controller's; clients need one of their own";
        return Some(refused(LISTENERS, &listeners, reason));
    }
    if wanted.roles.controller && wanted.has_quorum && opened.controller.is_empty() {
        let reason = "none of them is the controller's; add one, such as CONTROLLER://:9093, and \
                      name it in controller.listener.names";
        return Some(refused(LISTENERS, &listeners, reason));
    }
    None
}

/// Splits `host:port`, with an IPv6 host in brackets. The host comes without them.
pub(crate) fn parse_host_port(key: &str, text: &str) -> Result<(String, u16), ConfigError> {
    let expected = "expected host:port, with an IPv6 address in brackets";
    let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed
            .split_once(']')
            .ok_or_else(|| refused(key, text, "the bracket [ is not closed"))?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(refused(
                key,
                text,
                &format!("{host} is not an IPv6 address"),
            ));
        }
        let port = rest
            .strip_prefix(':')
            .ok_or_else(|| refused(key, text, expected))?;
        (host, port)
    } else {
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| refused(key, text, expected))?;
        check_host(key, text, host)?;
        (host, port)
    };
    let port = port.parse().ok().filter(|_| !port.starts_with('+'));
    let port =
        port.ok_or_else(|| refused(key, text, "the port is not a number from 0 to 65535"))?;
    Ok((host.to_owned(), port))
}

fn refused(key: &str, entry: &str, reason: &str) -> ConfigError {
    ConfigError::Listener {
        key: key.to_owned(),
        entry: entry.to_owned(),
        reason: reason.to_owned(),
    }
}

fn check_host(key: &str, text: &str, host: &str) -> Result<(), ConfigError> {
    if host.contains(':') {
        return Err(refused(
            key,
            text,
            "an IPv6 address needs brackets, as in [::1]:9092",
        ));
    }
    let is_host_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !host.bytes().all(is_host_byte) {
        return Err(refused(
            key,
            text,
            &format!("{host} is not a host name or an address"),
        ));
    }
    // A name whose last part is a number is meant as an IPv4 address; resolvers take it as one.
    let last = host.rsplit('.').next().unwrap_or(host);
    let is_number = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err(refused(
            key,
            text,
            &format!("{host} looks like an IPv4 address and is none"),
        ));
    }
    Ok(())
}

fn parse_endpoint(key: &str, text: &str) -> Result<Endpoint, ConfigError> {
    let (name, address) = text
        .split_once("://")
        .ok_or_else(|| refused(key, text, "expected NAME://host:port"))?;
    let name = name.trim();
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        return Err(refused(
            key,
            text,
            "a listener's name is letters, digits, - and _",
        ));
    }
    let (host, port) = parse_host_port(key, address.trim()).map_err(|error| match error {
        ConfigError::Listener { reason, .. } => refused(key, text, &reason),
        other => other,
    })?;
    Ok(Endpoint {
        text: text.to_owned(),
        name: name.to_uppercase(),
        host,
        port,
    })
}

fn parse_all(key: &str, entries: &[String], errors: &mut Vec<ConfigError>) -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for entry in entries {
        match parse_endpoint(key, entry) {
            Ok(endpoint) if endpoints.iter().any(|known| known.name == endpoint.name) => {
                let reason = format!("there are two listeners with the name {}", endpoint.name);
                errors.push(refused(key, entry, &reason));
            }
            Ok(endpoint) => endpoints.push(endpoint),
            Err(error) => errors.push(error),
        }
    }
    endpoints
}

/// Two listeners may share a port only when one is bound to an IPv4 and the other to an IPv6
/// address (KIP-797); free ports differ anyway.
fn check_ports(endpoints: &[Endpoint], errors: &mut Vec<ConfigError>) {
    let is_v4 = |endpoint: &Endpoint| endpoint.host.parse::<Ipv4Addr>().is_ok();
    let is_v6 = |endpoint: &Endpoint| endpoint.host.parse::<Ipv6Addr>().is_ok();
    for (index, endpoint) in endpoints.iter().enumerate() {
        let clash = endpoints.iter().take(index).find(|earlier| {
            let families_differ =
                is_v4(earlier) && is_v6(endpoint) || is_v6(earlier) && is_v4(endpoint);
            earlier.port == endpoint.port && !families_differ
        });
        if let Some(earlier) = clash.filter(|_| endpoint.port != 0) {
            let reason = format!("{} has the same port", earlier.text);
            errors.push(refused(LISTENERS, &endpoint.text, &reason));
        }
    }
}

fn check_advertised(
    advertised: &[Endpoint],
    endpoints: &[Endpoint],
    controller_names: &[String],
    errors: &mut Vec<ConfigError>,
) {
    for entry in advertised {
        let is_known = endpoints.iter().any(|known| known.name == entry.name)
            || controller_names.contains(&entry.name);
        if !is_known {
            let names: Vec<&str> = endpoints.iter().map(|known| known.name.as_str()).collect();
            let reason = format!(
                "there is no listener {}; listeners has {}",
                entry.name,
                names.join(", ")
            );
            errors.push(refused(ADVERTISED, &entry.text, &reason));
        }
        if entry.host.is_empty() {
            errors.push(refused(
                ADVERTISED,
                &entry.text,
                "an advertised address needs a host, for example {hostname}",
            ));
        } else if is_meta_address(&entry.host) {
            errors.push(refused(
                ADVERTISED,
                &entry.text,
                "it cannot be advertised, since no client can connect to it; use an address that \
                 clients reach",
            ));
        }
    }
}

fn is_meta_address(host: &str) -> bool {
    host == "0.0.0.0" || host.parse() == Ok(Ipv6Addr::UNSPECIFIED)
}

fn advertise(
    endpoint: &Endpoint,
    entry: Option<&Endpoint>,
    others_are_advertised: bool,
    hostname: &str,
) -> Result<Listener, ConfigError> {
    let hostname = if hostname.is_empty() {
        "localhost"
    } else {
        hostname
    };
    let (advertised_host, advertised_port) = match entry {
        Some(entry) => (entry.host.as_str(), entry.port),
        None if endpoint.host.is_empty() => (hostname, endpoint.port),
        None if is_meta_address(&endpoint.host) && others_are_advertised => {
            (hostname, endpoint.port)
        }
        None if is_meta_address(&endpoint.host) => {
            return Err(refused(
                LISTENERS,
                &endpoint.text,
                "it would be advertised to clients, and none can connect to it; set \
                 advertised.listeners, or leave the host empty to advertise the hostname",
            ));
        }
        None => (endpoint.host.as_str(), endpoint.port),
    };
    Ok(Listener {
        name: endpoint.name.clone(),
        bind_host: endpoint.host.clone(),
        port: endpoint.port,
        protocol: SecurityProtocol::Plaintext,
        advertised_host: advertised_host.to_owned(),
        advertised_port: Some(advertised_port).filter(|&port| port != 0),
    })
}

fn parse_protocol_map(
    entries: &[String],
    errors: &mut Vec<ConfigError>,
) -> BTreeMap<String, String> {
    const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
    let mut protocols = BTreeMap::new();
    for entry in entries {
        let parsed = entry
            .rsplit_once(':')
            .map(|(name, protocol)| (name.trim().to_uppercase(), protocol.trim().to_uppercase()));
        match parsed {
            Some((name, protocol)) if PROTOCOLS.contains(&protocol.as_str()) => {
                if protocols.insert(name.clone(), protocol).is_some() {
                    let reason = format!("{name} is there twice");
                    errors.push(refused(PROTOCOL_MAP, entry, &reason));
                }
            }
            _ => {
                let reason = format!("expected NAME:PROTOCOL, with {}", PROTOCOLS.join(", "));
                errors.push(refused(PROTOCOL_MAP, entry, &reason));
            }
        }
    }
    protocols
}

fn check_protocol(
    endpoint: &Endpoint,
    protocols: &BTreeMap<String, String>,
    map_is_set: bool,
) -> Result<(), ConfigError> {
    match protocols.get(&endpoint.name).map(String::as_str) {
        Some("PLAINTEXT") => Ok(()),
        Some(protocol) => Err(refused(
            LISTENERS,
            &endpoint.text,
            &format!("{protocol} listeners are not supported yet, only PLAINTEXT"),
        )),
        None => {
            let name = &endpoint.name;
            let hint = if map_is_set {
                format!("{PROTOCOL_MAP} has no entry for {name}")
            } else {
                format!("{name} is no protocol, so set {PROTOCOL_MAP}={name}:PLAINTEXT")
            };
            Err(refused(LISTENERS, &endpoint.text, &hint))
        }
    }
}

#[cfg(test)]
mod tests;
