//! One client's connection, as the rest of the server sees it.
//!
//! ```text
//! reader ──▶ waiting: requests whose replies are still to come, oldest first
//!               │  a write is answered when its command was applied, and what stands behind it then
//!               ▼
//!             out: bytes of replies and events in their order ──▶ writer
//! ```
//!
//! Replies have the order of the requests. A read behind a write waits, because it must see what the
//! write does; a read that waits for nothing is answered at once.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};

use bytes::{Bytes, BytesMut};
use ottla_jute::{Id, OpCode, Request};
use ottla_runtime::Instant;
use ottla_security::digest_md5::DigestMd5Server;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::clients::figures::Figures;
use crate::throttle::Large;

/// What waits for its reply.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// The session that is opened or attached.
    Session { arrived: Instant },
    /// A command with this number is on its way.
    Write {
        op: OpCode,
        xid: i32,
        arrived: Instant,
        /// Its bytes, if they are many.
        large: Option<Large>,
    },
    /// A read behind a write.
    Read {
        xid: i32,
        request: Request,
        identities: Arc<[Id]>,
        arrived: Instant,
        large: Option<Large>,
    },
    /// A reply that is there already, behind one that is not.
    Ready(Bytes),
}

/// The queue of a connection.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) waiting: VecDeque<Waiting>,
    /// What waits has been given up: nothing more may be sent to the leader.
    pub(crate) lost: bool,
}

impl Work {
    /// Nothing is sent to the leader any more, and what waits is forgotten: how many that was.
    pub(crate) fn give_up(&mut self) -> usize {
        self.lost = true;
        std::mem::take(&mut self.waiting).len()
    }
}

#[derive(Debug, Default)]
struct Out {
    bytes: BytesMut,
    /// Nothing is added any more; what is there is still sent.
    closing: bool,
    /// Nothing is sent any more.
    closed: bool,
}

/// What the writer is to do.
pub(crate) enum Next {
    Send(Bytes),
    /// Everything is sent, and nothing more will come.
    Close,
    /// The connection is to end at once.
    Abort,
}

/// A connection. Its number names the session's owner.
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) peer: SocketAddr,
    /// Whether it came over TLS.
    pub(crate) secure: bool,
    /// Whether the client reads from a server without a leader, and has no session.
    pub(crate) read_only: AtomicBool,
    pub(crate) figures: Figures,
    /// The newest change that the client had seen when it came.
    last_zxid_seen: AtomicI64,
    /// Whether the client knows servers that only read.
    knows_read_only: AtomicBool,
    session: AtomicI64,
    timeout_ms: AtomicI32,
    /// Something came since the leader was told.
    heard: AtomicBool,
    /// When something was found to have come, on the monotonic clock.
    heard_ms: AtomicI64,
    identities: Mutex<Arc<[Id]>>,
    /// An exchange of SASL that has begun.
    sasl: Mutex<Option<DigestMd5Server>>,
    work: Mutex<Work>,
    out: Mutex<Out>,
    /// Something is to be sent.
    wake: Notify,
    /// Something was sent, or the queue got shorter.
    room: Notify,
}

impl Connection {
    pub(crate) fn new(
        number: u64,
        peer: SocketAddr,
        secure: bool,
        identities: Vec<Id>,
        now: Instant,
        now_ms: i64,
    ) -> Self {
        Connection {
            number,
            peer,
            secure,
            read_only: AtomicBool::new(false),
            figures: Figures::new(now, now_ms),
            last_zxid_seen: AtomicI64::new(0),
            knows_read_only: AtomicBool::new(false),
            session: AtomicI64::new(0),
            timeout_ms: AtomicI32::new(0),
            heard: AtomicBool::new(false),
            heard_ms: AtomicI64::new(i64::MIN),
            identities: Mutex::new(identities.into()),
            sasl: Mutex::default(),
            work: Mutex::default(),
            out: Mutex::default(),
            wake: Notify::new(),
            room: Notify::new(),
        }
    }

