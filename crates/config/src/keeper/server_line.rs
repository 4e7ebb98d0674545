//! `server.N=host:port:port[:role][;[host:]port]`, as a file and the znode `/zookeeper/config` have
//! it.
//!
//! ```text
//! server.1=zoo1:2888:3888:participant;2181
//!          │    │    │    │           └ clients' port, with or without an address
//!          │    │    │    └ participant or observer; participant if it is left out
//!          │    │    └ the port of elections
//!          │    └ the port of the servers
//!          └ several addresses are separated by |
//! ```
//!
//! The source is the class `QuorumPeer.QuorumServer`.

use std::fmt;

use crate::keeper::KeeperListener;

/// The highest number of a server. It is the first byte of its sessions' ids, and 255 there marks
/// znodes with a time to live (`EphemeralType.validateServerId`, which ZooKeeper asks only where
/// `extendedTypesEnabled` is set).
const SERVER_ID_MAX: i64 = 254;

/// What a server is in its ensemble.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeeperPeerType {
    /// It votes.
    #[default]
    Participant,
    /// It has all data, and does not vote.
    Observer,
}

impl KeeperPeerType {
    /// ZooKeeper's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            KeeperPeerType::Participant => "participant",
            KeeperPeerType::Observer => "observer",
        }
    }

    /// Reads ZooKeeper's word, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        [KeeperPeerType::Participant, KeeperPeerType::Observer]
            .into_iter()
            .find(|kind| text.eq_ignore_ascii_case(kind.name()))
    }
}

/// One address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperAddress {
    /// The host, without brackets.
    pub host: String,
    /// The port on which servers talk to each other.
    pub peer_port: u16,
    /// The port of elections. It is told on, and not opened: elections use `peer_port`.
    pub election_port: u16,
}

/// One server of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperServer {
    /// Its number, the N of `server.N`.
    pub id: i64,
    /// Its addresses, at least one.
    pub addresses: Vec<KeeperAddress>,
    /// Whether it votes.
    pub peer_type: KeeperPeerType,
    /// Where its clients connect, if its line says so. A line with a port alone is `0.0.0.0`.
    pub client: Option<KeeperListener>,
}

/// The most addresses of one server.
const ADDRESSES_MAX: usize = 16;

impl KeeperServer {
    /// Reads what stands behind `server.N=`.
    ///
    /// # Errors
    /// What is wrong with it, in words that complete "server.N = …: ".
    pub fn parse(id: i64, text: &str) -> Result<Self, String> {
        let (servers, client) = match text.trim().split_once(';') {
            Some((servers, client)) => (servers, Some(parse_client(client)?)),
            None => (text.trim(), None),
        };
        let mut addresses = Vec::new();
        let mut peer_type: Option<KeeperPeerType> = None;
        for entry in servers.split('|') {
            let (address, kind) = parse_address(entry)?;
            if let Some(kind) = kind {
                if peer_type.is_some_and(|known| known != kind) {
                    return Err("its addresses must all be participants, or all observers".into());
                }
                peer_type = Some(kind);
            }
            addresses.push(address);
            if addresses.len() > ADDRESSES_MAX {
                return Err(format!("it has more than {ADDRESSES_MAX} addresses"));
            }
        }
        Ok(KeeperServer {
            id,
            addresses,
            peer_type: peer_type.unwrap_or_default(),
            client,
        })
    }

    /// The number in `server.N`, or nothing for another key.
    ///
    /// # Errors
    /// What stands where the number should be.
    pub fn id_of_key(key: &str) -> Option<Result<i64, String>> {
        let digits = key.strip_prefix("server.")?;
        let number = digits.parse::<i64>().ok();
        let number = number.filter(|_| !digits.starts_with('+'));
        Some(match number {
            Some(id) => check_server_id(id).map(|()| id),
            None => Err(format!("{digits} is no number from 0 to {SERVER_ID_MAX}")),
        })
    }
}

/// Whether a server can have this number.
///
/// # Errors
/// Why it cannot.
pub(super) fn check_server_id(id: i64) -> Result<(), String> {
    match id {
        0..=SERVER_ID_MAX => Ok(()),
        _ => Err(format!(
            "{id} is no number from 0 to {SERVER_ID_MAX}: a server's number is the first byte of \
             its sessions' ids, and nothing larger has room there"
        )),
    }
}

/// As `/zookeeper/config` has it, without the `server.N=` before it.
impl fmt::Display for KeeperServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.addresses.iter().enumerate() {
            if index > 0 {
                f.write_str("|")?;
            }
            let host = bracketed(&address.host);
            write!(f, "{host}:{}:{}", address.peer_port, address.election_port)?;
        }
        write!(f, ":{}", self.peer_type.name())?;
        match &self.client {
            Some(client) => write!(f, ";{}:{}", bracketed(&client.host), client.port),
            None => Ok(()),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

const FORM: &str = "it does not have the form host:port:port, with :participant or :observer behind \
                    it, and ;port or ;host:port for clients";

fn parse_address(entry: &str) -> Result<(KeeperAddress, Option<KeeperPeerType>), String> {
    let (host, rest) = split_host(entry.trim())?;
    let parts: Vec<&str> = rest.split(':').map(str::trim).collect();
    let (peer, election, kind) = match parts.as_slice() {
        [peer, election] => (peer, election, None),
        [peer, election, kind] => {
            let kind = KeeperPeerType::parse(kind)
                .ok_or_else(|| format!("{kind} is neither participant nor observer"))?;
            (peer, election, Some(kind))
        }
        _ => return Err(FORM.to_owned()),
    };
    let (peer_port, election_port) = (parse_port(peer)?, parse_port(election)?);
    if host.is_empty() || peer_port == 0 || election_port == 0 {
        return Err("a server is found by a host and two ports".to_owned());
    }
    if peer_port == election_port {
        return Err("the ports of the servers and of elections must differ".to_owned());
    }
    let address = KeeperAddress {
        host,
        peer_port,
        election_port,
    };
    Ok((address, kind))
}

fn parse_client(text: &str) -> Result<KeeperListener, String> {
    let text = text.trim();
    if !text.contains(':') {
        return Ok(KeeperListener {
            host: "0.0.0.0".to_owned(),
            port: parse_port(text)?,
        });
    }
    let (host, port) = split_host(text)?;
    Ok(KeeperListener {
        host,
        port: parse_port(&port)?,
    })
}

/// The host, without brackets, and what stands behind its colon.
fn split_host(text: &str) -> Result<(String, String), String> {
    if let Some(inside) = text.strip_prefix('[') {
        let (host, rest) = inside
            .split_once(']')
            .ok_or_else(|| "a bracket is not closed".to_owned())?;
        let rest = rest.strip_prefix(':').ok_or_else(|| FORM.to_owned())?;
        return Ok((host.to_owned(), rest.to_owned()));
    }
    let (host, rest) = text.split_once(':').ok_or_else(|| FORM.to_owned())?;
    Ok((host.to_owned(), rest.to_owned()))
}

fn parse_port(text: &str) -> Result<u16, String> {
    let digits = text.trim();
    let number = digits.parse().ok().filter(|_| !digits.starts_with('+'));
    number.ok_or_else(|| format!("{text} is no port from 0 to 65535"))
}
