//! Pauses of a connection (KIP-219): while it is muted, no request of it is taken on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla_runtime::{Clock, Instant};
use parking_lot::Mutex;

/// Whether a connection is muted, and until when. Asking costs one load while it is not.
#[derive(Debug, Default)]
pub(crate) struct Mute {
    is_on: AtomicBool,
    until: Mutex<Option<Instant>>,
}

impl Mute {
    /// Mutes until then, or longer if it is muted for longer already.
    pub(crate) fn until(&self, end: Instant) {
        let mut until = self.until.lock();
        if until.is_none_or(|now| now < end) {
            *until = Some(end);
        }
        self.is_on.store(true, Ordering::Release);
    }

    /// How long it is still muted; `None` when it is not (any more).
    fn left(&self, now: Instant) -> Option<Duration> {
        if !self.is_on.load(Ordering::Acquire) {
            return None;
        }
        let mut until = self.until.lock();
        let left = until.map(|until| until.saturating_duration_since(now));
        match left {
            Some(left) if !left.is_zero() => Some(left),
            _ => {
                *until = None;
                self.is_on.store(false, Ordering::Release);
                None
            }
        }
    }

    /// Waits until the connection is not muted, but for no longer than `limit` at a time; whether
    /// it is over.
    pub(crate) async fn over(&self, clock: &Clock, limit: Duration) -> bool {
        let Some(mut left) = self.left(clock.instant()) else {
            return true;
        };
        let give_up = clock.instant() + limit;
        loop {
            let now = clock.instant();
            if now >= give_up {
                return false;
            }
            clock.sleep_until((now + left).min(give_up)).await;
            // It may have been muted for longer meanwhile, by a request that was in work.
            match self.left(clock.instant()) {
                Some(more) => left = more,
                None => return true,
            }
        }
    }
}

#[cfg(test)]
mod tests;
