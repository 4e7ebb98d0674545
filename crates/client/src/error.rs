//! What can go wrong, to whom, and what to do about it.

use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use ottla_model::ErrorCode;
use ottla_wire::{ApiKey, DecodeError, EncodeError};

use crate::releases::since;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address that is not `host:port`.
    #[error("{address:?} is no address of a broker; write host:port, for example localhost:9092")]
    Address {
        /// What was given.
        address: String,
    },
    /// None of the addresses answered.
    #[error("no broker answers at {tried}; check that the node runs and that the address is right")]
    NoBroker {
        /// Each address with what happened there.
        tried: String,
    },
    /// A broker cannot be reached.
    #[error("broker {address} cannot be reached: {source}")]
    Connect {
        /// Where it should be.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection ended while a response was awaited.
    #[error("the connection to broker {address} ended during {api}: {reason}")]
    Disconnected {
        /// The broker's address.
        address: String,
        /// What was asked.
        api: ApiKey,
        /// What happened.
        reason: String,
    },
    /// No response came in time.
    #[error("broker {address} did not answer {api} within {after:?}")]
    Timeout {
        /// The broker's address.
        address: String,
        /// What was asked.
        api: ApiKey,
        /// How long it was waited for.
        after: Duration,
    },
    /// The broker does not serve an API in a version that serves here.
    #[error("{}", unsupported(address, *api, wanted, served.as_ref()))]
    Unsupported {
        /// The broker's address.
        address: String,
        /// What was to be asked.
        api: ApiKey,
        /// The versions that would have served.
        wanted: RangeInclusive<i16>,
        /// The versions that the broker serves; `None` when it does not know the API.
        served: Option<RangeInclusive<i16>>,
    },
    /// A response that cannot be read, or does not answer what was asked.
    #[error("the answer of broker {address} to {api} cannot be read: {reason}")]
    BadResponse {
        /// The broker's address.
        address: String,
        /// What was asked.
        api: ApiKey,
        /// What is wrong with it.
        reason: String,
    },
    /// A request that its version cannot carry.
    #[error("{api} cannot be sent: {source}")]
    Encode {
        /// What was to be asked.
        api: ApiKey,
        /// Why not.
        source: EncodeError,
    },
    /// The broker says no.
    #[error("{api} of {subject} failed: {}", refusal(*code, message.as_deref()))]
    Refused {
        /// What was asked.
        api: ApiKey,
        /// For what: a topic, a partition, a group.
        subject: String,
        /// Kafka's error code.
        code: i16,
        /// The broker's own words, where it gives any.
        message: Option<String>,
    },
    /// Records that cannot be built or read.
    #[error("records of {subject}: {source}")]
    Records {
        /// Whose.
        subject: String,
        /// What is wrong with them.
        source: ottla_record::Error,
    },
    /// A record that can never be sent.
    #[error("a record of {bytes} bytes is larger than the producer's buffer of {limit} bytes")]
    RecordTooLarge {
        /// Its size.
        bytes: usize,
        /// The most that is possible.
        limit: usize,
    },
    /// A partition that the topic does not have.
    #[error("topic {topic} has no partition {partition}; its partitions are 0 to {last}")]
    NoSuchPartition {
        /// The topic.
        topic: String,
        /// What was asked for.
        partition: i32,
        /// The highest partition.
        last: i32,
    },
    /// A batch failed; each of its records fails with this.
    #[error("{0}")]
    Delivery(std::sync::Arc<Error>),
    /// Retries did not help in time.
    #[error("gave up after {after:?}: {last}")]
    Deadline {
        /// How long it was tried.
        after: Duration,
        /// What happened the last time.
        last: Box<Error>,
    },
    /// The client was closed meanwhile.
    #[error("the client is stopping")]
    Stopping,
}

fn unsupported(
    address: &str,
    api: ApiKey,
    wanted: &RangeInclusive<i16>,
    served: Option<&RangeInclusive<i16>>,
) -> String {
    let first = *wanted.start();
    let needs = match since(api, first) {
        Some(release) => format!("it needs Kafka {release} or newer"),
        None => format!("it needs one with version {first} of that API"),
    };
    match served {
        None => format!("the broker at {address} does not know {api}; {needs}"),
        Some(served) if *served.end() < first => format!(
            "the broker at {address} knows {api} only up to version {}, and version {first} is \
             needed for this; {needs}",
            served.end()
        ),
        Some(served) => format!(
            "the broker at {address} serves {api} from version {} on, which is newer than this \
             program; use a newer one",
            served.start()
        ),
    }
}

fn refusal(code: i16, message: Option<&str>) -> String {
    let name = match ErrorCode::from_code(code) {
        Some(known) => known.name().to_owned(),
        None => format!("error {code}"),
    };
    match message {
        Some(message) if !message.is_empty() => format!("{name}: {message}"),
        _ if code == ErrorCode::UnknownTopicOrPartition.code() => {
            format!("{name}; create the topic, or check its name")
        }
        _ => name,
    }
}

impl Error {
    /// Whether nobody listens at the broker's address: its process has ended.
    #[must_use]
    pub fn is_refused_connection(&self) -> bool {
        matches!(self, Error::Connect { source, .. }
            if source.kind() == io::ErrorKind::ConnectionRefused)
    }

    pub(crate) fn refused(
        api: ApiKey,
        subject: impl Into<String>,
        code: i16,
        message: Option<&str>,
    ) -> Self {
        Error::Refused {
            api,
            subject: subject.into(),
            code,
            message: message.map(str::to_owned),
        }
    }

    /// `Ok` for code 0.
    pub(crate) fn check(
        api: ApiKey,
        subject: impl Into<String>,
        code: i16,
        message: Option<&str>,
    ) -> Result<(), Self> {
        if code == 0 {
            return Ok(());
        }
        Err(Error::refused(api, subject, code, message))
    }

    pub(crate) fn undecodable(address: &str, api: ApiKey, error: &DecodeError) -> Self {
        Error::bad_response(address, api, error.to_string())
    }

    pub(crate) fn bad_response(address: &str, api: ApiKey, reason: impl Into<String>) -> Self {
        Error::BadResponse {
            address: address.to_owned(),
            api,
            reason: reason.into(),
        }
    }

    /// Kafka's code, when the broker gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Refused { code, .. } => ErrorCode::from_code(*code),
            Error::Delivery(error) => error.code(),
            Error::Deadline { last, .. } => last.code(),
            _ => None,
        }
    }

    /// Whether the same call may succeed a moment later.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        use ErrorCode as E;
        match self {
            Error::NoBroker { .. }
            | Error::Connect { .. }
            | Error::Disconnected { .. }
            | Error::Timeout { .. } => true,
            Error::Refused { .. } => matches!(
                self.code(),
                Some(
                    E::BrokerNotAvailable
                        | E::CoordinatorLoadInProgress
                        | E::CoordinatorNotAvailable
                        | E::FencedLeaderEpoch
                        | E::KafkaStorageError
                        | E::LeaderNotAvailable
                        | E::NetworkException
                        | E::NotController
                        | E::NotCoordinator
                        | E::NotEnoughReplicas
                        | E::NotEnoughReplicasAfterAppend
                        | E::NotLeaderOrFollower
                        | E::OffsetNotAvailable
                        | E::ReplicaNotAvailable
                        | E::RequestTimedOut
                        | E::UnknownLeaderEpoch
                        | E::UnknownTopicId
                        | E::UnknownTopicOrPartition
                )
            ),
            _ => false,
        }
    }
}
