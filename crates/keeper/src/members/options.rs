//! What a server needs to know of its ensemble.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ottla_config::{KeeperConfig, KeeperPeerType, KeeperServer};
use ottla_model::TlsOptions;
use ottla_raft::{Endpoint, NodeId};

use super::codec::LISTENER;
use crate::error::Error;

/// What a server needs to know of its ensemble.
#[derive(Debug, Clone)]
pub struct Options {
    /// `myid`
    pub id: NodeId,
    /// `dataDir`
    pub data_dir: PathBuf,
    /// Whether it is alone, without an ensemble.
    pub is_standalone: bool,
    /// The hosts and ports where it listens for the others; an empty host is every interface.
    pub listen: Vec<(String, u16)>,
    /// Where the others reach it.
    pub endpoints: Vec<Endpoint>,
    /// The servers that found the ensemble, this one among them if it is a participant, in the
    /// order of their numbers.
    pub participants: Vec<NodeId>,
    /// Where the other servers are.
    pub others: BTreeMap<NodeId, Vec<Endpoint>>,
    /// TLS between the servers (`sslQuorum`); `None` is plaintext.
    pub tls: Option<TlsOptions>,
    /// Limits.
    pub limits: Limits,
}

/// Limits of what servers take from each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long connecting to one address may take.
    pub connect_ms: u64,
    /// How long a new connection may take until it is said what it is for, TLS's handshake included;
    /// and how long the answer to that may take.
    pub hello_ms: u64,
    /// A connection over which nothing has come for so long is dead; on a living one something is
    /// said four times as often.
    pub silence_ms: u64,
    /// The largest frame.
    pub frame_bytes_max: usize,
    /// How many bytes may wait on their way to the leader.
    pub forward_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect_ms: 1_000,
            hello_ms: 2_000,
            silence_ms: 2_000,
            frame_bytes_max: 64 << 20,
            forward_bytes_max: 4 << 20,
        }
    }
}

impl Options {
    /// Options as the configuration has them, for the server with this number.
    ///
    /// # Errors
    /// There is no line for the server, or no participant.
    pub fn of_config(config: &KeeperConfig, my_id: i64) -> Result<Options, Error> {
        let data_dir = PathBuf::from(&config.storage.data_dir);
        let id = node_id(my_id)?;
        if config.is_standalone() && config.servers.len() <= 1 {
            return Ok(Options {
                id,
                data_dir,
                is_standalone: true,
                listen: Vec::new(),
                endpoints: Vec::new(),
                participants: vec![id],
                others: BTreeMap::new(),
                tls: None,
                limits: Limits::default(),
            });
        }
        let Some(own) = config.server(my_id) else {
            let named = config.servers.iter().map(|server| server.id.to_string());
            let named = named.collect::<Vec<_>>().join(", ");
            return Err(Error::Configuration(format!(
                "myid is {my_id}, but the configuration names the servers {named}: add a line \
                 server.{my_id}, or correct myid"
            )));
        };
        let mut participants = Vec::new();
        let mut others = BTreeMap::new();
        for server in &config.servers {
            let other = node_id(server.id)?;
            if server.peer_type == KeeperPeerType::Participant {
                participants.push(other);
            }
            if other != id {
                others.insert(other, endpoints(server));
            }
        }
        participants.sort_unstable();
        if participants.is_empty() {
            let reason = "no line server.N names a participant: observers alone are no ensemble";
            return Err(Error::Configuration(reason.to_owned()));
        }
        let listen = own.addresses.iter().map(|address| {
            let host = match config.quorum_listen_on_all_ips {
                true => String::new(),
                false => address.host.clone(),
            };
            (host, address.peer_port)
        });
        let mut listen: Vec<(String, u16)> = listen.collect();
        listen.sort();
        listen.dedup();
        let mut limits = Limits::default();
        if let Some(tls) = &config.quorum_tls {
            limits.hello_ms = limits.hello_ms.saturating_add(tls.handshake_timeout_ms);
        }
        Ok(Options {
            id,
            data_dir,
            is_standalone: false,
            listen,
            endpoints: endpoints(own),
            participants,
            others,
            tls: config.quorum_tls.clone(),
            limits,
        })
    }
}

/// A server's number as raft has it.
///
/// # Errors
/// It is negative.
pub fn node_id(id: i64) -> Result<NodeId, Error> {
    let reason = |_| Error::Configuration(format!("{id} is no server's number"));
    NodeId::try_from(id).map_err(reason)
}

/// Where a server is reached by the others.
#[must_use]
pub fn endpoints(server: &KeeperServer) -> Vec<Endpoint> {
    let each = server.addresses.iter().map(|address| Endpoint {
        listener: LISTENER.to_owned(),
        host: address.host.clone(),
        port: address.peer_port,
    });
    each.collect()
}

#[cfg(test)]
mod tests;
