//! A one-way stream of frames to the leader, in their order.
//!
//! ```text
//! term u64, then frames        to the leader
//! a zero byte                  back, once: the leader takes the frames
//! text                         back, once: why the leader ends the stream
//! ```
//!
//! What the frames mean is the business of the [`Host`](super::Host). When a stream has ended, the
//! fate of what was sent last is open; the leader takes nothing more of it once it has accepted a
//! newer stream of the same server.

use std::future::Future;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use ottla_raft::{Endpoint, NodeId};
use ottla_runtime::published::{Published, Publisher, published};
use ottla_runtime::{Shutdown, TaskKind};

use super::dial::{Dialed, dial};
use super::frames::{Broken, Outbox, OutboxEnd, outbox, write_frames, write_one};
use super::hello::{ANSWER_BYTES_MAX, Purpose};
use super::here::Here;

/// The stream is over; [`ForwardLink::ended`] tells why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream to the leader has ended")]
pub struct LinkEnded;

/// A stream to the leader of one term. Dropping it ends it at once.
pub struct ForwardLink {
    outbox: Outbox,
    progress: Published<Progress>,
    cancel: Shutdown,
}

/// How far a stream has come.
#[derive(Debug, Clone)]
enum Progress {
    Begun,
    /// The leader takes what is sent.
    Taken,
    /// Why it has ended.
    Ended(String),
}

/// What the leader says when it takes the frames of a stream.
pub(crate) const TAKEN: &[u8] = &[0];

impl Drop for ForwardLink {
    fn drop(&mut self) {
        self.cancel.announce();
    }
}

impl ForwardLink {
    /// Begins a stream; whether the leader takes it is seen later.
    pub(crate) fn open(here: &Arc<Here>, to: NodeId, at: Vec<Endpoint>, term: u64) -> ForwardLink {
        let (outbox, end) = outbox(here.limits.forward_bytes_max);
        let (publisher, progress) = published(Progress::Begun);
        let cancel = here.runtime.shutdown().child();
        let link = ForwardLink {
            outbox,
            progress,
            cancel: cancel.clone(),
        };
        let task = Task {
            here: Arc::clone(here),
            to,
            at,
            term,
            end,
        };
        let tasks = &here.runtime.tasks;
        let running = task.run(cancel, publisher);
        tasks.spawn(TaskKind::Connection, "forwarding to the leader", running);
        link
    }

    /// Sends a frame behind those that were sent before. Waits while too many bytes wait for the
    /// network. A frame without bytes says nothing and is left out.
    ///
    /// # Errors
    /// The stream has ended.
    pub async fn send(&self, frame: Bytes) -> Result<(), LinkEnded> {
        if self.is_ended() {
            return Err(LinkEnded);
        }
        if frame.is_empty() {
            return Ok(());
        }
        let room = self.outbox.room(frame.len()).await.ok_or(LinkEnded)?;
        match self.outbox.put(room, None, frame) {
            true => Ok(()),
            false => Err(LinkEnded),
        }
    }

    /// Whether the stream has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(*self.progress.get(), Progress::Ended(_))
    }

    /// Waits until the leader takes what is sent.
    ///
    /// # Errors
    /// Why the stream has ended before.
    pub async fn taken(&self) -> Result<(), String> {
        let mut progress = self.progress.clone();
        loop {
            match &*progress.get() {
                Progress::Begun => {}
                Progress::Taken => return Ok(()),
                Progress::Ended(reason) => return Err(reason.clone()),
            }
            if !progress.changed().await {
                return Err(STOPPING.to_owned());
            }
        }
    }

    /// Waits for the end of the stream, and tells why it has ended: there was no connection, it
    /// broke, or the leader closed it.
    pub fn ended(&self) -> impl Future<Output = String> + Send + 'static {
        let mut progress = self.progress.clone();
        async move {
            loop {
                if let Progress::Ended(reason) = &*progress.get() {
                    return reason.clone();
                }
                if !progress.changed().await {
                    return STOPPING.to_owned();
                }
            }
        }
    }
}

const STOPPING: &str = "the server is stopping";

/// What runs for a stream.
struct Task {
    here: Arc<Here>,
    to: NodeId,
    at: Vec<Endpoint>,
    term: u64,
    end: OutboxEnd,
}

impl Task {
    async fn run(self, cancel: Shutdown, progress: Publisher<Progress>) -> Result<(), String> {
        let to = self.to;
        let done = tokio::select! {
            biased;
            () = cancel.announced() => Err("it was given up".to_owned()),
            done = self.work(&progress) => done,
        };
        let reason = done.err().unwrap_or_else(|| "it is over".to_owned());
        let reason = format!("the stream to server {to} has ended: {reason}");
        progress.publish(Progress::Ended(reason.clone()));
        Err(reason)
    }

    async fn work(self, progress: &Publisher<Progress>) -> Result<(), String> {
        let here = &self.here;
        let dialing = dial(here, self.to, &self.at, Purpose::Forward);
        let dialed = dialing.await.map_err(|error| error.to_string())?;
        let Dialed {
            mut reader,
            mut writer,
            ..
        } = dialed;
        reader.set_limits(ANSWER_BYTES_MAX, here.silence());
        let mut term = BytesMut::new();
        term.put_u64(self.term);
        let writing = async {
            write_one(&mut writer, &term).await?;
            write_frames(writer, self.end, &here.runtime.clock, here.beat()).await
        };
        let reading = async {
            loop {
                match reader.next().await? {
                    taken if taken == TAKEN => progress.publish(Progress::Taken),
                    reason => {
                        let reason = String::from_utf8_lossy(&reason).into_owned();
                        return Err(Broken::Other(reason));
                    }
                }
            }
        };
        let done = tokio::select! {
            biased;
            said = reading => said,
            written = writing => written,
        };
        done.map_err(|error| error.to_string())
    }
}
