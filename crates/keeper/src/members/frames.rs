//! Frames on a connection between servers, and its signs of life.
//!
//! ```text
//! length u32 | bytes           a frame
//! 0                            a sign of life
//! ```
//!
//! After the first frames both sides send something at least every quarter of
//! [`Limits::silence`](super::Limits), and give the connection up when they hear nothing for all of
//! it. A connection whose other end is gone without a word (a lost host, a forgotten NAT entry) is
//! noticed so, whatever callers do: those of raft give each message up sooner than that.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla_runtime::{Clock, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Memory for a frame is taken in steps, as its bytes arrive.
const READ_STEP: usize = 256 << 10;
/// What is taken when nothing is known of the next frame.
const READ_FIRST: usize = 8 << 10;
/// Frames that wait are written together until there are so many bytes.
const TOGETHER: usize = 256 << 10;
/// Larger ones are written from where they are.
const COPIED_MAX: usize = 32 << 10;
/// What a frame counts in a queue beside its bytes.
const FRAME_COST: usize = 64;

/// Why a connection has ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("the connection was closed")]
    Closed,
    #[error("the connection was closed in the middle of a frame")]
    Cut,
    #[error("a frame of {len} bytes came where at most {limit} are taken")]
    TooLarge { len: usize, limit: usize },
    #[error("nothing was heard for {} ms", .0.as_millis())]
    Silent(Duration),
    #[error("{0}")]
    Other(String),
}

/// Reads frames. Waiting for one may be given up at any time; nothing is lost.
pub(crate) struct FrameReader<R> {
    io: R,
    clock: Clock,
    buffer: BytesMut,
    limit: usize,
    silence: Duration,
    heard_at: Instant,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Frames of at most `limit` bytes; an error when nothing comes for as long as `silence`.
    pub(crate) fn new(io: R, clock: &Clock, limit: usize, silence: Duration) -> Self {
        FrameReader {
            io,
            clock: clock.clone(),
            buffer: BytesMut::new(),
            limit,
            silence,
            heard_at: clock.instant(),
        }
    }

    /// From now on other limits hold.
    pub(crate) fn set_limits(&mut self, limit: usize, silence: Duration) {
        self.limit = limit;
        self.silence = silence;
    }

    /// The next frame that has bytes.
    pub(crate) async fn next(&mut self) -> Result<Bytes, Broken> {
        loop {
            let missing = match self.take()? {
                Ok(frame) if frame.is_empty() => continue,
                Ok(frame) => return Ok(frame),
                Err(missing) => missing,
            };
            self.buffer.reserve(missing.clamp(READ_FIRST, READ_STEP));
            let deadline = self.heard_at + self.silence;
            // What has come counts, even when nobody asked for so long.
            let read = tokio::select! {
                biased;
                read = self.io.read_buf(&mut self.buffer) => read?,
                () = self.clock.sleep_until(deadline) => return Err(Broken::Silent(self.silence)),
            };
            if read == 0 {
                return Err(match self.buffer.is_empty() {
                    true => Broken::Closed,
                    false => Broken::Cut,
                });
            }
            self.heard_at = self.clock.instant();
        }
    }

    /// A frame that is here, or how many bytes are missing.
    fn take(&mut self) -> Result<Result<Bytes, usize>, Broken> {
        let Some(len) = self.buffer.first_chunk::<4>() else {
            return Ok(Err(0));
        };
        let len = u32::from_be_bytes(*len) as usize;
        if len > self.limit {
            let limit = self.limit;
            return Err(Broken::TooLarge { len, limit });
        }
        if self.buffer.len() < 4 + len {
            return Ok(Err(4 + len - self.buffer.len()));
        }
        self.buffer.advance(4);
        let frame = self.buffer.split_to(len).freeze();
        if self.buffer.is_empty() && len > READ_STEP {
            // Else a large frame's memory would stay for as long as the connection is idle.
            self.buffer = BytesMut::new();
        }
        Ok(Ok(frame))
    }
}

/// A frame on its way out.
struct Outgoing {
    /// A number in front of the bytes.
    number: Option<u64>,
    body: Bytes,
    /// The place that it takes in the queue until it is written.
    _room: OwnedSemaphorePermit,
}

