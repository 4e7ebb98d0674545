//! What was seen, without any judgement.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::knock::Speaks;

/// Everything that the judgement rests on.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The addresses that the user gave.
    pub(super) bootstrap: Vec<Door>,
    /// The brokers of the first bootstrap address that answered, each with its advertised address.
    pub(super) brokers: Vec<(BrokerAddress, Door)>,
    /// All topics; `None` when nobody could be asked.
    pub(super) topics: Option<Result<Vec<Topic>, String>>,
    /// The metadata quorum; `None` where there is none (before KRaft), or nobody may ask.
    pub(super) quorum: Option<Result<Quorum, String>>,
    /// Brokers that are registered and do not run; none where nobody can tell (before Kafka 4.0).
    pub(super) fenced: Vec<Fenced>,
    /// The record that was written and read back, when that was asked for.
    pub(super) round_trip: Option<(String, Result<RoundTrip, String>)>,
}

impl Facts {
    /// The first answer of a bootstrap address.
    pub(super) fn answer(&self) -> Option<&Answer> {
        self.bootstrap.iter().find_map(Door::answer)
    }

    pub(super) fn is_reached(&self) -> bool {
        self.answer().is_some()
    }
}

/// A `host:port` that somebody should listen on, and what was found there.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) host: String,
    pub(super) port: u16,
    /// The resolver's words when it is an error.
    pub(super) resolved: Result<Vec<IpAddr>, String>,
    /// One for each resolved address that was tried.
    pub(super) dials: Vec<Dial>,
}

impl Door {
    pub(super) fn answer(&self) -> Option<&Answer> {
        self.dials
            .iter()
            .find_map(|dial| dial.outcome.as_ref().ok())
    }

    pub(super) fn addresses(&self) -> &[IpAddr] {
        self.resolved.as_deref().unwrap_or_default()
    }

    /// Whether it leads to this very machine.
    pub(super) fn is_local(&self) -> bool {
        let addresses = self.addresses();
        self.host.eq_ignore_ascii_case("localhost")
            || (!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback))
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&place(&self.host, self.port))
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(super) fn place(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// One try to talk to one address.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    pub(super) ip: IpAddr,
    pub(super) outcome: Result<Answer, Failure>,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    Refused,
    TimedOut,
    Reset,
    /// No route to the host or the network.
    Unroutable,
    /// Somebody answers, in another protocol.
    Speaks(Speaks),
    /// The connection stands, and whoever is there does not answer in Kafka's protocol.
    NotKafka(String),
    /// It is Kafka up to here, and then ends the connection: it wants credentials.
    Credentials,
    Other(String),
}

/// What a broker says.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// Kafka tells it since 0.10.1.
    pub(super) cluster_id: Option<String>,
    pub(super) controller: Option<i32>,
    pub(super) brokers: Vec<BrokerAddress>,
    pub(super) identity: Identity,
    /// How long a request took whose answer costs the broker nothing.
    pub(super) latency: Duration,
    /// How many APIs it serves.
    pub(super) apis: usize,
    /// The finalized `metadata.version`, where there is one (KRaft).
    pub(super) metadata_version: Option<i16>,
}

/// Whether the broker that answers is the one that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nobody in particular was looked for.
    NotAsked,
    Confirmed,
    /// It is another one.
    Other(String),
    /// It does not tell; why.
    Unknown(String),
}

/// A broker with the address that it advertises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokerAddress {
    pub(super) id: i32,
    pub(super) host: String,
    pub(super) port: u16,
}

/// Who keeps the metadata.
#[derive(Debug, Clone, Default)]
pub(super) struct Quorum {
    pub(super) leader: Option<i32>,
    pub(super) voters: Vec<Voter>,
}

/// A voter of the quorum.
#[derive(Debug, Clone)]
pub(super) struct Voter {
    pub(super) id: i32,
    /// For how long it has not been as far as the leader; `None` when it never was.
    pub(super) lag_ms: Option<i64>,
}

/// A broker that the cluster knows and does not hear.
#[derive(Debug, Clone)]
pub(super) struct Fenced {
    pub(super) id: i32,
    pub(super) address: String,
}

/// A topic's partitions that are not well.
#[derive(Debug, Clone, Default)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: usize,
    /// Partitions that nobody leads.
    pub(super) leaderless: Vec<i32>,
    /// Partitions with a replica that is not in sync.
    pub(super) under_replicated: Vec<i32>,
    /// Partitions with fewer replicas in sync than `min.insync.replicas`.
    pub(super) under_min_isr: Vec<i32>,
    /// The most replicas that a partition has.
    pub(super) replication_factor: usize,
    /// Its `min.insync.replicas`, where that was looked up.
    pub(super) min_isr: Option<usize>,
    /// The cluster could not describe it.
    pub(super) error: Option<String>,
}

/// A record that was written and read back.
#[derive(Debug, Clone)]
pub(super) struct RoundTrip {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) write: Duration,
    pub(super) read: Duration,
    /// The broker's clock minus ours in milliseconds, where the topic's records have the broker's
    /// time; with half of the write's duration as its uncertainty.
    pub(super) skew_ms: Option<i64>,
}
