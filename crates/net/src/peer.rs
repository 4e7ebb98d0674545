//! Who is at the other end.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use ottla_runtime::Instant;

use crate::mute::Mute;

/// The name and version of the library that a client says it is (KIP-511).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSoftware {
    /// Such as `apache-kafka-java`.
    pub name: String,
    /// Such as `4.1.0`.
    pub version: String,
}

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    listener: Arc<str>,
    address: SocketAddr,
    connection_id: u64,
    principal: &'static str,
    software: OnceLock<ClientSoftware>,
    mute: Mute,
}

impl Peer {
    pub(crate) fn new(listener: Arc<str>, address: SocketAddr, connection_id: u64) -> Self {
        Peer {
            listener,
            // An IPv4 client of a socket for both is the same client as on one for IPv4.
            address: SocketAddr::new(address.ip().to_canonical(), address.port()),
            connection_id,
            principal: "User:ANONYMOUS",
            software: OnceLock::new(),
            mute: Mute::default(),
        }
    }

    /// The name of the listener that accepted the connection.
    #[must_use]
    pub fn listener(&self) -> &str {
        &self.listener
    }

    /// Where it connects from.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connection's number, unique while the process lives.
    #[must_use]
    pub fn connection_id(&self) -> u64 {
        self.connection_id
    }

    /// Who it is, in Kafka's form. Listeners without authentication know everyone by this name.
    #[must_use]
    pub fn principal(&self) -> &str {
        self.principal
    }

    /// Takes on no more requests of this connection before then: the peer uses more than its quota
    /// (KIP-219). Requests in work go on, and their replies leave.
    pub fn mute_until(&self, end: Instant) {
        self.mute.until(end);
    }

    pub(crate) fn mute(&self) -> &Mute {
        &self.mute
    }

    /// What ApiVersions said about the client's library, once it has come.
    #[must_use]
    pub fn software(&self) -> Option<&ClientSoftware> {
        self.software.get()
    }

    /// Notes what ApiVersions said. The first word counts; false for any later one.
    pub fn set_software(&self, software: ClientSoftware) -> bool {
        self.software.set(software).is_ok()
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on listener {}", self.address, self.listener)?;
        match self.software() {
            Some(s) => write!(f, " ({} {})", s.name, s.version),
            None => Ok(()),
        }
    }
}
