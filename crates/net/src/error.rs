//! What can go wrong, with listeners and with one connection.

use std::io;
use std::time::Duration;

use crate::first_bytes::Guess;
use crate::probe::Closed;

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address could not be bound.
    #[error(
        "listener {name} cannot listen on {address}: {source}; {}",
        hint(source)
    )]
    Bind {
        /// The listener's name.
        name: String,
        /// The host and port.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Two listeners have one name.
    #[error("listener {name} is there twice; give each entry of listeners its own name")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// There is nothing to listen on.
    #[error("there is no listener; set listeners, for example to PLAINTEXT://127.0.0.1:9092")]
    NoListener,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there: stop it, or set another port in listeners"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have the address: set one that it has in listeners, or leave \
             the host empty for all of them"
        }
        io::ErrorKind::PermissionDenied => {
            "the process may not use this port: set one above 1023 in listeners"
        }
        _ => "check the host and port in listeners",
    }
}

/// Why a connection was closed from this side.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the peer closed the connection within a request of which {read} bytes had come")]
    Torn { read: usize },
    #[error("no request came for {0:?} (connections.max.idle.ms)")]
    Idle(Duration),
    #[error("a request of {length} bytes did not come forward for {after:?}")]
    SlowRequest { length: usize, after: Duration },
    #[error("a reply of {left} more bytes was not read for {after:?}")]
    SlowReader { left: usize, after: Duration },
    #[error("{0}")]
    BadLength(String),
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}")]
    Dispatch(String),
    #[error("requests were still in work {0:?} after the shutdown")]
    Drain(Duration),
}

impl Ended {
    /// A frame that announces more bytes than it may have, or fewer than none.
    pub(crate) fn length(length: i32, limit: usize, property: &str, guess: Guess) -> Self {
        Ended::BadLength(match guess {
            Guess::Nothing if length < 0 => {
                format!("a request announced a length of {length} bytes; this is no Kafka client")
            }
            Guess::Nothing => format!(
                "a request of {length} bytes is larger than the {limit} of {property}; raise it, \
                 or make the client's batches smaller"
            ),
            known => known.to_string(),
        })
    }

    pub(crate) fn closed(&self) -> Closed {
        match self {
            Ended::Io(_) | Ended::Torn { .. } => Closed::Broken,
            Ended::Idle(_) => Closed::Idle,
            Ended::SlowRequest { .. } | Ended::SlowReader { .. } => Closed::Stalled,
            Ended::BadLength(_) | Ended::Malformed(_) => Closed::Malformed,
            Ended::Unsupported(_) => Closed::Unsupported,
            Ended::Dispatch(_) => Closed::Dispatch,
            Ended::Drain(_) => Closed::Drain,
        }
    }
}
