//! What can be set about a client.

use std::time::Duration;

/// The settings of a [`Client`](crate::Client). Kafka's property, where there is one, in brackets.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The name that brokers see in requests (`client.id`).
    pub client_id: String,
    /// How long connecting to one address may take (`socket.connection.setup.timeout.ms`).
    pub connect_timeout: Duration,
    /// How long one request may wait for its response (`request.timeout.ms`).
    pub request_timeout: Duration,
    /// How long a call may take with all its retries (`default.api.timeout.ms`).
    pub deadline: Duration,
    /// The wait before the first retry; it doubles with each further one (`retry.backoff.ms`).
    pub retry_backoff: Duration,
    /// The longest wait between retries (`retry.backoff.max.ms`).
    pub retry_backoff_max: Duration,
    /// How many requests may be under way on one connection
    /// (`max.in.flight.requests.per.connection`).
    pub max_in_flight: usize,
    /// The largest response in bytes that is read.
    pub max_response_bytes: usize,
    /// Whether asking for a topic may create it, where the broker allows it
    /// (`allow.auto.create.topics`).
    pub allow_auto_topic_creation: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            client_id: "ottla".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(60),
            retry_backoff: Duration::from_millis(50),
            retry_backoff_max: Duration::from_secs(1),
            max_in_flight: 32,
            max_response_bytes: 128 * 1024 * 1024,
            allow_auto_topic_creation: false,
        }
    }
}

/// Who must have a record before a produce is answered (`acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// Nobody: there is no answer.
    None,
    /// The leader.
    Leader,
    /// All replicas in sync.
    #[default]
    All,
}

impl Acks {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}
