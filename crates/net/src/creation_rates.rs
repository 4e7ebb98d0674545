//! How fast connections may come (KIP-612): over all, and from one address.
//!
//! ```text
//! accept ─▶ too many over all?  ─▶ accepting rests, for one sample of the window at most
//!        ─▶ too many from here? ─▶ the connection is held, unread, for as long, and then closed:
//!                                  a client that is closed at once would only come back at once
//! ```

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla_security::quota::{Limit, Share, Shares, Window, WindowedRate};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections are held before they are closed. Beyond it they are closed at once: what
/// slows down a flood may not itself use up the file descriptors.
const MAX_HELD: usize = 256;

/// How many connections a second one address may make (`connection_creation_rate`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IpCreationRates {
    /// Of addresses that have no rate of their own; none is no limit.
    pub default: Option<u32>,
    /// Of single addresses.
    pub by_ip: HashMap<IpAddr, u32>,
}

/// The rates of all listeners together.
pub(crate) struct CreationRates {
    /// Whether there is any limit.
    any: AtomicBool,
    rates: Mutex<Rates>,
    held: Arc<Semaphore>,
}

struct Rates {
    window: Window,
    limit: Option<u32>,
    all: WindowedRate,
    of_ips: IpCreationRates,
    by_ip: Shares<WindowedRate>,
}

impl CreationRates {
    pub(crate) fn new(window: Window, limit: Option<u32>) -> Self {
        CreationRates {
            any: AtomicBool::new(limit.is_some()),
            rates: Mutex::new(Rates {
                window,
                limit,
                all: WindowedRate::default(),
                of_ips: IpCreationRates::default(),
                by_ip: Shares::new(window),
            }),
            held: Arc::new(Semaphore::new(MAX_HELD)),
        }
    }

    pub(crate) fn set_limit(&self, limit: Option<u32>) {
        self.change(|rates| rates.limit = limit);
    }

    pub(crate) fn set_ips(&self, of_ips: IpCreationRates) {
        self.change(|rates| rates.of_ips = of_ips);
    }

    fn change(&self, change: impl FnOnce(&mut Rates)) {
        let mut rates = self.rates.lock();
        change(&mut rates);
        let any = rates.limit.is_some() || rates.of_ips != IpCreationRates::default();
        self.any.store(any, Ordering::Release);
    }

    /// Counts a connection; how long accepting rests before it is taken on.
    pub(crate) fn pause(&self, now_ms: i64) -> Duration {
        if !self.any.load(Ordering::Acquire) {
            return Duration::ZERO;
        }
        let rates = &mut *self.rates.lock();
        let Some(limit) = rates.limit else {
            return Duration::ZERO;
        };
        rates.all.record(rates.window, 1.0, now_ms);
        bounded(&mut rates.all, rates.window, limit.into(), now_ms)
    }

    /// Counts a connection from an address. When it is one too many, it does not count after all,
    /// and this is how long it is to be held.
    pub(crate) fn refused_for(&self, ip: IpAddr, now_ms: i64) -> Option<Duration> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let rates = &mut *self.rates.lock();
        let window = rates.window;
        let own = rates.of_ips.by_ip.get(&ip).copied();
        let bound = f64::from(own.or(rates.of_ips.default)?);
        let name = ip.to_string();
        let share = Share {
            user: None,
            client_id: Some(&name),
        };
        let rate = rates.by_ip.meter(Limit { bound, share }, now_ms);
        rate.record(window, 1.0, now_ms);
        let pause = bounded(rate, window, bound, now_ms);
        if pause.is_zero() {
            return None;
        }
        rate.record(window, -1.0, now_ms);
        if rates.limit.is_some() {
            rates.all.record(window, -1.0, now_ms);
        }
        Some(pause)
    }

    /// A place for a connection that is held; none when too many are.
    pub(crate) fn hold(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.held).try_acquire_owned().ok()
    }
}

/// A pause is one sample of the window at most, as in Kafka.
fn bounded(rate: &mut WindowedRate, window: Window, bound: f64, now_ms: i64) -> Duration {
    let ms = i64::from(rate.throttle_ms(window, bound, now_ms)).min(window.sample_ms);
    Duration::from_millis(ms.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn accepting_rests_until_the_rate_is_back_and_not_longer_than_a_sample() {
        let rates = CreationRates::new(Window::new(11, 1), Some(10));
        // 100 in the ten seconds that count as past are allowed.
        assert!((0..100).all(|_| rates.pause(0).is_zero()));
        assert_eq!(rates.pause(0), Duration::from_millis(100));
        assert_eq!(rates.pause(0), Duration::from_millis(200));
        for _ in 0..50 {
            rates.pause(0);
        }
        assert_eq!(rates.pause(0), Duration::from_secs(1));
        rates.set_limit(None);
        assert!(rates.pause(0).is_zero());
    }

    #[test]
    fn an_address_has_its_own_rate_and_what_is_refused_does_not_count() {
        let rates = CreationRates::new(Window::new(2, 1), None);
        rates.set_ips(IpCreationRates {
            default: Some(2),
            by_ip: HashMap::from([(ip(9), 4)]),
        });
        for (ip, allowed) in [(ip(1), 2), (ip(9), 4), (ip(2), 2)] {
            assert!((0..allowed).all(|_| rates.refused_for(ip, 0).is_none()));
            let pause = Duration::from_millis(1000 / allowed);
            // However often it tries, it is no further away from its next turn.
            assert!((0..50).all(|_| rates.refused_for(ip, 0) == Some(pause)));
            assert!(rates.refused_for(ip, 500).is_none());
        }
        rates.set_ips(IpCreationRates::default());
        assert!(rates.refused_for(ip(1), 0).is_none());
    }

    #[test]
    fn a_refused_address_leaves_the_common_rate_to_others() {
        let rates = CreationRates::new(Window::new(2, 1), Some(10));
        let of_ips = IpCreationRates {
            default: Some(1),
            ..IpCreationRates::default()
        };
        rates.set_ips(of_ips);
        for n in 0..100 {
            assert!(rates.pause(0).is_zero(), "attempt {n}");
            assert_eq!(rates.refused_for(ip(1), 0).is_some(), n > 0);
        }
        let held: Vec<_> = (0..MAX_HELD + 1).map(|_| rates.hold()).collect();
        assert_eq!(held.iter().flatten().count(), MAX_HELD);
    }
}
