//! Kafka's token bucket (KIP-599): bursts are paid back at the rate of the quota.

use super::{Meter, Window, pause_ms};

/// The tokens of one client. It begins full, and may be overdrawn.
#[derive(Debug, Clone, Default)]
pub struct TokenBucket {
    /// What there was, and when; none is full.
    state: Option<(f64, i64)>,
}

/// The most that a bucket holds: what the bound allows in all samples.
fn burst(window: Window, bound: f64) -> f64 {
    window.span_ms() as f64 / 1000.0 * bound
}

impl TokenBucket {
    /// What is there; below zero when more was taken than there was.
    #[must_use]
    pub fn tokens(&self, window: Window, bound: f64, now_ms: i64) -> f64 {
        let full = burst(window, bound);
        match self.state {
            None => full,
            Some((tokens, at_ms)) => {
                let seconds = (now_ms - at_ms) as f64 / 1000.0;
                (tokens + bound * seconds).min(full)
            }
        }
    }

    /// Takes tokens, whether or not they are there. A negative value gives back.
    pub fn take(&mut self, window: Window, bound: f64, value: f64, now_ms: i64) {
        let tokens = self.tokens(window, bound, now_ms) - value;
        self.state = Some((tokens.min(burst(window, bound)), now_ms));
    }

    /// How long until nothing is owed; 0 when nothing is.
    #[must_use]
    pub fn throttle_ms(&self, window: Window, bound: f64, now_ms: i64) -> i32 {
        pause_ms(-self.tokens(window, bound, now_ms) / bound * 1000.0)
    }
}

impl Meter for TokenBucket {
    fn is_at_rest(&self, window: Window, bound: f64, now_ms: i64) -> bool {
        self.tokens(window, bound, now_ms) >= burst(window, bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_own_example_waits_twelve_seconds() {
        // 5 a second and 100 samples of a second: a burst of 560 leaves -60.
        let window = Window::new(100, 1);
        let mut bucket = TokenBucket::default();
        bucket.take(window, 5.0, 560.0, 1000);
        assert!((bucket.tokens(window, 5.0, 1000) + 60.0).abs() < 1e-9);
        assert_eq!(bucket.throttle_ms(window, 5.0, 1000), 12_000);
        assert_eq!(bucket.throttle_ms(window, 5.0, 12_000), 1000);
        assert_eq!(bucket.throttle_ms(window, 5.0, 13_000), 0);
    }

    #[test]
    fn it_never_holds_more_than_a_burst() {
        let window = Window::new(10, 1);
        let mut bucket = TokenBucket::default();
        assert!(bucket.is_at_rest(window, 2.0, 0));
        bucket.take(window, 2.0, 5.0, 0);
        assert!(!bucket.is_at_rest(window, 2.0, 2499));
        assert!(bucket.is_at_rest(window, 2.0, 2500));
        bucket.take(window, 2.0, -100.0, 2500);
        assert!((bucket.tokens(window, 2.0, 1_000_000) - 20.0).abs() < 1e-9);
        // A lower bound holds at once.
        assert!((bucket.tokens(window, 1.0, 1_000_000) - 10.0).abs() < 1e-9);
    }
}
