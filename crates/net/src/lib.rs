//! Listeners, connections, their limits, and their end.
//!
//! ```text
//!             ┌────────────────── one task per connection ─────────────────────┐
//!  socket ───▶│ frames: length, memory budget, body                            │
//!             │   └▶ header and body decoded ─▶ Dispatch::dispatch, in order   │
//!             │                                        │ Outcome               │
//!             │                                        ▼                       │
//!  socket ◀───│ replies: several ready ones in one write ◀─ queue, in order    │
//!             └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! While one request waits (a Produce for the disk, a Fetch for data), the next ones of its
//! connection are read and enter their ordered stage, up to [`Options::max_in_flight`]. Replies
//! leave in the order of the requests, as Kafka's clients demand.
//!
//! Everything that a peer can hold on to is bounded: connections, bytes of requests in memory
//! ([`Options::memory_budget_bytes`], shared by all), the time that a begun frame may take, and
//! the time that a reply may wait for a peer that does not read.
//!
//! Architecture invariant: this crate knows no topic, partition or group. What a request means
//! is the [`Dispatch`]'s business, which the broker implements.

mod connection;
mod creation_rates;
mod dispatch;
mod error;
mod first_bytes;
mod frames;
mod limits;
mod log_limit;
mod mute;
mod options;
mod peer;
mod probe;
mod replies;
mod server;
pub mod tls;

pub use creation_rates::IpCreationRates;
pub use dispatch::{Dispatch, Incoming, Outcome, Reply};
pub use error::Error;
pub use log_limit::LogLimit;
pub use options::{ConnectionLimits, ListenerOptions, Options};
pub use peer::{ClientSoftware, Peer};
pub use probe::{ApiProbe, Closed, Histogram, ListenerProbe, Probe, Refused};
pub use server::{Handle, Server};

#[cfg(test)]
mod tests;
