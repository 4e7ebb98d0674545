//! Which server this is, and which servers there are.
//!
//! ```text
//! --set myid, ZOO_MY_ID ─┐
//! the file myid ─────────┼─▶ they must agree ─▶ the number
//! the hostname's ordinal ┘   (the ordinal only where it was asked for; else it counts last)
//! ```

use std::collections::BTreeSet;

use super::load::Surroundings;
use super::properties::KeeperProperties;
use super::server_line::check_server_id;
use super::{HostnameId, KeeperAddress, KeeperConfig, KeeperPeerType, KeeperServer};
use crate::error::{ConfigError, ConfigErrors};
use crate::found::Found;
use crate::properties_file;
use crate::sources::Level;
use crate::template::ordinal;

/// With a StatefulSet's replicas the first server is number 1, and its pod's ordinal is 0.
const REPLICAS_OFFSET: i64 = 1;

/// The number that follows from the hostname. With `ottla.keeper.replicas`, the servers follow from
/// it, too.
pub(super) fn of_hostname(
    p: &KeeperProperties,
    around: &Surroundings<'_>,
    servers: &mut Vec<KeeperServer>,
    found: &mut Found,
) -> Option<HostnameId> {
    let hostname = around.context.hostname;
    if let Some(replicas) = p.replicas {
        if servers.is_empty() && p.dynamic_config_file.is_none() {
            let offset = p.my_id_ordinal_offset.unwrap_or(REPLICAS_OFFSET);
            return of_replicas(p, replicas, offset, around, servers, found);
        }
        let reason = "the servers are named one by one, so they are not counted";
        found.conflict(
            format!("ottla.keeper.replicas = {replicas}, server.N"),
            reason,
        );
        return None;
    }
    match (p.my_id_ordinal_offset, ordinal(hostname)) {
        (Some(offset), Ok(ordinal)) => Some(HostnameId {
            my_id: i64::from(ordinal).saturating_add(offset),
            is_binding: true,
        }),
        (Some(_), Err(error)) => {
            if p.my_id.is_none() {
                found.errors.push(error);
            }
            None
        }
        (None, Ok(ordinal)) => Some(HostnameId {
            my_id: i64::from(ordinal) + REPLICAS_OFFSET,
            is_binding: false,
        }),
        (None, Err(_)) => None,
    }
}

/// As the scripts of the image `kubernetes-zookeeper` do: `zk-0.zk-hs.…`, `zk-1.zk-hs.…`, …
fn of_replicas(
    p: &KeeperProperties,
    replicas: i32,
    offset: i64,
    around: &Surroundings<'_>,
    servers: &mut Vec<KeeperServer>,
    found: &mut Found,
) -> Option<HostnameId> {
    let hostname = around.context.hostname;
    let (first, rest) = hostname.split_once('.').unwrap_or((hostname, ""));
    let own = match ordinal(hostname) {
        Ok(own) => own,
        // One server needs no name.
        Err(_) if replicas == 1 => return None,
        Err(error) => {
            found.errors.push(error);
            return None;
        }
    };
    let name = first.rsplit_once('-').map_or(first, |(name, _)| name);
    let domain = match (rest, around.domain) {
        ("", Some(domain)) => domain,
        (rest, _) => rest,
    };
    if domain.is_empty() && replicas > 1 {
        let message = format!(
            "The domain of {hostname} is not known, so the other servers are looked for as \
             {name}-0, {name}-1 and so on; give the pods a headless service as their serviceName, \
             or name the servers with server.N."
        );
        found.note(Level::Warn, "ottla.keeper.replicas", message);
    }
    let port = |number: i32| u16::try_from(number).unwrap_or(0);
    let host = |ordinal: i32| match domain {
        "" => format!("{name}-{ordinal}"),
        domain => format!("{name}-{ordinal}.{domain}"),
    };
    servers.extend((0..replicas).map(|ordinal| KeeperServer {
        id: i64::from(ordinal).saturating_add(offset),
        addresses: vec![KeeperAddress {
            host: host(ordinal),
            peer_port: port(p.server_port),
            election_port: port(p.election_port),
        }],
        peer_type: KeeperPeerType::Participant,
        client: None,
    }));
    if own >= replicas {
        found.conflict(
            format!("ottla.keeper.replicas = {replicas}"),
            format!(
                "{hostname} is none of {} to {}",
                host(0),
                host(replicas - 1)
            ),
        );
    }
    Some(HostnameId {
        my_id: i64::from(own).saturating_add(offset),
        is_binding: true,
    })
}

