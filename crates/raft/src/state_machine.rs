//! What is replicated.

use bytes::Bytes;

use crate::member::Position;

/// The parts of a snapshot, one after the other. Whoever consumes them holds one at a time.
pub type Chunks<'a> = Box<dyn Iterator<Item = Result<Bytes, String>> + Send + 'a>;

/// The state at one moment, which can be written down any number of times, on another thread.
pub type View = Box<dyn Fn() -> Chunks<'static> + Send>;

/// The state that entries change. It has one owner and is never shared: others see what it
/// publishes.
///
/// Everything that happens to it is decided by the entries alone, so that all members come to the
/// same state.
pub trait StateMachine: Send + 'static {
    /// Applies a committed entry; the reply goes to whoever proposed it, if that was here.
    ///
    /// Entries come in the order of their index, each once in the life of the process. Indexes that
    /// are left out belong to the group itself (a new leader, a new membership).
    ///
    /// An error means that the state is broken, and stops the process: a mere refusal is a reply.
    fn apply(&mut self, at: Position, entry: &[u8]) -> Result<Bytes, String>;

    /// The state as it is now. The call itself must be cheap (take a reference that later changes do
    /// not touch): its parts are made and written on another thread while entries go on being
    /// applied. A part is written as one piece, so it should have some hundred KiB at most.
    fn snapshot(&self) -> View;

    /// Replaces the state by that of a snapshot; `at` is the last entry that is in it. Runs on a
    /// thread where it may take its time. An error stops the process.
    fn restore(&mut self, at: Position, chunks: &mut Chunks<'_>) -> Result<(), String>;

    /// Everything up to `at` was applied or restored, and nothing more is there to be applied at
    /// once: the moment to publish. Entries of the group itself count, too.
    fn applied(&mut self, at: Position);
}
