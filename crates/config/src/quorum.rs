//! The controllers, and how a node finds them.

use crate::broker::BrokerProperties;
use crate::error::ConfigError;
use crate::listeners::{Listener, parse_host_port};
use crate::node::Roles;

const VOTERS: &str = "controller.quorum.voters";
const SERVERS: &str = "controller.quorum.bootstrap.servers";
const EXPECT: &str = "ottla.quorum.bootstrap.expect";

/// Where a controller is found. The name may stand for several of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuorumServer {
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// One entry of `controller.quorum.voters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumVoter {
    /// The controller's `node.id`.
    pub id: i32,
    /// Where it is.
    pub server: QuorumServer,
}

/// What the configuration says of the metadata quorum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuorumConfig {
    /// `controller.quorum.voters`, in the order of their ids.
    pub voters: Vec<QuorumVoter>,
    /// `controller.quorum.bootstrap.servers`.
    pub servers: Vec<QuorumServer>,
    /// How many controllers found a new cluster: as `ottla.quorum.bootstrap.expect` says, or as
    /// many as are named.
    pub expect: usize,
    /// Whether `ottla.quorum.bootstrap.expect` says so.
    expect_is_set: bool,
}

impl QuorumConfig {
    /// Whether there is any other node to look for, or to be found by. Without, the node is a
    /// cluster of its own.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.voters.is_empty() || !self.servers.is_empty()
    }

    /// All places where controllers may be found, the bootstrap servers first.
    #[must_use]
    pub fn places(&self) -> Vec<QuorumServer> {
        let voters = self.voters.iter().map(|voter| &voter.server);
        let mut places: Vec<QuorumServer> = Vec::new();
        for server in self.servers.iter().chain(voters) {
            if !places.contains(server) {
                places.push(server.clone());
            }
        }
        places
    }

    /// Whether the node is one of those that found the cluster by name.
    #[must_use]
    pub fn is_named(&self, node_id: i32) -> bool {
        self.voters.iter().any(|voter| voter.id == node_id)
    }

    pub(crate) fn of(broker: &BrokerProperties, errors: &mut Vec<ConfigError>) -> Self {
        let mut voters: Vec<QuorumVoter> = Vec::new();
        for entry in &broker.quorum_voters {
            match voter(entry) {
                Ok(voter) if voters.iter().any(|known| known.id == voter.id) => {
                    let reason = format!("there are two voters with the id {}", voter.id);
                    errors.push(refused(VOTERS, entry, &reason));
                }
                Ok(voter) => voters.push(voter),
                Err(error) => errors.push(error),
            }
        }
        voters.sort_by_key(|voter| voter.id);
        let mut servers = Vec::new();
        for entry in &broker.quorum_bootstrap_servers {
            match server(SERVERS, entry, entry) {
                Ok(server) => servers.push(server),
                Err(error) => errors.push(error),
            }
        }
        let named = if voters.is_empty() {
            servers.len()
        } else {
            voters.len()
        };
        let expected = broker.quorum_bootstrap_expect;
        if let Some(expected) = expected
            && !voters.is_empty()
            && usize::try_from(expected) != Ok(voters.len())
        {
            let reason = format!(
                "{VOTERS} has {} entries, and they are the ones that found the cluster; {EXPECT} \
                 can go",
                voters.len()
            );
            errors.push(conflict(format!("{EXPECT} = {expected}"), reason));
        }
        QuorumConfig {
            voters,
            servers,
            expect: expected
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(named),
            expect_is_set: expected.is_some(),
        }
    }

    /// Judges the node's own place in the quorum.
    pub(crate) fn check_node(
        &self,
        roles: Roles,
        node_id: Option<i32>,
        own: &[Listener],
        hostname: &str,
        errors: &mut Vec<ConfigError>,
    ) {
        if !errors.is_empty() {
            return;
        }
        let roles_text = match (roles.broker, roles.controller) {
            (true, false) => "broker",
            (false, true) => "controller",
            _ => "broker,controller",
        };
        let both = roles.broker && roles.controller;
        if !both && !self.is_configured() {
            let reason = format!(
                "with one role alone the node has to find the controllers: set {SERVERS} to their \
                 host:port"
            );
            errors.push(conflict(format!("process.roles = {roles_text}"), reason));
        }
        if let Some(id) = node_id.filter(|_| !self.voters.is_empty()) {
            let entries = self.voters_text();
            if roles.controller && !self.is_named(id) && self.servers.is_empty() {
                let reason = format!(
                    "the node is a controller, but not among the voters; add it, or set {SERVERS} \
                     to let it join them"
                );
                errors.push(conflict(
                    format!("{VOTERS} = {entries}, node.id = {id}"),
                    reason,
                ));
            }
            if !roles.controller && self.is_named(id) {
                let reason = "the node is among the voters, but no controller; add controller to \
                              its roles or take it out of the voters";
                errors.push(conflict(
                    format!("{VOTERS} = {entries}, node.id = {id}, process.roles = {roles_text}"),
                    reason.to_owned(),
                ));
            }
        }
        let alone = self.voters.is_empty() && self.servers.len() == 1;
        if roles.controller && alone && !self.expect_is_set {
            let place = &self.servers[0];
            if !is_own(place, own, hostname) {
                let reason = format!(
                    "one name may stand for several controllers, and each of them must not found \
                     a cluster for itself: set {EXPECT} to their number"
                );
                let entry = format!("{SERVERS} = {}:{}", place.host, place.port);
                errors.push(conflict(entry, reason));
            }
        }
    }

    fn voters_text(&self) -> String {
        let entry = |v: &QuorumVoter| format!("{}@{}:{}", v.id, v.server.host, v.server.port);
        let entries: Vec<String> = self.voters.iter().map(entry).collect();
        entries.join(",")
    }
}

/// Whether a place can only be this node itself.
fn is_own(place: &QuorumServer, own: &[Listener], hostname: &str) -> bool {
    let loopback = place
        .host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|ip| ip.is_loopback())
        || place.host == "localhost";
    own.iter().any(|listener| {
        let port = listener.advertised_port.unwrap_or(listener.port);
        let ports = [port, listener.port];
        let host = loopback || place.host == hostname || place.host == listener.advertised_host;
        host && ports.contains(&place.port)
    })
}

fn voter(entry: &str) -> Result<QuorumVoter, ConfigError> {
    let Some((id, address)) = entry.split_once('@') else {
        return Err(refused(VOTERS, entry, "expected id@host:port"));
    };
    let id = match id.trim().parse::<i32>() {
        Ok(id) if id >= 0 => id,
        _ => {
            return Err(refused(
                VOTERS,
                entry,
                "the id is not a number from 0 to 2147483647",
            ));
        }
    };
    let server = server(VOTERS, entry, address)?;
    Ok(QuorumVoter { id, server })
}

fn server(key: &str, entry: &str, address: &str) -> Result<QuorumServer, ConfigError> {
    let (host, port) = parse_host_port(key, address.trim()).map_err(|error| match error {
        ConfigError::Listener { reason, .. } => refused(key, entry, &reason),
        other => other,
    })?;
    if host.is_empty() || port == 0 {
        return Err(refused(
            key,
            entry,
            "a controller is found by a host and a port",
        ));
    }
    Ok(QuorumServer { host, port })
}

fn refused(key: &str, entry: &str, reason: &str) -> ConfigError {
    ConfigError::Listener {
        key: key.to_owned(),
        entry: entry.to_owned(),
        reason: reason.to_owned(),
    }
}

fn conflict(keys: String, reason: String) -> ConfigError {
    ConfigError::Conflict { keys, reason }
}

#[cfg(test)]
mod tests;
