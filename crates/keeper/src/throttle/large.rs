//! How many bytes of large requests may be in work (`largeRequestThreshold`,
//! `largeRequestMaxBytes`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::monitor::Meters;

/// The large requests in work.
#[derive(Debug)]
pub(crate) struct LargeRequests {
    /// A longer request is a large one.
    threshold: u64,
    most: u64,
    held: AtomicU64,
    meters: Arc<Meters>,
}

/// A large request's bytes, until it is answered.
#[derive(Debug)]
pub(crate) struct Large {
    of: Arc<LargeRequests>,
    bytes: u64,
}

impl Drop for Large {
    fn drop(&mut self) {
        self.of.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl LargeRequests {
    pub(crate) fn new(threshold: u64, most: u64, meters: &Arc<Meters>) -> Self {
        LargeRequests {
            threshold,
            most,
            held: AtomicU64::new(0),
            meters: Arc::clone(meters),
        }
    }

    fn rejected(&self) -> io::Error {
        self.meters.large_rejected.add(1);
        let reason = "a large request, while as many as largeRequestMaxBytes allows are in work";
        io::Error::other(reason)
    }

    /// Whether there is room for a request of so many bytes, before they are read.
    pub(crate) fn check(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        let held = self.held.load(Ordering::Relaxed);
        match bytes > self.threshold && held.saturating_add(bytes) > self.most {
            true => Err(self.rejected()),
            false => Ok(()),
        }
    }

    /// Counts a request that came; none if it is not large.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> io::Result<Option<Large>> {
        let bytes = bytes as u64;
        if bytes <= self.threshold {
            return Ok(None);
        }
        let room = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= self.most);
        let taken = self
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
        taken.map_err(|_| self.rejected())?;
        let of = Arc::clone(self);
        Ok(Some(Large { of, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_requests_share_the_room_and_give_it_back() {
        let meters = Arc::default();
        let large = Arc::new(LargeRequests::new(100, 1_000, &meters));
        assert!(large.take(100).unwrap().is_none(), "it is not large");
        let one = large.take(600).unwrap();
        assert!(large.check(500).is_err());
        assert!(large.take(500).is_err());
        assert!(large.check(100).is_ok(), "small ones are not concerned");
        let other = large.take(400).unwrap();
        assert!(large.take(101).is_err());
        drop(one);
        assert!(large.check(600).is_ok());
        drop(other);
        assert!(large.take(1_000).unwrap().is_some());
        assert!(large.take(usize::MAX).is_err());
        assert_eq!(meters.large_rejected.get(), 4);
    }
}
