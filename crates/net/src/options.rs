//! What can be set about listeners and connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ottla_security::quota::Window;

/// One address to listen on.
#[derive(Debug, Clone)]
pub struct ListenerOptions {
    /// Its name in `listeners`, such as `PLAINTEXT`.
    pub name: String,
    /// The host or address to bind; empty means all interfaces.
    pub bind_host: String,
    /// The port; 0 lets the system choose one.
    pub port: u16,
}

/// The limits of all listeners together. Kafka's property, where there is one, in brackets.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen (`listeners`).
    pub listeners: Vec<ListenerOptions>,
    /// The largest request in bytes (`socket.request.max.bytes`).
    pub max_frame_bytes: usize,
    /// The most connections at a time (`max.connections`).
    pub max_connections: usize,
    /// The most connections from one address (`max.connections.per.ip`).
    pub max_connections_per_ip: usize,
    /// Other limits for single addresses (`max.connections.per.ip.overrides`).
    pub max_connections_per_ip_overrides: HashMap<IpAddr, usize>,
    /// The most new connections a second (`max.connection.creation.rate`); none is no limit.
    pub max_connection_creation_rate: Option<u32>,
    /// Over which time the rates of new connections are measured (`quota.window.num`,
    /// `quota.window.size.seconds`).
    pub rate_window: Window,
    /// How long a connection may be silent while none of its requests is in work
    /// (`connections.max.idle.ms`). It is closed between one and two times this long.
    pub idle_timeout: Duration,
    /// How many requests of one connection are in work at a time; the next one is not read
    /// before one of them is answered.
    pub max_in_flight: usize,
    /// Bytes of requests in memory, over all connections (`queued.max.request.bytes`). When they
    /// are used up, reading waits. A larger request than this is refused.
    pub memory_budget_bytes: usize,
    /// Bytes of finished replies that wait for one peer before its requests are no longer read.
    pub max_queued_reply_bytes: usize,
    /// The time in which a begun frame or a reply has to come forward by
    /// [`Options::min_progress_bytes`] or be complete; else the connection is closed.
    pub stall_timeout: Duration,
    /// See [`Options::stall_timeout`]. A long frame has to come forward by a sixteenth of its
    /// length if that is more, so that it holds its memory for sixteen such times at most.
    pub min_progress_bytes: usize,
    /// How long requests in work may take after the shutdown was announced.
    pub drain_timeout: Duration,
}

/// How many connections there may be; it can change while the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// See [`Options::max_connections`].
    pub max: usize,
    /// See [`Options::max_connections_per_ip`].
    pub max_per_ip: usize,
    /// See [`Options::max_connections_per_ip_overrides`].
    pub overrides: HashMap<IpAddr, usize>,
    /// See [`Options::max_connection_creation_rate`].
    pub creation_rate: Option<u32>,
}

impl Options {
    /// The limits that count at the start.
    #[must_use]
    pub fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            max: self.max_connections,
            max_per_ip: self.max_connections_per_ip,
            overrides: self.max_connections_per_ip_overrides.clone(),
            creation_rate: self.max_connection_creation_rate,
        }
    }
}

impl Default for Options {
    /// Kafka's defaults, without a listener.
    fn default() -> Self {
        Options {
            listeners: Vec::new(),
            max_frame_bytes: 100 * 1024 * 1024,
            max_connections: usize::MAX,
            max_connections_per_ip: usize::MAX,
            max_connections_per_ip_overrides: HashMap::new(),
            max_connection_creation_rate: None,
            rate_window: Window::new(11, 1),
            idle_timeout: Duration::from_secs(600),
            max_in_flight: 64,
            memory_budget_bytes: 256 * 1024 * 1024,
            max_queued_reply_bytes: 1024 * 1024,
            stall_timeout: Duration::from_secs(30),
            min_progress_bytes: 64 * 1024,
            drain_timeout: Duration::from_secs(10),
        }
    }
}