/// Where frames wait to be written. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbox {
    queue: mpsc::UnboundedSender<Outgoing>,
    room: Arc<Semaphore>,
    bytes_max: usize,
}

/// A place in an [`Outbox`].
pub(crate) struct Room(OwnedSemaphorePermit);

/// The other end of an [`Outbox`]. When it is dropped, nothing waits for room any more.
pub(crate) struct OutboxEnd {
    queue: mpsc::UnboundedReceiver<Outgoing>,
    room: Arc<Semaphore>,
}

impl Drop for OutboxEnd {
    fn drop(&mut self) {
        self.room.close();
    }
}

/// A queue for about so many bytes.
pub(crate) fn outbox(bytes_max: usize) -> (Outbox, OutboxEnd) {
    let bytes_max = bytes_max.clamp(FRAME_COST, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
    let (tx, rx) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(bytes_max));
    let outbox = Outbox {
        queue: tx,
        room: Arc::clone(&room),
        bytes_max,
    };
    (outbox, OutboxEnd { queue: rx, room })
}

impl Outbox {
    /// Waits for room for a frame of so many bytes; none when the connection has ended. Whoever
    /// waited first gets it first. A frame that is larger than the queue has it for itself.
    pub(crate) async fn room(&self, len: usize) -> Option<Room> {
        let cost = len.saturating_add(FRAME_COST).min(self.bytes_max) as u32;
        let room = Arc::clone(&self.room).acquire_many_owned(cost).await;
        room.ok().map(Room)
    }

    /// Puts a frame into the queue; false when the connection has ended.
    pub(crate) fn put(&self, room: Room, number: Option<u64>, body: Bytes) -> bool {
        let frame = Outgoing {
            number,
            body,
            _room: room.0,
        };
        self.queue.send(frame).is_ok()
    }
}

/// Writes what is in the queue, several frames together, and a sign of life when there is nothing
/// for as long as `beat`. Ends in good order when nobody can put anything into the queue any more.
pub(crate) async fn write_frames<W: AsyncWrite + Unpin>(
    mut io: W,
    mut end: OutboxEnd,
    clock: &Clock,
    beat: Duration,
) -> Result<(), Broken> {
    let mut out = BytesMut::new();
    let mut written = Vec::new();
    loop {
        let first = match end.queue.try_recv() {
            Ok(frame) => Some(Some(frame)),
            Err(_) => clock.timeout(beat, end.queue.recv()).await,
        };
        match first {
            None => out.put_u32(0),
            Some(None) => break,
            Some(Some(frame)) => {
                put(&mut io, &mut out, frame, &mut written).await?;
                while out.len() < TOGETHER
                    && let Ok(frame) = end.queue.try_recv()
                {
                    put(&mut io, &mut out, frame, &mut written).await?;
                }
            }
        }
        io.write_all(&out).await?;
        io.flush().await?;
        out.clear();
        written.clear();
        if out.capacity() > 2 * TOGETHER {
            out = BytesMut::new();
        }
    }
    io.shutdown().await?;
    Ok(())
}

async fn put<W: AsyncWrite + Unpin>(
    io: &mut W,
    out: &mut BytesMut,
    frame: Outgoing,
    written: &mut Vec<OwnedSemaphorePermit>,
) -> Result<(), Broken> {
    put_head(out, frame.number, frame.body.len());
    if frame.body.len() > COPIED_MAX {
        io.write_all(out).await?;
        out.clear();
        io.write_all(&frame.body).await?;
    } else {
        out.put_slice(&frame.body);
    }
    written.push(frame._room);
    Ok(())
}

/// All frames are far below 4 GiB: their queues and readers have their limits.
fn put_head(out: &mut BytesMut, number: Option<u64>, body_len: usize) {
    match number {
        None => out.put_u32(body_len as u32),
        Some(number) => {
            out.put_u32((8 + body_len) as u32);
            out.put_u64(number);
        }
    }
}

/// Writes one frame at once: those of the beginning of a connection.
pub(crate) async fn write_one<W: AsyncWrite + Unpin>(io: &mut W, body: &[u8]) -> io::Result<()> {
    let mut out = BytesMut::with_capacity(4 + body.len());
    put_head(&mut out, None, body.len());
    out.put_slice(body);
    io.write_all(&out).await?;
    io.flush().await
}

#[cfg(test)]
mod tests;
