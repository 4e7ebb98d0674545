//! The seam between connections and what requests mean.

use std::ops::RangeInclusive;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ottla_runtime::Instant;
use ottla_wire::messages::RequestHeader;
use ottla_wire::{ApiKey, Frame, Request};

use crate::peer::Peer;

/// A decoded request. Its strings and records are slices of its frame.
#[derive(Debug)]
pub struct Incoming {
    /// Which API.
    pub api: ApiKey,
    /// Version, correlation id and client id.
    pub header: RequestHeader,
    /// What is asked.
    pub body: Request,
    /// The frame's length in bytes, for quotas.
    pub frame_bytes: usize,
    /// When its last byte had come; decoding began then.
    pub arrived: Instant,
}

/// Gives requests their meaning; the broker implements it.
pub trait Dispatch: Send + Sync + 'static {
    /// The versions of an API that are served to this peer; `None` when the API is not. Requests
    /// outside of them never reach [`Dispatch::dispatch`].
    fn versions(&self, peer: &Peer, api: ApiKey) -> Option<RangeInclusive<i16>>;

    /// The reply to an ApiVersions request in a version that is not served: `UNSUPPORTED_VERSION`
    /// in version 0, with the versions that are (KIP-511).
    fn unsupported_api_versions(&self, peer: &Peer, header: &RequestHeader) -> Reply;

    /// The ordered stage: called for the requests of a connection one after the other, each when
    /// the call before it has returned. It returns soon; what has to wait goes into
    /// [`Outcome::Later`], whose order it has fixed before (a place in a mailbox or a log).
    fn dispatch(
        &self,
        peer: &Arc<Peer>,
        incoming: Incoming,
    ) -> impl Future<Output = Outcome> + Send;
}

/// What the ordered stage leaves behind.
pub enum Outcome {
    /// The reply is there.
    Ready(Reply),
    /// The awaiting stage: the reply comes when the future is done. It is first polled when all
    /// earlier replies of the connection are out, and dropped when the connection ends.
    Later(BoxFuture<'static, Reply>),
}

/// The end of a request.
#[derive(Debug)]
pub enum Reply {
    /// A response to send.
    Frame(Frame),
    /// Nothing is sent: Produce with `acks=0`.
    Nothing,
    /// The connection is closed once the earlier replies are out. The text is logged.
    Close(String),
}

impl Outcome {
    /// A reply that comes later.
    pub fn later(reply: impl Future<Output = Reply> + Send + 'static) -> Self {
        Outcome::Later(reply.boxed())
    }
}

impl From<Frame> for Reply {
    fn from(frame: Frame) -> Self {
        Reply::Frame(frame)
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Outcome::Ready(reply)
    }
}

impl From<Frame> for Outcome {
    fn from(frame: Frame) -> Self {
        Outcome::Ready(Reply::Frame(frame))
    }
}
