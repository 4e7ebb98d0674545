//! One writer publishes the newest state; many readers look at it or wait for a change.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

/// The writing side, owned by one component.
pub struct Publisher<T> {
    current: Arc<ArcSwap<T>>,
    version: watch::Sender<u64>,
}

/// The reading side. Reading takes no lock; cheap to clone.
pub struct Published<T> {
    current: Arc<ArcSwap<T>>,
    version: watch::Receiver<u64>,
}

impl<T> Clone for Published<T> {
    fn clone(&self) -> Self {
        Published {
            current: Arc::clone(&self.current),
            version: self.version.clone(),
        }
    }
}

/// Makes both sides with a first value.
#[must_use]
pub fn published<T>(first: T) -> (Publisher<T>, Published<T>) {
    let current = Arc::new(ArcSwap::from_pointee(first));
    let (tx, rx) = watch::channel(0);
    (
        Publisher {
            current: Arc::clone(&current),
            version: tx,
        },
        Published {
            current,
            version: rx,
        },
    )
}

impl<T> Publisher<T> {
    /// Replaces the value and wakes everyone who waits for a change.
    pub fn publish(&self, value: impl Into<Arc<T>>) {
        self.current.store(value.into());
        self.version.send_modify(|v| *v += 1);
    }
}

impl<T> Published<T> {
    /// The newest value.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Waits until something was published since the last call on this clone; `false` when the
    /// writer is gone and nothing will change any more.
    pub async fn changed(&mut self) -> bool {
        self.version.changed().await.is_ok()
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
}
