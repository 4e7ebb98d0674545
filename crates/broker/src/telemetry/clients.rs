//! The clients that push metrics, or ask whether they should.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use ottla_config::{ClientMatch, ClientParameter};
use ottla_model::{ErrorCode, Uuid};
use ottla_wire::otlp;

use super::series::Series;
use super::{Push, Subscription, Subscriptions};

/// How many clients are remembered, as in Kafka.
const CLIENTS_MAX: usize = 16_384;
/// A client that is silent for so long, or three intervals, is forgotten.
const SILENCE_MS: i64 = 60_000;
/// The interval when no subscription asks for a shorter one.
const INTERVAL_DEFAULT_MS: i64 = 300_000;
/// Stands for all metrics in a subscription.
const ALL_METRICS: &str = "*";

/// What is known of a client from its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) client_id: String,
    /// Name and version of the library, if it has said so.
    pub(crate) software: Option<(String, String)>,
    pub(crate) address: SocketAddr,
}

/// What a client is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) subscription_id: i32,
    pub(super) metrics: Vec<String>,
    pub(super) interval_ms: i64,
}

/// One run of a client.
pub(super) struct Client {
    pub(super) facts: Facts,
    asked: Asked,
    /// The version of the subscriptions that `asked` is from.
    version: u64,
    last_asked_ms: Option<i64>,
    last_push_ms: Option<i64>,
    /// The last push was refused in a way that asking again puts right.
    shall_ask_again: bool,
    terminating: bool,
    seen_ms: i64,
    pub(super) series: Series,
}

/// All of them.
pub(super) struct Clients {
    by_id: BTreeMap<Uuid, Client>,
    /// The same by when they were last heard of.
    by_age: BTreeSet<(i64, Uuid)>,
    series: usize,
    series_max: usize,
}

