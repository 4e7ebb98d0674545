//! What one request is charged for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ottla_model::QuotaKey;
use ottla_net::{Incoming, Peer};
use ottla_runtime::Instant;
use ottla_wire::{ApiKey, Response, Text};
use parking_lot::Mutex;

use super::{is_exempt, user_of};
use crate::Broker;

/// One request's account. The last one to hold it writes down the time that is not yet counted.
pub(crate) struct Charge {
    broker: Arc<Broker>,
    peer: Arc<Peer>,
    client_id: Text,
    api: ApiKey,
    /// None when nobody has a limit of time.
    work: Option<Mutex<Work>>,
    pause: Mutex<Pause>,
}

/// The time that the request's futures were polled.
#[derive(Clone, Copy)]
struct Work {
    done: Duration,
    /// When the poll that is going on began.
    since: Option<Instant>,
}

/// The longest pause so far, for whatever it is.
#[derive(Clone, Copy, Default)]
struct Pause {
    ms: i32,
    key: Option<QuotaKey>,
}

impl Charge {
    pub(super) fn begin(broker: &Arc<Broker>, peer: &Arc<Peer>, incoming: &Incoming) -> Self {
        let has_time = broker.quotas.has(QuotaKey::RequestPercentage);
        let work = Work {
            done: Duration::ZERO,
            since: Some(incoming.arrived),
        };
        Charge {
            broker: Arc::clone(broker),
            peer: Arc::clone(peer),
            client_id: incoming.header.client_id.clone().unwrap_or_default(),
            api: incoming.api,
            work: has_time.then(|| Mutex::new(work)),
            pause: Mutex::default(),
        }
    }

    fn record(&self, key: QuotaKey, value: f64) -> i32 {
        let client = (user_of(&self.peer), &*self.client_id);
        let now_ms = self.broker.runtime.clock.monotonic_ms();
        self.broker.quotas.record(key, client, value, now_ms)
    }

    /// Notes a pause that the answer is to tell of.
    pub(super) fn pause(&self, key: QuotaKey, ms: i32) {
        let mut pause = self.pause.lock();
        if ms > pause.ms {
            *pause = Pause { ms, key: Some(key) };
        }
    }

    /// Charges a Produce request for its bytes. It mutes the connection from now on, not from the
    /// answer on: the requests behind it are on their way already.
    pub(super) fn produced(&self, bytes: usize) {
        let ms = self.record(QuotaKey::ProducerByteRate, bytes as f64);
        if ms > 0 {
            self.pause(QuotaKey::ProducerByteRate, ms);
            self.mute(QuotaKey::ProducerByteRate, ms);
        }
    }

    /// The most bytes that one answer to a Fetch may have: more would make the client pause each
    /// time, and it would never get on.
    pub(crate) fn fetch_bytes_max(&self) -> Option<usize> {
        let (user, client_id) = (user_of(&self.peer), &*self.client_id);
        let key = QuotaKey::ConsumerByteRate;
        let largest = self.broker.quotas.largest(key, user, client_id)?;
        Some(largest as usize)
    }

    /// Charges a Fetch for the bytes of its answer. True when the client must pause: it gets an
    /// empty answer then, and the bytes are not charged.
    pub(crate) fn fetched(&self, bytes: usize) -> bool {
        let key = QuotaKey::ConsumerByteRate;
        let ms = self.record(key, bytes as f64);
        self.pause(key, ms);
        self.worked();
        let pauses = self.pause.lock().ms > 0;
        if pauses {
            self.record(key, -(bytes as f64));
        }
        pauses
    }

    /// Charges the work that was done so far.
    fn worked(&self) {
        if let Some(ms) = self.count_work() {
            self.pause(QuotaKey::RequestPercentage, ms);
        }
    }

    fn count_work(&self) -> Option<i32> {
        let work = {
            let mut work = self.work.as_ref()?.lock();
            let now = self.broker.runtime.clock.instant();
            let going_on = work.since.map(|since| now - since);
            let done = work.done + going_on.unwrap_or_default();
            work.done = Duration::ZERO;
            work.since = work.since.map(|_| now);
            done
        };
        if work.is_zero() {
            return None;
        }
        // A second of work in a second is 100 percent.
        let percent = work.as_secs_f64() * 100.0;
        Some(self.record(QuotaKey::RequestPercentage, percent))
    }

    /// The answer is ready: it tells the client how long to pause, and the connection is muted.
    pub(crate) fn settle(&self, response: &mut Response) {
        if is_exempt(self.api) {
            return;
        }
        self.worked();
        let Pause { ms, key } = *self.pause.lock();
        let Some(key) = key else { return };
        response.set_throttle_time_ms(ms);
        if key != QuotaKey::ProducerByteRate {
            self.mute(key, ms);
        }
    }

    fn mute(&self, key: QuotaKey, ms: i32) {
        let pause = Duration::from_millis(ms.unsigned_abs().into());
        let now = self.broker.runtime.clock.instant();
        self.peer.mute_until(now + pause);
        self.broker.probe.count_throttled(key, ms);
    }

    /// Counts the time in which the future is polled.
    pub(crate) fn timed<F: Future + Unpin>(self: &Arc<Self>, future: F) -> Timed<F> {
        Timed {
            future,
            charge: Arc::clone(self),
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.broker.runtime.clock.monotonic_ms()
    }

    pub(super) fn broker(&self) -> &Broker {
        &self.broker
    }

    pub(super) fn client(&self) -> (&str, &str) {
        (user_of(&self.peer), &self.client_id)
    }
}

impl Drop for Charge {
    /// What was done after the answer was settled, or without one, counts without a pause: the
    /// next request feels it.
    fn drop(&mut self) {
        self.count_work();
    }
}

/// A future whose polls are the request's work.
pub(crate) struct Timed<F> {
    future: F,
    charge: Arc<Charge>,
}

impl<F: Future + Unpin> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let Some(work) = &this.charge.work else {
            return Pin::new(&mut this.future).poll(context);
        };
        let clock = &this.charge.broker.runtime.clock;
        // The first poll began when the frame was there.
        let mut before = work.lock();
        before.since = before.since.or_else(|| Some(clock.instant()));
        drop(before);
        let polled = Pin::new(&mut this.future).poll(context);
        let mut after = work.lock();
        if let Some(since) = after.since.take() {
            after.done += clock.instant() - since;
        }
        polled
    }
}
