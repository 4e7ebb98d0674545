//! One connection to another server for the messages of raft: many of them are under way at once.
//!
//! ```text
//! number u64 | message         there, and back with the same number
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use ottla_raft::TransportError;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::dial::Dialed;
use super::frames::{Broken, Outbox, OutboxEnd, outbox, write_frames};
use super::here::Here;

/// The bytes of messages that may wait for the network.
const QUEUE_BYTES: usize = 16 << 20;
/// The length of a message's number.
pub(crate) const NUMBER_BYTES: usize = 8;

/// The calling side. It ends with its connection.
pub(crate) struct Link {
    outbox: Outbox,
    waiting: Arc<Mutex<Waiting>>,
}

/// Who waits for which answer.
#[derive(Default)]
struct Waiting {
    next: u64,
    callers: BTreeMap<u64, oneshot::Sender<Bytes>>,
    /// Why the connection has ended.
    ended: Option<String>,
}

/// The half that runs: it owns the connection.
pub(crate) struct Runner {
    here: Arc<Here>,
    dialed: Dialed,
    end: OutboxEnd,
    waiting: Arc<Mutex<Waiting>>,
}

impl Link {
    /// Both halves.
    pub(crate) fn new(here: &Arc<Here>, dialed: Dialed) -> (Runner, Link) {
        let (outbox, end) = outbox(QUEUE_BYTES);
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let runner = Runner {
            here: Arc::clone(here),
            dialed,
            end,
            waiting: Arc::clone(&waiting),
        };
        (runner, Link { outbox, waiting })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.waiting.lock().ended.is_none()
    }

    /// Sends a message and waits for its answer. Messages leave in the order of the calls. A call
    /// may be given up; its answer is then thrown away.
    pub(crate) async fn call(&self, message: Bytes) -> Result<Bytes, TransportError> {
        let Some(room) = self.outbox.room(NUMBER_BYTES + message.len()).await else {
            return Err(self.ended());
        };
        let (tx, rx) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            if waiting.ended.is_some() {
                drop(waiting);
                return Err(self.ended());
            }
            let number = waiting.next;
            waiting.next += 1;
            // Within the lock, so that numbers ascend on the wire. That it has ended is told below.
            self.outbox.put(room, Some(number), message);
            waiting.callers.insert(number, tx);
        }
        rx.await.map_err(|_gone| self.ended())
    }

    fn ended(&self) -> TransportError {
        let ended = self.waiting.lock().ended.clone();
        TransportError::Other(ended.unwrap_or_else(|| "the connection has ended".to_owned()))
    }
}

impl Runner {
    /// Runs until the connection ends or the node stops, and says why to those who wait.
    pub(crate) async fn run(self) -> Result<(), Broken> {
        let Runner {
            here,
            dialed,
            end,
            waiting,
        } = self;
        let Dialed {
            mut reader,
            writer,
            place,
            ..
        } = dialed;
        reader.set_limits(NUMBER_BYTES + here.limits.frame_bytes_max, here.silence());
        let shutdown = here.runtime.shutdown();
        let done = tokio::select! {
            biased;
            () = shutdown.announced() => Err(Broken::Other("this server is stopping".to_owned())),
            read = async {
                loop {
                    hand_over(&waiting, reader.next().await?)?;
                }
            } => read,
            written = write_frames(writer, end, &here.runtime.clock, here.beat()) => written,
        };
        let reason = match &done {
            Ok(()) => "it is not used any more".to_owned(),
            Err(error) => error.to_string(),
        };
        let callers = {
            let mut waiting = waiting.lock();
            waiting.ended = Some(format!("{place}: {reason}"));
            std::mem::take(&mut waiting.callers)
        };
        // They learn of it in the order in which they called.
        callers.into_values().for_each(drop);
        done
    }
}

/// Gives an answer to whoever waits for it.
fn hand_over(waiting: &Mutex<Waiting>, mut frame: Bytes) -> Result<(), Broken> {
    if frame.len() < NUMBER_BYTES {
        return Err(Broken::Other(format!(
            "an answer of {} bytes is none",
            frame.len()
        )));
    }
    let number = frame.get_u64();
    let Some(caller) = waiting.lock().callers.remove(&number) else {
        return Err(Broken::Other(format!(
            "an answer to {number}, which was not asked"
        )));
    };
    // Whoever asked may have given up.
    drop(caller.send(frame));
    Ok(())
}
