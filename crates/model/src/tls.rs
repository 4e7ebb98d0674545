//! How TLS is used on a port or between nodes: paths and choices, not the keys themselves.

use std::path::PathBuf;

use crate::Secret;

/// The format of a file with keys or certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFormat {
    /// PEM blocks: the key and its chain in one file, or trusted certificates.
    Pem,
    /// PKCS#12.
    Pkcs12,
    /// Java's own format.
    Jks,
}

/// A file with keys or certificates, and what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFile {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: StoreFormat,
    /// The password; none when there is none, or when it is in a file.
    pub password: Option<Secret>,
    /// The file whose first line is the password; it counts before `password`.
    pub password_path: Option<PathBuf>,
}

/// What a server asks of a client's certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// It is not asked for.
    None,
    /// It is asked for; a client without one is let in.
    Want,
    /// A client without one is not let in.
    #[default]
    Need,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2
    V1_2,
    /// TLS 1.3
    V1_3,
}

/// How TLS is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// The own key and its certificates. A side that only connects may have none.
    pub key_store: Option<StoreFile>,
    /// Who signs those that are trusted. Without, nobody who connects is asked for a certificate,
    /// and nobody can be connected to.
    pub trust_store: Option<StoreFile>,
    /// The versions of TLS, at least one.
    pub versions: Vec<TlsVersion>,
    /// The cipher suites by their IANA names, in the order of preference; empty is the library's
    /// own choice.
    pub cipher_suites: Vec<String>,
    /// What is asked of whoever connects.
    pub client_auth: ClientAuth,
    /// Whether a server that is connected to must have a certificate for the name by which it was
    /// found.
    pub hostname_verification: bool,
    /// Whether whoever connects must have a certificate for the address that it comes from.
    pub client_hostname_verification: bool,
    /// How long a handshake may take.
    pub handshake_timeout_ms: u64,
}
