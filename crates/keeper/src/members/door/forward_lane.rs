//! Frames that another server forwards to this one, which leads.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use ottla_raft::NodeId;
use ottla_runtime::Shutdown;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Reader, Reception, Writer};
use crate::members::ForwardSink;
use crate::members::forward::TAKEN;
use crate::members::frames::{Broken, Outbox, outbox, write_frames};

/// The bytes of what is said back: a text at most.
const BACK_BYTES: usize = 64 << 10;
/// How many bytes of that text are sent.
const REASON_BYTES_MAX: usize = 4 << 10;

/// The newest stream of a server.
pub(crate) struct Current {
    cancel: Shutdown,
    /// Whoever holds it is served.
    seat: Arc<Mutex<()>>,
}

/// The right of a stream to be served. It is lost to a newer one.
pub(crate) struct Seat {
    cancel: Shutdown,
    _seat: OwnedMutexGuard<()>,
}

impl Reception {
    /// Ends an older stream of the same server, and waits until it has ended.
    pub(super) async fn take_seat(&self, from: NodeId) -> Result<Seat, Broken> {
        let cancel = self.here.runtime.shutdown().child();
        let seat = {
            let mut forwards = self.forwards.lock();
            let seat = match forwards.get(&from) {
                Some(older) => {
                    older.cancel.announce();
                    Arc::clone(&older.seat)
                }
                None => Arc::default(),
            };
            let current = Current {
                cancel: cancel.clone(),
                seat: Arc::clone(&seat),
            };
            forwards.insert(from, current);
            seat
        };
        tokio::select! {
            biased;
            () = cancel.announced() => Err(superseded()),
            guard = seat.lock_owned() => Ok(Seat { cancel, _seat: guard }),
        }
    }

    pub(super) async fn serve_forward(
        &self,
        from: NodeId,
        seat: Seat,
        mut reader: Reader,
        writer: Writer,
    ) -> Result<(), Broken> {
        let here = &self.here;
        let (outbox, end) = outbox(BACK_BYTES);
        let to_tell = outbox.clone();
        let serving = async {
            let mut first = reader.next().await?;
            if first.len() != 8 {
                let len = first.len();
                return Err(Broken::Other(format!("a term of {len} bytes is none")));
            }
            let term = first.get_u64();
            reader.set_limits(here.limits.frame_bytes_max, here.silence());
            let mut sink = here.host.forwarded(from, term).map_err(Broken::Other)?;
            let taking = async {
                sink.taken().await;
                say_taken(to_tell).await;
                let ended = sink.ended();
                tokio::select! {
                    biased;
                    reason = ended => Err(Broken::Other(reason)),
                    done = hand_on(&mut reader, &mut *sink) => done,
                }
            };
            tokio::select! {
                biased;
                () = self.leads_no_more(term) => {
                    let id = here.id;
                    Err(Broken::Other(format!("server {id} leads no more in term {term}")))
                }
                done = taking => done,
            }
        };
        let serving = async {
            let done = tokio::select! {
                biased;
                () = seat.cancel.announced() => Err(superseded()),
                done = serving => done,
            };
            if let Err(Broken::Other(reason)) = &done {
                say(outbox, reason).await;
            }
            // The text is still on its way: writing ends when it is out.
            done
        };
        let writing = write_frames(writer, end, &here.runtime.clock, here.beat());
        let (mut serving, mut writing) = (std::pin::pin!(serving), std::pin::pin!(writing));
        tokio::select! {
            biased;
            served = &mut serving => {
                // Whoever does not read it in time does not need it.
                drop(here.runtime.clock.timeout(here.beat(), writing).await);
                served
            }
            written = &mut writing => written,
        }
    }

    /// Waits until another server leads.
    async fn leads_no_more(&self, term: u64) {
        let here = &self.here;
        loop {
            // The state changes with each entry; to look now and then is less work.
            here.runtime.clock.sleep(here.beat()).await;
            let state = here.host.raft().map(|raft| raft.state().get());
            if !state.is_some_and(|state| state.is_leader && state.term == term) {
                return;
            }
        }
    }
}

/// Hands frames on, one after the other.
async fn hand_on(reader: &mut Reader, sink: &mut dyn ForwardSink) -> Result<(), Broken> {
    loop {
        let frame = reader.next().await?;
        sink.frame(frame).await.map_err(Broken::Other)?;
    }
}

/// Tells the other side that its frames are taken.
async fn say_taken(outbox: Outbox) {
    if let Some(room) = outbox.room(TAKEN.len()).await {
        outbox.put(room, None, Bytes::from_static(TAKEN));
    }
}

/// Tells the other side why the stream ends. It is the last thing that is said.
async fn say(outbox: Outbox, reason: &str) {
    let text = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    if let Some(room) = outbox.room(text.len()).await {
        outbox.put(room, None, Bytes::copy_from_slice(text.as_bytes()));
    }
}

fn superseded() -> Broken {
    Broken::Other("another stream has taken its place".to_owned())
}
