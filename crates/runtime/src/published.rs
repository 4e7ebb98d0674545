//! One writer publishes the newest state; many readers look at it or wait for a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

struct Shared<T> {
    current: ArcSwap<T>,
    /// Counts publications.
    version: AtomicU64,
    over: AtomicBool,
    /// Readers are woken in the order in which they began to wait. (tokio's `watch` draws the order
    /// from a source of its own, and a simulation would not repeat itself.)
    changed: Notify,
}

/// The writing side, owned by one component.
pub struct Publisher<T>(Arc<Shared<T>>);

/// The reading side. Reading takes no lock; cheap to clone.
pub struct Published<T> {
    shared: Arc<Shared<T>>,
    /// The newest version that this clone has noticed.
    seen: u64,
}

impl<T> Clone for Published<T> {
    fn clone(&self) -> Self {
        Published {
            shared: Arc::clone(&self.shared),
            seen: self.seen,
        }
    }
}

/// Makes both sides with a first value.
#[must_use]
pub fn published<T>(first: T) -> (Publisher<T>, Published<T>) {
    let shared = Arc::new(Shared {
        current: ArcSwap::from_pointee(first),
        version: AtomicU64::new(0),
        over: AtomicBool::new(false),
        changed: Notify::new(),
    });
    let reader = Published {
        shared: Arc::clone(&shared),
        seen: 0,
    };
    (Publisher(shared), reader)
}

impl<T> Publisher<T> {
    /// Replaces the value and wakes everyone who waits for a change.
    pub fn publish(&self, value: impl Into<Arc<T>>) {
        self.0.current.store(value.into());
        self.0.version.fetch_add(1, Ordering::Release);
        self.0.changed.notify_waiters();
    }
}

impl<T> Drop for Publisher<T> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
    }
}

impl<T> Published<T> {
    /// The newest value.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.shared.current.load_full()
    }

    /// Waits until something was published since the last call on this clone; `false` when the
    /// writer is gone and nothing will change any more.
    pub async fn changed(&mut self) -> bool {
        loop {
            let mut waiting = std::pin::pin!(self.shared.changed.notified());
            // From now on no change goes unnoticed.
            waiting.as_mut().enable();
            let version = self.shared.version.load(Ordering::Acquire);
            if version != self.seen {
                self.seen = version;
                return true;
            }
            if self.shared.over.load(Ordering::Acquire) {
                return false;
            }
            waiting.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readers_see_the_newest_value_and_learn_of_the_end() {
        let (publisher, mut reader) = published(1);
        publisher.publish(2);
        publisher.publish(3);
        assert!(reader.changed().await);
        assert_eq!(*reader.get(), 3);
        drop(publisher);
        assert!(!reader.changed().await);
        assert_eq!(*reader.get(), 3);
    }

    #[tokio::test]
    async fn readers_are_woken_in_the_order_in_which_they_waited() {
        let (publisher, reader) = published(1);
        let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..20)
            .map(|number| {
                let (mut reader, order) = (reader.clone(), Arc::clone(&order));
                tokio::spawn(async move {
                    assert!(reader.changed().await);
                    order.lock().push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        publisher.publish(2);
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), (0..20).collect::<Vec<_>>());
    }
}
