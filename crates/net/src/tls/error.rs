//! What can go wrong with TLS: with its files, and with one handshake.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why TLS cannot be used, or why a connection was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file has no usable keys or certificates.
    #[error("{} cannot be used: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ottla_security::Error,
    },
    /// The key and its certificates do not fit together, or TLS cannot use them.
    #[error("the key and certificates of {} cannot be used: {reason}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// The trusted certificates cannot be used.
    #[error("the certificates of {} cannot be trusted: {reason}", path.display())]
    Trust {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// No connection could satisfy the options.
    #[error("{reason}")]
    Options {
        /// What contradicts what.
        reason: String,
    },
    /// A connection is to be accepted, and there are no keys.
    #[error("there is no keystore, so no TLS connection can be taken")]
    NoKeys,
    /// A connection is to be made, and nobody is trusted.
    #[error("there is no truststore, so no TLS connection can be made")]
    NoTrust,
    /// The other side speaks no TLS.
    #[error("what came is not TLS; is the client set up for TLS?")]
    NotTls,
    /// The handshake took too long.
    #[error("the handshake took longer than {limit_ms} ms")]
    Timeout {
        /// How long it may take.
        limit_ms: u64,
    },
    /// The handshake failed.
    #[error("the handshake failed: {reason}")]
    Handshake {
        /// What rustls says.
        reason: String,
    },
    /// The connection broke off in the handshake.
    #[error("the connection ended in the handshake: {0}")]
    Io(io::Error),
    /// The host is no name that a certificate could be for.
    #[error("{host} is no host name")]
    HostName {
        /// The host.
        host: String,
    },
    /// The certificate of whoever connects is for another address.
    #[error("the certificate of {address} is not for that address: {reason}")]
    Address {
        /// Where the connection came from.
        address: IpAddr,
        /// What rustls says.
        reason: String,
    },
}

impl Error {
    pub(super) fn handshake(error: &io::Error) -> Self {
        let known = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match known {
            Some(rustls::Error::InvalidMessage(_)) => Error::NotTls,
            Some(reason) => Error::Handshake {
                reason: reason.to_string(),
            },
            None => Error::Io(io::Error::new(error.kind(), error.to_string())),
        }
    }
}
