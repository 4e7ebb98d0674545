//! The limits that hold now, and what was used of them.

use std::sync::atomic::{AtomicBool, Ordering};

use ottla_metadata::ClientQuotas;
use ottla_model::QuotaKey;
use ottla_runtime::published::{Published, Publisher, published};
use ottla_security::quota::{Limit, QuotaRules, Shares, TokenBucket, Window, WindowedRate};
use parking_lot::Mutex;

/// All limits of users and client ids, with their meters.
pub(crate) struct Quotas {
    /// Whether a limit is set for anyone: all that a request asks while there is none.
    any: AtomicBool,
    rules: Published<QuotaRules>,
    publisher: Publisher<QuotaRules>,
    produced: Mutex<Shares<WindowedRate>>,
    fetched: Mutex<Shares<WindowedRate>>,
    time: Mutex<Shares<WindowedRate>>,
    mutations: Mutex<Shares<TokenBucket>>,
}

impl Quotas {
    /// No limits; rates are measured over these windows, mutations over the second one.
    pub(crate) fn new(clients: Window, mutations: Window) -> Self {
        let (publisher, rules) = published(QuotaRules::default());
        Quotas {
            any: AtomicBool::new(false),
            rules,
            publisher,
            produced: Mutex::new(Shares::new(clients)),
            fetched: Mutex::new(Shares::new(clients)),
            time: Mutex::new(Shares::new(clients)),
            mutations: Mutex::new(Shares::new(mutations)),
        }
    }

    /// Takes over the limits of an image. What was used stays used.
    pub(crate) fn follow(&self, quotas: &ClientQuotas) {
        let each = quotas.iter().flat_map(|(entity, limits)| {
            let each = limits.iter();
            each.map(move |(key, value)| (entity, *key, *value))
        });
        let rules = QuotaRules::new(each);
        let any = rules != QuotaRules::default();
        self.publisher.publish(rules);
        self.any.store(any, Ordering::Release);
    }

    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Whether anyone has a limit of this key.
    pub(super) fn has(&self, key: QuotaKey) -> bool {
        self.rules.get().has(key)
    }

    /// The limit of a rate, with the most that one can use without a pause.
    pub(super) fn largest(&self, key: QuotaKey, user: &str, client_id: &str) -> Option<f64> {
        let limit = self.rules.get().limit(key, user, client_id)?;
        let window = self.rates(key)?.lock().window();
        let seconds = (window.span_ms() - window.sample_ms) as f64 / 1000.0;
        Some(limit.bound * seconds)
    }

    /// Counts something used of a rate and returns the pause that follows, in milliseconds.
    pub(super) fn record(
        &self,
        key: QuotaKey,
        (user, client_id): (&str, &str),
        value: f64,
        now_ms: i64,
    ) -> i32 {
        let rules = self.rules.get();
        let (Some(limit), Some(rates)) = (rules.limit(key, user, client_id), self.rates(key))
        else {
            return 0;
        };
        let mut rates = rates.lock();
        let window = rates.window();
        let rate = rates.meter(limit, now_ms);
        rate.record(window, value, now_ms);
        let pause_ms = rate.throttle_ms(window, limit.bound, now_ms);
        match key {
            // A pause for time is bounded: what is used may be the node's own slowness.
            QuotaKey::RequestPercentage => {
                pause_ms.min(i32::try_from(window.sample_ms).unwrap_or(i32::MAX))
            }
            _ => pause_ms,
        }
    }

    /// Asks or changes the client's bucket of mutations, when it has a limit.
    pub(super) fn with_mutations<R>(
        &self,
        user: &str,
        client_id: &str,
        now_ms: i64,
        with: impl FnOnce(&mut TokenBucket, Window, Limit<'_>) -> R,
    ) -> Option<R> {
        let rules = self.rules.get();
        let limit = rules.limit(QuotaKey::ControllerMutationRate, user, client_id)?;
        let mut buckets = self.mutations.lock();
        let window = buckets.window();
        Some(with(buckets.meter(limit, now_ms), window, limit))
    }

    fn rates(&self, key: QuotaKey) -> Option<&Mutex<Shares<WindowedRate>>> {
        match key {
            QuotaKey::ProducerByteRate => Some(&self.produced),
            QuotaKey::ConsumerByteRate => Some(&self.fetched),
            QuotaKey::RequestPercentage => Some(&self.time),
            QuotaKey::ControllerMutationRate | QuotaKey::ConnectionCreationRate => None,
        }
    }

    /// How many shares are being measured, of all kinds together.
    pub(crate) fn shares(&self) -> usize {
        let rates = [&self.produced, &self.fetched, &self.time];
        rates.iter().map(|rates| rates.lock().len()).sum::<usize>() + self.mutations.lock().len()
    }
}
