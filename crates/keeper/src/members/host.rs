//! What connections need of the rest of the server.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ottla_raft::NodeId;

/// The rest of the server, as its connections see it.
pub trait Host: Send + Sync + 'static {
    /// The member of the group, once it is open.
    fn raft(&self) -> Option<ottla_raft::Handle>;

    /// A server forwards to this one, which it believes to lead in `term`.
    ///
    /// # Errors
    /// Why nothing is taken; the other server is told.
    fn forwarded(&self, from: NodeId, term: u64) -> Result<Box<dyn ForwardSink>, String>;
}

/// Where the frames of a stream go.
pub trait ForwardSink: Send {
    /// Waits until frames are taken; the other server is told, and follows this one only then.
    fn taken(&mut self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }

    /// Waits until no more frames are taken, and says why. The other server may have nothing to
    /// send, and has to know that it follows nobody any more.
    fn ended(&self) -> BoxFuture<'static, String> {
        std::future::pending().boxed()
    }

    /// Takes the next frame; the one after it comes when this is done. It may be given up in the
    /// middle when the stream ends.
    ///
    /// An error ends the stream; the other server is told.
    fn frame(&mut self, frame: Bytes) -> BoxFuture<'_, Result<(), String>>;
}
