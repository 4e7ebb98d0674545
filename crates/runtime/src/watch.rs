//! A value that changes often, and that many wait for: tokio's `watch`, with a difference.
//!
//! Who waits is woken in the order in which they began to wait. Tokio's `watch` draws that order
//! from a random source of its own, and a simulation would not repeat itself.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::Notify;

struct Shared<T> {
    value: RwLock<T>,
    /// Counts the changes.
    version: AtomicU64,
    over: AtomicBool,
    changed: Notify,
}

impl<T> Shared<T> {
    fn tell(&self) {
        self.version.fetch_add(1, Ordering::Release);
        self.changed.notify_waiters();
    }
}

/// The side that changes the value. When it is dropped, nobody waits any longer.
pub struct Sender<T>(Arc<Shared<T>>);

/// A side that looks and waits. Cheap to clone.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The newest version that was looked at.
    seen: u64,
}

/// The sender is gone: the value does not change any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl<T> Sender<T> {
    /// A value that nobody waits for yet.
    #[must_use]
    pub fn new(value: T) -> Self {
        Sender(Arc::new(Shared {
            value: RwLock::new(value),
            version: AtomicU64::new(0),
            over: AtomicBool::new(false),
            changed: Notify::new(),
        }))
    }

    /// The value now. Must not be held for long: it keeps the value from changing.
    pub fn borrow(&self) -> RwLockReadGuard<'_, T> {
        self.0.value.read()
    }

    /// Changes the value, and wakes everyone who waits.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.0.value.write());
        self.0.tell();
    }

    /// Changes the value, and wakes everyone who waits if `change` says that there was a change.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) {
        let changed = change(&mut self.0.value.write());
        if changed {
            self.0.tell();
        }
    }

    /// A side that has seen the value as it is now.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver {
            seen: self.0.version.load(Ordering::Acquire),
            shared: Arc::clone(&self.0),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver {
            shared: Arc::clone(&self.shared),
            seen: self.seen,
        }
    }
}

impl<T> Receiver<T> {
    /// The value now. Must not be held for long: it keeps the value from changing.
    pub fn borrow(&self) -> RwLockReadGuard<'_, T> {
        self.shared.value.read()
    }

    /// The value now; [`Receiver::changed`] waits for a newer one.
    pub fn borrow_and_update(&mut self) -> RwLockReadGuard<'_, T> {
        // The version first: a change in between is then seen twice, and not missed.
        self.seen = self.shared.version.load(Ordering::Acquire);
        self.shared.value.read()
    }

    /// Waits for a value newer than the last one that was looked at.
    ///
    /// # Errors
    /// [`Gone`] when there will be none.
    pub async fn changed(&mut self) -> Result<(), Gone> {
        loop {
            let mut woken = pin!(self.shared.changed.notified());
            woken.as_mut().enable();
            let version = self.shared.version.load(Ordering::Acquire);
            if version != self.seen {
                self.seen = version;
                return Ok(());
            }
            if self.shared.over.load(Ordering::Acquire) {
                return Err(Gone);
            }
            woken.await;
        }
    }

    /// Waits until the value is as wanted, which it may be already.
    ///
    /// # Errors
    /// [`Gone`] when it never will be.
    pub async fn wait_for(&mut self, is_wanted: impl Fn(&T) -> bool) -> Result<(), Gone> {
        loop {
            if is_wanted(&self.borrow_and_update()) {
                return Ok(());
            }
            self.changed().await?;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_in_order() {
        let sender = Sender::new(0);
        let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..20 {
            let (mut receiver, order) = (sender.subscribe(), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                receiver.wait_for(|value| *value == 2).await.unwrap();
                order.lock().push(number);
            }));
        }
        tokio::task::yield_now().await;
        sender.send_modify(|value| *value = 1);
        tokio::task::yield_now().await;
        sender.send_modify(|value| *value = 2);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), (0..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_change_between_looking_and_waiting_is_not_missed() {
        let sender = Sender::new(0);
        let mut receiver = sender.subscribe();
        assert_eq!(*receiver.borrow_and_update(), 0);
        sender.send_if_modified(|value| {
            *value = 1;
            true
        });
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(*receiver.borrow(), 1);
        drop(sender);
        assert_eq!(receiver.changed().await, Err(Gone));
        assert_eq!(receiver.wait_for(|value| *value == 2).await, Err(Gone));
    }
}
