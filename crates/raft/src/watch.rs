//! A value that is watched, for openraft.
//!
//! tokio has one, too, but that wakes its watchers in an order which it draws from a source of its
//! own: a group in a simulation would not repeat itself. Here whoever waited first is woken first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use openraft::OptionalSend;
use openraft::OptionalSync;
use openraft::async_runtime::watch::{RecvError, SendError, Watch, WatchReceiver, WatchSender};
use parking_lot::{RecursiveRwLock, RecursiveRwLockReadGuard};
use tokio::sync::Notify;

/// The kind of watch that [`SeededRuntime`](crate::async_runtime::SeededRuntime) has.
pub(crate) struct FairWatch;

struct Watched<T> {
    value: RecursiveRwLock<T>,
    /// Counts changes; moves while `value` is locked for writing.
    version: AtomicU64,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    changed: Notify,
}

/// Where the value is changed.
pub(crate) struct Sender<T>(Arc<Watched<T>>);

/// Where it is seen.
pub(crate) struct Receiver<T> {
    watched: Arc<Watched<T>>,
    seen: u64,
}

impl Watch for FairWatch {
    type Sender<T: OptionalSend + OptionalSync> = Sender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = Receiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = RecursiveRwLockReadGuard<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (Sender<T>, Receiver<T>) {
        let watched = Arc::new(Watched {
            value: RecursiveRwLock::new(init),
            version: AtomicU64::new(0),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            changed: Notify::new(),
        });
        let receiver = Receiver {
            watched: Arc::clone(&watched),
            seen: 0,
        };
        (Sender(watched), receiver)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.watched.receivers.fetch_add(1, Ordering::Relaxed);
        Receiver {
            watched: Arc::clone(&self.watched),
            seen: self.seen,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.watched.receivers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<T: OptionalSend + OptionalSync> WatchSender<FairWatch, T> for Sender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.0.receivers.load(Ordering::Acquire) == 0 {
            return Err(SendError(value));
        }
        self.send_if_modified(|current| {
            *current = value;
            true
        });
        Ok(())
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        {
            let mut value = self.0.value.write();
            if !modify(&mut value) {
                return false;
            }
            self.0.version.fetch_add(1, Ordering::Release);
        }
        self.0.changed.notify_waiters();
        true
    }

    fn borrow_watched(&self) -> RecursiveRwLockReadGuard<'_, T> {
        self.0.value.read()
    }

    fn subscribe(&self) -> Receiver<T> {
        self.0.receivers.fetch_add(1, Ordering::Relaxed);
        Receiver {
            watched: Arc::clone(&self.0),
            seen: self.0.version.load(Ordering::Acquire),
        }
    }
}

impl<T: OptionalSend + OptionalSync> WatchReceiver<FairWatch, T> for Receiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        loop {
            let mut waiting = std::pin::pin!(self.watched.changed.notified());
            // From now on no change goes unnoticed.
            waiting.as_mut().enable();
            let version = self.watched.version.load(Ordering::Acquire);
            if version != self.seen {
                self.seen = version;
                return Ok(());
            }
            if self.watched.senders.load(Ordering::Acquire) == 0 {
                return Err(RecvError(()));
            }
            waiting.await;
        }
    }

    fn borrow_watched(&self) -> RecursiveRwLockReadGuard<'_, T> {
        self.watched.value.read()
    }

    fn borrow_and_update(&mut self) -> RecursiveRwLockReadGuard<'_, T> {
        let value = self.watched.value.read();
        self.seen = self.watched.version.load(Ordering::Acquire);
        value
    }
}
