//! Listeners and the addresses that clients are told.

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