/// What must hold for the servers together (`QuorumPeerConfig.parseDynamicConfig`).
pub(super) fn check_servers(config: &KeeperConfig, found: &mut Found) {
    let count = |kind| {
        let servers = config.servers.iter();
        servers.filter(|server| server.peer_type == kind).count()
    };
    let participants = count(KeeperPeerType::Participant);
    let observers = count(KeeperPeerType::Observer);
    if observers > 0 && config.is_standalone() {
        let reason = match participants {
            0 => "observers need participants to follow",
            _ => "an ensemble of one participant and observers needs standaloneEnabled=false",
        };
        found.conflict(format!("{observers} observers in server.N"), reason);
    }
    if participants == 0 && !config.standalone_enabled && config.dynamic_config_file.is_none() {
        let reason = "an ensemble needs a participant: name this server with server.N";
        found.conflict("standaloneEnabled = false", reason);
    }
    let mut places = BTreeSet::new();
    for server in &config.servers {
        for address in &server.addresses {
            let is_own = matches!(address.host.as_str(), "0.0.0.0" | "::");
            if !is_own && !places.insert((address.host.clone(), address.peer_port)) {
                found.conflict(
                    format!("server.{} = {server}", server.id),
                    "another server has the same address and port",
                );
            }
        }
    }
    match participants {
        _ if config.is_standalone() => {}
        2 => {
            let message = "An ensemble of two participants survives the loss of none of them: \
                           three survive one.";
            found.note(Level::Warn, "server.N", message);
        }
        even if even % 2 == 0 => {
            let message = format!(
                "An ensemble of {even} participants survives no more losses than one of {}.",
                even - 1
            );
            found.note(Level::Warn, "server.N", message);
        }
        _ => {}
    }
}

impl KeeperConfig {
    /// The server's number. `file` is the text of the file `myid` in
    /// [`data_dir`](super::KeeperStorage::data_dir), if there is one; only its first line counts.
    ///
    /// A server alone needs none; it is 0 then.
    ///
    /// # Errors
    /// Two sources that disagree, a file with no number in it, or no number where one is needed.
    pub fn my_id(&self, file: Option<&str>) -> Result<i64, ConfigError> {
        let refused = |keys: String, reason: &str| ConfigError::Conflict {
            keys,
            reason: reason.to_owned(),
        };
        let path = format!("{}/myid", self.storage.data_dir);
        let file = match file {
            None => None,
            Some(text) => {
                let line = text.lines().next().unwrap_or_default().trim();
                let number = line.parse::<i64>().ok().filter(|&number| number >= 0);
                Some(number.ok_or_else(|| {
                    let shown: String = line.chars().take(40).collect();
                    refused(
                        format!("{path} = {shown:?}"),
                        "the file holds the server's number and nothing else",
                    )
                })?)
            }
        };
        let binding = self.my_id_of_hostname.as_ref().filter(|id| id.is_binding);
        let sources = [
            ("myid".to_owned(), self.my_id_given),
            (path.clone(), file),
            ("the hostname".to_owned(), binding.map(|id| id.my_id)),
        ];
        let mut known: Option<(&str, i64)> = None;
        for (name, number) in &sources {
            match (known, number) {
                (Some((first, one)), Some(other)) if one != *other => {
                    return Err(refused(
                        format!("{first} says {one}, {name} says {other}"),
                        "both are the server's number, so they must be the same; change the one \
                         that is wrong, or delete the file if this is a new server",
                    ));
                }
                (None, Some(number)) => known = Some((name.as_str(), *number)),
                _ => {}
            }
        }
        if let Some((name, number)) = known {
            let checked = check_server_id(number);
            checked.map_err(|reason| refused(format!("{name} = {number}"), &reason))?;
            return Ok(number);
        }
        let guess = self.my_id_of_hostname.as_ref().map(|id| id.my_id);
        match guess.filter(|&id| self.server(id).is_some()) {
            Some(guess) => Ok(guess),
            None if self.is_standalone() => {
                // The one server of a list of one is that.
                Ok(self.servers.first().map_or(0, |server| server.id))
            }
            None => Err(refused(
                "myid".to_owned(),
                &format!(
                    "which of the servers this is must be known: write its number into {path}, or \
                     set myid"
                ),
            )),
        }
    }

    /// Takes the servers from the text of [`dynamic_config_file`](Self::dynamic_config_file).
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn read_dynamic_config(&mut self, path: &str, text: &str) -> Result<(), ConfigErrors> {
        let mut found = Found::default();
        let (entries, bad_lines) = properties_file::parse(text);
        for bad in bad_lines {
            found.errors.push(ConfigError::Syntax {
                path: path.to_owned(),
                line: bad.line,
                reason: bad.reason,
            });
        }
        let mut servers: Vec<KeeperServer> = Vec::new();
        for entry in entries {
            let key = entry.key.trim();
            let refused = |reason: String| ConfigError::Syntax {
                path: path.to_owned(),
                line: entry.line,
                reason: format!("{key}: {reason}"),
            };
            let server = match KeeperServer::id_of_key(key) {
                Some(id) => id.and_then(|id| KeeperServer::parse(id, &entry.value)),
                None => Err("there are only lines server.N in this file".to_owned()),
            };
            match server {
                Ok(server) => {
                    servers.retain(|known| known.id != server.id);
                    servers.push(server);
                }
                Err(reason) => found.errors.push(refused(reason)),
            }
        }
        servers.sort_by_key(|server| server.id);
        self.servers = servers;
        self.dynamic_config_version = version_of_name(path);
        check_servers(self, &mut found);
        match found.errors.is_empty() {
            true => Ok(()),
            false => Err(ConfigErrors(found.errors)),
        }
    }
}

/// The version at the end of a file's name, in hexadecimal: `zoo.cfg.dynamic.100000000`; 0 if there
/// is none (`QuorumPeerConfig.getVersionFromFilename`).
fn version_of_name(path: &str) -> i64 {
    path.rsplit_once('.')
        .and_then(|(_, version)| i64::from_str_radix(version, 16).ok())
        .filter(|&version| version >= 0)
        .unwrap_or(0)
}