    /// The session; 0 before there is one.
    pub(crate) fn session(&self) -> i64 {
        self.session.load(Ordering::Acquire)
    }

    pub(crate) fn timeout_ms(&self) -> i32 {
        self.timeout_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn set_session(&self, session: i64, timeout_ms: i32) {
        self.timeout_ms.store(timeout_ms, Ordering::Relaxed);
        self.session.store(session, Ordering::Release);
    }

    /// What the client says of itself.
    pub(crate) fn introduce(&self, last_zxid_seen: i64, knows_read_only: bool) {
        self.last_zxid_seen.store(last_zxid_seen, Ordering::Relaxed);
        self.knows_read_only
            .store(knows_read_only, Ordering::Relaxed);
    }

    pub(crate) fn last_zxid_seen(&self) -> i64 {
        self.last_zxid_seen.load(Ordering::Relaxed)
    }

    pub(crate) fn knows_read_only(&self) -> bool {
        self.knows_read_only.load(Ordering::Relaxed)
    }

    /// Something came from the client.
    pub(crate) fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Whether something came since the last call.
    pub(crate) fn take_heard(&self, now_ms: i64) -> bool {
        let heard = self.heard.swap(false, Ordering::Relaxed);
        if heard {
            self.heard_ms.store(now_ms, Ordering::Relaxed);
        }
        heard
    }

    /// When something came, as far as [`Connection::take_heard`] knows; none if nothing has.
    pub(crate) fn heard_ms(&self) -> Option<i64> {
        Some(self.heard_ms.load(Ordering::Relaxed)).filter(|ms| *ms != i64::MIN)
    }

    /// Whom the client has proved to be.
    pub(crate) fn identities(&self) -> Arc<[Id]> {
        Arc::clone(&self.identities.lock())
    }

    /// The client has proved something more.
    pub(crate) fn add_identity(&self, id: Id) {
        let mut identities = self.identities.lock();
        if !identities.contains(&id) {
            *identities = identities.iter().cloned().chain([id]).collect();
        }
    }

    pub(crate) fn sasl(&self) -> MutexGuard<'_, Option<DigestMd5Server>> {
        self.sasl.lock()
    }

    pub(crate) fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock()
    }

    /// Adds bytes to what is sent.
    pub(crate) fn send(&self, write: impl FnOnce(&mut BytesMut)) {
        let mut out = self.out.lock();
        if out.closing || out.closed {
            return;
        }
        let was_empty = out.bytes.is_empty();
        write(&mut out.bytes);
        drop(out);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// How many bytes wait to be sent.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.out.lock().bytes.len()
    }

    /// Ends the connection when everything that waits was sent.
    pub(crate) fn close(&self) {
        self.out.lock().closing = true;
        self.wake.notify_one();
        self.room.notify_one();
    }

    /// Ends the connection at once.
    pub(crate) fn abort(&self) {
        let mut out = self.out.lock();
        out.closed = true;
        out.bytes.clear();
        drop(out);
        self.wake.notify_one();
        self.room.notify_one();
    }

    /// Whether nothing more is taken from the client.
    pub(crate) fn is_ending(&self) -> bool {
        let out = self.out.lock();
        out.closing || out.closed
    }

    /// What the writer is to do next.
    pub(crate) async fn next(&self) -> Next {
        loop {
            {
                let mut out = self.out.lock();
                if out.closed {
                    return Next::Abort;
                }
                if !out.bytes.is_empty() {
                    return Next::Send(out.bytes.split().freeze());
                }
                if out.closing {
                    return Next::Close;
                }
            }
            self.wake.notified().await;
        }
    }

    /// What was taken by [`Connection::next`] is sent, or a request was answered.
    pub(crate) fn make_room(&self) {
        self.room.notify_one();
    }

    /// Waits until [`Connection::make_room`] or the end.
    pub(crate) async fn room(&self) {
        self.room.notified().await;
    }
}
