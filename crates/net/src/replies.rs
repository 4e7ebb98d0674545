//! Sends replies in the order of their requests.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use ottla_runtime::Clock;
use ottla_runtime::Instant;
use ottla_wire::ApiKey;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

use crate::dispatch::{Outcome, Reply};
use crate::error::Ended;
use crate::limits::Memory;
use crate::options::Options;
use crate::probe::{ListenerProbe, Probe};

/// Ready replies are gathered up to this many bytes for one write.
const GATHERED_BYTES: usize = 256 * 1024;
/// How many buffers one write takes at most.
const WRITE_PARTS: usize = 64;

/// One request's place in the queue of replies.
pub(crate) struct Queued {
    pub(crate) answer: Answer,
    pub(crate) timing: Option<(ApiKey, Instant)>,
    /// Given back when the reply is out.
    pub(crate) held: Held,
}

/// What stands in the queue.
pub(crate) enum Answer {
    Outcome(Outcome),
    /// The connection ends here, once what stands before is out.
    End(Ended),
}

/// What a request keeps until its reply is out.
pub(crate) struct Held {
    pub(crate) _slot: OwnedSemaphorePermit,
    pub(crate) _memory: Memory,
}

/// Finished replies that wait, so that the reading side can wait for the writing side.
#[derive(Default)]
pub(crate) struct Backlog {
    bytes: AtomicUsize,
    written: Notify,
    any_written: AtomicBool,
}

impl Backlog {
    pub(crate) fn add(&self, answer: &Answer) {
        self.bytes.fetch_add(ready_bytes(answer), Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
        self.any_written.store(true, Relaxed);
        self.written.notify_one();
    }

    /// Waits until at most `limit` bytes wait.
    pub(crate) async fn at_most(&self, limit: usize) {
        while self.bytes.load(Relaxed) > limit {
            self.written.notified().await;
        }
    }

    /// Whether anything was written since the last call.
    pub(crate) fn take_any_written(&self) -> bool {
        self.any_written.swap(false, Relaxed)
    }
}

fn ready_bytes(answer: &Answer) -> usize {
    match answer {
        Answer::Outcome(Outcome::Ready(Reply::Frame(frame))) => frame.len(),
        _ => 0,
    }
}

/// Replies that go out in one write.
#[derive(Default)]
struct Batch {
    parts: VecDeque<Bytes>,
    left: usize,
    /// How much of it was counted in the backlog.
    from_backlog: usize,
    requests: Vec<(Option<(ApiKey, Instant)>, Held)>,
    end: Option<Ended>,
}

pub(crate) struct ReplyWriter<'a, W> {
    pub(crate) stream: W,
    pub(crate) queue: mpsc::Receiver<Queued>,
    pub(crate) backlog: &'a Backlog,
    pub(crate) clock: &'a Clock,
    pub(crate) options: &'a Options,
    pub(crate) probe: &'a Probe,
    pub(crate) listener: &'a ListenerProbe,
}

impl<W: AsyncWrite + Unpin> ReplyWriter<'_, W> {
    /// Sends replies until the reading side has ended and everything is out.
    pub(crate) async fn run(mut self) -> Result<(), Ended> {
        let mut unfinished = None;
        loop {
            let next = match unfinished.take() {
                Some(next) => Some(next),
                None => self.queue.recv().await,
            };
            let Some(next) = next else { break };
            let mut batch = Batch::default();
            batch.add_when_ready(next).await;
            while batch.left < GATHERED_BYTES && batch.end.is_none() {
                let Ok(next) = self.queue.try_recv() else {
                    break;
                };
                unfinished = batch.add_if_ready(next);
                if unfinished.is_some() {
                    break;
                }
            }
            self.send(&mut batch).await?;
            if let Some(end) = batch.end {
                // Best effort: the peer should see a close rather than a reset.
                drop(self.stream.shutdown().await);
                return Err(end);
            }
        }
        Ok(self.stream.shutdown().await?)
    }

    async fn send(&mut self, batch: &mut Batch) -> Result<(), Ended> {
        let (total, after) = (batch.left, self.options.stall_timeout);
        let step = self.options.min_progress_bytes.max(1);
        while batch.left > 0 {
            let goal = batch.left.saturating_sub(step);
            let writing = write_down_to(&mut self.stream, batch, goal);
            match self.clock.timeout(after, writing).await {
                Some(result) => result?,
                None => {
                    let left = batch.left;
                    return Err(Ended::SlowReader { left, after });
                }
            }
        }
        self.listener.count_out(total);
        let now = self.clock.instant();
        for (timing, _held) in batch.requests.drain(..) {
            if let Some((api, arrived)) = timing {
                self.probe.api(api).count_request(now - arrived);
            }
        }
        self.backlog.remove(batch.from_backlog);
        Ok(())
    }
}

/// Writes until at most `goal` bytes of the batch are left.
async fn write_down_to(
    stream: &mut (impl AsyncWrite + Unpin),
    batch: &mut Batch,
    goal: usize,
) -> Result<(), Ended> {
    while batch.left > goal {
        let mut slices = [IoSlice::new(&[]); WRITE_PARTS];
        let mut used = 0;
        for (slice, part) in slices.iter_mut().zip(&batch.parts) {
            *slice = IoSlice::new(part);
            used += 1;
        }
        let written = stream.write_vectored(&slices[..used]).await?;
        if written == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into());
        }
        batch.written(written);
    }
    Ok(())
}

impl Batch {
    async fn add_when_ready(&mut self, queued: Queued) {
        self.from_backlog += ready_bytes(&queued.answer);
        match queued.answer {
            Answer::Outcome(Outcome::Ready(reply)) => self.add(reply),
            Answer::Outcome(Outcome::Later(reply)) => {
                let reply = reply.await;
                self.add(reply);
            }
            Answer::End(end) => self.end = Some(end),
        }
        self.requests.push((queued.timing, queued.held));
    }

    /// Adds a reply that is there already, or gives the request back.
    fn add_if_ready(&mut self, mut queued: Queued) -> Option<Queued> {
        if let Answer::Outcome(Outcome::Later(later)) = &mut queued.answer {
            // Nobody is woken for this poll; the next one, in `add_when_ready`, sees to that.
            match later.now_or_never() {
                Some(reply) => {
                    self.add(reply);
                    self.requests.push((queued.timing, queued.held));
                    return None;
                }
                None => return Some(queued),
            }
        }
        self.from_backlog += ready_bytes(&queued.answer);
        match queued.answer {
            Answer::Outcome(Outcome::Ready(reply)) => self.add(reply),
            Answer::Outcome(Outcome::Later(_)) => {}
            Answer::End(end) => self.end = Some(end),
        }
        self.requests.push((queued.timing, queued.held));
        None
    }

    fn add(&mut self, reply: Reply) {
        match reply {
            Reply::Frame(frame) => {
                self.left += frame.len();
                let parts = frame.into_parts();
                self.parts
                    .extend(parts.into_iter().filter(|p| !p.is_empty()));
            }
            Reply::Nothing => {}
            Reply::Close(reason) => self.end = Some(Ended::Dispatch(reason)),
        }
    }

    fn written(&mut self, mut bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
        while bytes > 0 {
            let Some(part) = self.parts.front_mut() else {
                return;
            };
            if part.len() > bytes {
                part.advance(bytes);
                return;
            }
            bytes -= part.len();
            self.parts.pop_front();
        }
    }
}
