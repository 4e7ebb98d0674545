//! How requests reach other members: the caller of this crate brings connections.

use std::future::Future;

use bytes::Bytes;

use crate::member::{Member, NodeId};

/// Carries requests to other members. The other side hands them to
/// [`Handle::receive`](crate::Handle::receive) and sends back what that returns.
///
/// Requests may be lost, delayed, doubled and overtake each other. There is a time limit around
/// each call; a call that is dropped may end its connection.
pub trait Transport: Send + Sync + 'static {
    /// Sends one request and waits for its response.
    fn call(
        &self,
        to: NodeId,
        member: &Member,
        request: Bytes,
    ) -> impl Future<Output = Result<Bytes, TransportError>> + Send;
}

/// Why there was no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The host is there and says that nobody listens: the process has ended.
    #[error("connection refused: {0}")]
    Refused(String),
    /// No connection came about, or the name could not be resolved.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The connection broke, or the response is none.
    #[error("{0}")]
    Other(String),
}