impl Clients {
    pub(super) fn new(series_max: usize) -> Self {
        Clients {
            by_id: BTreeMap::new(),
            by_age: BTreeSet::new(),
            series: 0,
            series_max,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The number of series of all clients.
    pub(super) fn series(&self) -> usize {
        self.series
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Uuid, &Client)> {
        self.by_id.iter()
    }

    /// The id that a client has, or a new one that nobody has.
    pub(super) fn id_for(&self, asked: Uuid, mut fresh: impl FnMut() -> Uuid) -> Uuid {
        let mut id = asked;
        while id.is_zero() || (asked.is_zero() && self.by_id.contains_key(&id)) {
            id = fresh();
        }
        id
    }

    /// The client with this id, which is heard of now; its subscription is brought up to date.
    pub(super) fn touch(
        &mut self,
        id: Uuid,
        facts: Facts,
        subscriptions: &Subscriptions,
        now_ms: i64,
    ) -> &mut Client {
        if let Some(known) = self.by_id.get(&id) {
            self.by_age.remove(&(known.seen_ms, id));
        } else {
            if self.by_id.len() >= CLIENTS_MAX {
                self.forget_oldest();
            }
            // A version that the subscriptions never have: it is asked for below.
            let client = Client::new(facts, now_ms);
            self.by_id.insert(id, client);
        }
        self.by_age.insert((now_ms, id));
        let client = self.by_id.get_mut(&id).expect("it was put in just now");
        client.seen_ms = now_ms;
        if client.version != subscriptions.version {
            client.ask(id, subscriptions);
        }
        client
    }

    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.by_age.first().copied() {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: Uuid) {
        if let Some(client) = self.by_id.remove(&id) {
            self.by_age.remove(&(client.seen_ms, id));
            self.series -= client.series.len();
        }
    }

    /// Forgets those that have been silent for too long.
    pub(super) fn forget_silent(&mut self, now_ms: i64) {
        let silent = self.by_id.iter().filter(|(_, client)| {
            let patience_ms = SILENCE_MS.max(client.asked.interval_ms * 3);
            now_ms - client.seen_ms > patience_ms
        });
        let silent: Vec<Uuid> = silent.map(|(id, _)| *id).collect();
        for id in silent {
            self.forget(id);
        }
    }

    /// Keeps what a client pushed; returns how many series found no room.
    pub(super) fn record(&mut self, id: Uuid, metrics: &[otlp::Metric<'_>]) -> usize {
        let Some(client) = self.by_id.get_mut(&id) else {
            return 0;
        };
        let before = client.series.len();
        let room = self.series_max - (self.series - before);
        let asked = &client.asked.metrics;
        let is_asked_for = |name: &str| {
            let prefixes = asked.iter();
            prefixes.clone().any(|p| p == ALL_METRICS)
                || prefixes.clone().any(|p| name.starts_with(p.as_str()))
        };
        let wanted = metrics.iter().filter(|metric| is_asked_for(metric.name));
        let dropped = client.series.replace(wanted, room);
        self.series = self.series - before + client.series.len();
        dropped
    }
}

impl Client {
    fn new(facts: Facts, now_ms: i64) -> Self {
        Client {
            facts,
            asked: Asked {
                subscription_id: 0,
                metrics: Vec::new(),
                interval_ms: INTERVAL_DEFAULT_MS,
            },
            version: u64::MAX,
            last_asked_ms: None,
            last_push_ms: None,
            shall_ask_again: false,
            terminating: false,
            seen_ms: now_ms,
            series: Series::default(),
        }
    }

    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Puts together what the subscriptions that match the client ask for. It may ask again at
    /// once, so that it hears of the change.
    fn ask(&mut self, id: Uuid, subscriptions: &Subscriptions) {
        let matching = subscriptions.all.iter().filter(|s| self.matches(id, s));
        let mut metrics = BTreeSet::new();
        let mut interval_ms = INTERVAL_DEFAULT_MS;
        for subscription in matching {
            metrics.extend(subscription.metrics.iter().cloned());
            interval_ms = interval_ms.min(subscription.interval_ms);
        }
        if metrics.contains(ALL_METRICS) {
            metrics = BTreeSet::from([ALL_METRICS.to_owned()]);
        }
        let metrics: Vec<String> = metrics.into_iter().collect();
        self.asked = Asked {
            subscription_id: subscription_id(&metrics, interval_ms, id),
            metrics,
            interval_ms,
        };
        self.version = subscriptions.version;
        self.last_asked_ms = None;
        self.last_push_ms = None;
        self.shall_ask_again = false;
        self.terminating = false;
    }

    fn matches(&self, id: Uuid, subscription: &Subscription) -> bool {
        let facts = &self.facts;
        let software = facts.software.as_ref();
        let is_met = |condition: &ClientMatch| {
            let value = match condition.parameter {
                ClientParameter::InstanceId => Some(id.to_string()),
                ClientParameter::ClientId => Some(facts.client_id.clone()),
                ClientParameter::SoftwareName => software.map(|(name, _)| name.clone()),
                ClientParameter::SoftwareVersion => software.map(|(_, version)| version.clone()),
                ClientParameter::SourceAddress => Some(facts.address.ip().to_string()),
                ClientParameter::SourcePort => Some(facts.address.port().to_string()),
            };
            value.is_some_and(|value| condition.is_match(&value))
        };
        subscription.conditions.iter().all(is_met)
    }

    /// Whether it may ask what to push: once an interval, and whenever it has to.
    pub(super) fn may_ask(&mut self, now_ms: i64) -> bool {
        let last_ms = self.last_asked_ms.max(self.last_push_ms);
        let is_time = last_ms.is_none_or(|last| now_ms - last >= self.asked.interval_ms);
        if is_time {
            self.last_asked_ms = Some(now_ms);
        }
        let may = is_time || self.shall_ask_again;
        if may {
            self.shall_ask_again = false;
        }
        may
    }

    pub(super) fn admit(
        &mut self,
        push: &Push,
        max_bytes: usize,
        now_ms: i64,
    ) -> Result<(), ErrorCode> {
        let was_terminating = std::mem::replace(&mut self.terminating, push.terminating);
        if was_terminating {
            return Err(ErrorCode::InvalidRequest);
        }
        // The first push after a question comes at any time: clients spread their pushes.
        let is_time = self.last_asked_ms > self.last_push_ms
            || self
                .last_push_ms
                .is_none_or(|last| now_ms - last >= self.asked.interval_ms);
        if is_time {
            self.last_push_ms = Some(now_ms);
        } else if !push.terminating {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        let verdict = if push.subscription_id != self.asked.subscription_id {
            Err(ErrorCode::UnknownSubscriptionId)
        } else if !push.is_known_compression {
            Err(ErrorCode::UnsupportedCompressionType)
        } else if push.bytes > max_bytes {
            Err(ErrorCode::TelemetryTooLarge)
        } else {
            Ok(())
        };
        self.shall_ask_again = matches!(
            verdict,
            Err(ErrorCode::UnknownSubscriptionId | ErrorCode::UnsupportedCompressionType)
        );
        verdict
    }
}

/// A number that changes when what is asked for changes, and that differs between clients.
fn subscription_id(metrics: &[String], interval_ms: i64, id: Uuid) -> i32 {
    // FNV-1a, 32 bits.
    let mut hash = 0x811c_9dc5_u32;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    };
    for metric in metrics {
        add(metric.as_bytes());
        add(&[0]);
    }
    add(&interval_ms.to_be_bytes());
    add(&id.0);
    hash.cast_signed()
}
