//! Cuts what a peer sends into frames.
//!
//! ```text
//!   length i32 │ body … │ length i32 │ body …
//!   └─ small frames share one read and one buffer ─┘
//!   └─ a long body is read straight into a buffer of its own length
//! ```

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla_runtime::Clock;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::Ended;
use crate::first_bytes::Guess;
use crate::limits::{Memory, MemoryBudget};
use crate::options::Options;

/// Bytes of a frame's length.
pub(crate) const PREFIX: usize = 4;

/// What one read asks for, and with it what an idle connection holds. Frames up to this length
/// share their buffer.
const SHARED_BUFFER: usize = 4096;

/// Room for a long frame's bytes is taken in pieces of this length, each before it is read,
const GRANT: usize = 256 * 1024;

/// but the first piece is short: a peer has to send something before it gets more.
const FIRST_GRANT: usize = 16 * 1024;

/// A buffer for a frame begins with at most this capacity, and grows with what arrives.
const FIRST_CAPACITY: usize = 1024 * 1024;

/// A long frame holds its memory for at most this many times the stall timeout.
const WINDOWS_OF_A_LONG_FRAME: usize = 16;

pub(crate) struct FrameReader<R> {
    stream: R,
    clock: Clock,
    buffer: BytesMut,
    any_frame_read: bool,
    limits: Limits,
}

struct Limits {
    max_frame_bytes: usize,
    memory_budget_bytes: usize,
    idle: Duration,
    stall: Duration,
    min_progress_bytes: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(stream: R, clock: Clock, options: &Options) -> Self {
        FrameReader {
            stream,
            clock,
            buffer: BytesMut::new(),
            any_frame_read: false,
            limits: Limits {
                max_frame_bytes: options.max_frame_bytes,
                memory_budget_bytes: options.memory_budget_bytes,
                idle: options.idle_timeout,
                stall: options.stall_timeout,
                min_progress_bytes: options.min_progress_bytes.max(1),
            },
        }
    }

    /// The length of the next frame's body, or `None` when the peer has ended its side between
    /// two frames. `is_quiet` is asked when nothing came for the idle timeout.
    pub(crate) async fn length(
        &mut self,
        is_quiet: impl Fn() -> bool,
    ) -> Result<Option<u32>, Ended> {
        while self.buffer.is_empty() {
            let limit = self.limits.idle;
            let clock = self.clock.clone();
            match clock.timeout(limit, self.read_shared(SHARED_BUFFER)).await {
                Some(Ok(0)) => return Ok(None),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None if is_quiet() => return Err(Ended::Idle(limit)),
                None => {}
            }
        }
        self.fill_shared(PREFIX).await?;
        let mut prefix = [0; PREFIX];
        self.buffer.copy_to_slice(&mut prefix);
        self.checked(prefix).map(Some)
    }

    fn checked(&self, prefix: [u8; PREFIX]) -> Result<u32, Ended> {
        let length = i32::from_be_bytes(prefix);
        let guess = if self.any_frame_read {
            Guess::Nothing
        } else {
            Guess::of(prefix)
        };
        let (limit, property) = if self.limits.memory_budget_bytes < self.limits.max_frame_bytes {
            let property = "the memory for requests (queued.max.request.bytes)";
            (self.limits.memory_budget_bytes, property)
        } else {
            (self.limits.max_frame_bytes, "socket.request.max.bytes")
        };
        match u32::try_from(length) {
            Ok(len) if len as usize <= limit && !matches!(guess, Guess::Tls | Guess::Http) => {
                Ok(len)
            }
            _ => Err(Ended::length(length, limit, property, guess)),
        }
    }

    /// The next frame's body, after its [`FrameReader::length`], and the room that it takes. Frames
    /// that fit into the shared buffer take none: heartbeats and fetches go on when large requests
    /// have used up the budget.
    pub(crate) async fn body(
        &mut self,
        length: u32,
        budget: &MemoryBudget,
    ) -> Result<(Bytes, Memory), Ended> {
        let length = length as usize;
        self.any_frame_read = true;
        if length <= SHARED_BUFFER || length <= self.buffer.len() {
            self.fill_shared(length).await?;
            return Ok((self.buffer.split_to(length).freeze(), Memory::default()));
        }
        self.long_body(length, budget).await
    }

    async fn long_body(
        &mut self,
        length: usize,
        budget: &MemoryBudget,
    ) -> Result<(Bytes, Memory), Ended> {
        let after = self.limits.stall;
        let windows = length / WINDOWS_OF_A_LONG_FRAME;
        let step = self.limits.min_progress_bytes.max(windows);
        let mut memory = Memory::default();
        let mut body = BytesMut::with_capacity(length.min(FIRST_CAPACITY));
        body.put(self.buffer.split());
        let (mut granted, mut goal, mut time_left) = (0, 0, after);
        while body.len() < length {
            if body.len() >= granted {
                // Waiting for room that others hold is not the peer's fault and not timed.
                let piece = if granted == 0 { FIRST_GRANT } else { GRANT };
                let more = piece.min(length - granted);
                budget
                    .grow(&mut memory, u32::try_from(more).unwrap_or(u32::MAX))
                    .await;
                granted += more;
            }
            if body.len() >= goal {
                goal = body.len().saturating_add(step).min(length);
                time_left = after;
            }
            let began = self.clock.instant();
            let reading = read_until(&mut self.stream, &mut body, goal.min(granted), granted);
            match self.clock.timeout(time_left, reading).await {
                Some(result) => result?,
                None => return Err(Ended::SlowRequest { length, after }),
            }
            time_left = time_left.saturating_sub(self.clock.instant() - began);
        }
        Ok((body.freeze(), memory))
    }

    /// Reads into the shared buffer until it holds `wanted` bytes, which are few.
    async fn fill_shared(&mut self, wanted: usize) -> Result<(), Ended> {
        if self.buffer.len() >= wanted {
            return Ok(());
        }
        let (clock, after) = (self.clock.clone(), self.limits.stall);
        let filling = async {
            while self.buffer.len() < wanted {
                let missing = wanted - self.buffer.len();
                if self.read_shared(missing).await? == 0 {
                    let read = self.buffer.len();
                    return Err(Ended::Torn { read });
                }
            }
            Ok(())
        };
        match clock.timeout(after, filling).await {
            Some(result) => result,
            None => Err(Ended::SlowRequest {
                length: wanted,
                after,
            }),
        }
    }

    /// One read into the shared buffer, with room for `wanted` bytes at least.
    async fn read_shared(&mut self, wanted: usize) -> io::Result<usize> {
        let spare = self.buffer.capacity() - self.buffer.len();
        if spare < wanted.max(SHARED_BUFFER / 4) {
            // Frames that were split off keep the old buffer; without any it is used again.
            self.buffer.reserve(SHARED_BUFFER);
        }
        self.stream.read_buf(&mut self.buffer).await
    }
}

/// Reads until `body` has at least `goal` bytes, and never more than `limit`.
async fn read_until(
    stream: &mut (impl AsyncRead + Unpin),
    body: &mut BytesMut,
    goal: usize,
    limit: usize,
) -> Result<(), Ended> {
    while body.len() < goal {
        let missing = limit - body.len();
        if stream.read_buf(&mut body.limit(missing)).await? == 0 {
            return Err(Ended::Torn { read: body.len() });
        }
    }
    Ok(())
}
