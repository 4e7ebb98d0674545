//! Why the keeper cannot start or must stop.

use std::io;
use std::path::{Path, PathBuf};

use ottla_model::Uuid;

/// Why the keeper cannot start or must stop. The messages say what is concerned and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("could not {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, for example `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file that says whose volume it is cannot be understood.
    #[error(
        "{path} is damaged: {reason}; restore it, or start with an empty folder and let the other \
         servers fill it",
        path = path.display()
    )]
    DamagedIdentity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The volume belongs to another server.
    #[error(
        "{path} says that this volume belongs to server {stored}, but the configuration says that \
         this is server {configured}: mount the right volume or correct myid",
        path = path.display()
    )]
    ForeignVolume {
        /// The file.
        path: PathBuf,
        /// Whose volume it is.
        stored: u64,
        /// Who wants to use it.
        configured: u64,
    },
    /// The server met another ensemble than its own.
    #[error(
        "{path} says that this volume belongs to ensemble {own}, but the servers that were met \
         belong to ensemble {met}: mount the right volume, or correct the lines server.N",
        path = path.display()
    )]
    ForeignEnsemble {
        /// The file.
        path: PathBuf,
        /// The volume's ensemble.
        own: Uuid,
        /// The ensemble of the others.
        met: Uuid,
    },
    /// The servers that were met belong to different ensembles.
    #[error(
        "the configured servers belong to different ensembles: {one}, and {other}; correct the \
         lines server.N"
    )]
    SeveralEnsembles {
        /// A server and its ensemble.
        one: String,
        /// Another one, with another ensemble.
        other: String,
    },
    /// The configuration makes no sense for this server.
    #[error("{0}")]
    Configuration(String),
    /// The port of the servers cannot be opened.
    #[error(
        "could not listen for other servers on {host}:{port}: {source}; correct this server's line \
         server.N, or set quorumListenOnAllIPs=true"
    )]
    Listen {
        /// The host of this server's line; `*` is every interface.
        host: String,
        /// The port.
        port: u16,
        /// The system's error.
        source: io::Error,
    },
    /// The keys for TLS between servers cannot be used.
    #[error("TLS between servers (sslQuorum): {0}")]
    QuorumTls(ottla_net::tls::Error),
    /// The keys for TLS with clients cannot be used.
    #[error("TLS with clients (secureClientPort): {0}")]
    ClientTls(ottla_net::tls::Error),
    /// A port for clients cannot be opened.
    #[error(
        "could not listen for clients on {host}:{port}: {source}; stop whoever has the port, or set \
         clientPort or secureClientPort",
        host = if host.is_empty() { "*" } else { host }
    )]
    ListenForClients {
        /// The host; an empty one is every interface.
        host: String,
        /// The port.
        port: u16,
        /// The system's error.
        source: io::Error,
    },
    /// The file with SASL's users cannot be used.
    #[error("{path} (java.security.auth.login.config): {reason}", path = path.display())]
    LoginFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: ottla_security::jaas::JaasError,
    },
    /// The member of the group cannot be started.
    #[error(transparent)]
    Raft(#[from] ottla_raft::Error),
    /// The ensemble cannot be founded.
    #[error("the ensemble cannot be founded: {0}")]
    Found(ottla_raft::ChangeError),
    /// The server was told to stop before it had found its ensemble.
    #[error("stopped before an ensemble was found")]
    Stopped,
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }
}
