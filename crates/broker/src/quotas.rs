//! Client quotas: what each share of the clients has used, and the pauses that follow (KIP-13,
//! KIP-124, KIP-219, KIP-599).
//!
//! ```text
//! dispatch ─▶ Quotas::charge: no limit is set for anyone? one load, and nothing below happens
//!    │
//!    ▼ Charge, one for each request
//!  ordered stage   Produce: the frame's bytes
//!  awaiting stage  Fetch: the response's bytes; CreateTopics …: the partitions
//!  the answer      the time that the request took; the longest pause goes into throttle_time_ms,
//!                  the answer leaves at once, and the connection is muted for that long
//! ```
//!
//! **What `request_percentage` measures.** Requests are futures, and one thread serves many of
//! them. The time of a request is the time that its future was being polled, in both stages, from
//! the moment on when its frame was complete: decoding, the handler, encoding. While it waits (for
//! the disk, for data, for the controller), it costs nothing and counts nothing. Not counted either
//! are the socket's own reads and writes, the log's write and flush, and reads from disk, which
//! other threads do for many requests at a time. 100 is the whole of one thread.

mod charge;
mod mutations;
mod state;

pub(crate) use charge::Charge;
pub(crate) use mutations::{MutationQuota, is_exceeded};
pub(crate) use state::Quotas;

use std::sync::Arc;

use ottla_net::{Incoming, Peer};
use ottla_wire::ApiKey;

use crate::Broker;

/// The user whose quotas hold for a peer: the principal's name without its type.
fn user_of(peer: &Peer) -> &str {
    let principal = peer.principal();
    principal
        .split_once(':')
        .map_or(principal, |(_, name)| name)
}

/// What the request will be charged for; none while nobody has a limit.
pub(crate) fn charge(
    broker: &Arc<Broker>,
    peer: &Arc<Peer>,
    incoming: &Incoming,
) -> Option<Arc<Charge>> {
    if !broker.quotas.any() {
        return None;
    }
    let charge = Charge::begin(broker, peer, incoming);
    if incoming.api == ApiKey::Produce {
        charge.produced(incoming.frame_bytes);
    }
    Some(Arc::new(charge))
}

/// Requests between nodes, which nobody pauses for (Kafka's `clusterAction`).
fn is_exempt(api: ApiKey) -> bool {
    matches!(api, ApiKey::WriteTxnMarkers)
}

#[cfg(test)]
mod tests;
