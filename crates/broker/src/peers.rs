//! Connections to the other brokers, over the listener that brokers use among themselves.
//!
//! One connection to each broker serves all short requests. What waits at the other side (the fetches
//! of followers) has connections of its own, for answers come in the order of the requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use ottla_client::{ClientOptions, Link};
use ottla_metadata::{Endpoint, Image};
use ottla_model::BrokerId;
use ottla_runtime::Runtime;
use ottla_wire::{Request, Response};
use parking_lot::Mutex;

/// How long connecting may take: the brokers of a cluster are near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a broker may take to answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failure nobody tries again for so long, at first; the pause doubles with each failure.
const BACKOFF_MIN_MS: u64 = 20;
/// The longest pause.
const BACKOFF_MAX_MS: u64 = 1000;

/// Why a broker cannot be asked.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum PeerError {
    /// The metadata has no way to it.
    #[error("broker {broker} has no endpoint on the listener {listener}, or is not registered")]
    NoEndpoint { broker: BrokerId, listener: String },
    /// It failed a moment ago; it is asked again soon.
    #[error("broker {broker} could not be reached a moment ago: {reason}")]
    Resting { broker: BrokerId, reason: String },
    /// The connection, or the answer.
    #[error("broker {broker}: {source}")]
    Client {
        broker: BrokerId,
        source: Arc<ottla_client::Error>,
    },
}

impl PeerError {
    /// Whether nobody listens where the broker should be.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, PeerError::Client { source, .. } if source.is_refused_connection())
    }
}

type Opening = Shared<BoxFuture<'static, Result<Arc<Link>, Arc<ottla_client::Error>>>>;

/// The way to one broker.
struct Way {
    host: String,
    port: u16,
    opening: Opening,
    failures: u32,
    /// Until when nobody tries again, and why.
    rests: Option<(i64, String)>,
}

/// The ways to all brokers that were asked so far.
pub(crate) struct Peers {
    runtime: Runtime,
    listener: String,
    options: ClientOptions,
    ways: Mutex<BTreeMap<BrokerId, Way>>,
}

impl Peers {
    pub(crate) fn new(runtime: Runtime, me: BrokerId, listener: String) -> Self {
        let options = ClientOptions {
            client_id: format!("broker-{me}"),
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            ..ClientOptions::default()
        };
        Peers {
            runtime,
            listener,
            options,
            ways: Mutex::default(),
        }
    }

    /// Asks a broker, in the newest version that both know.
    pub(crate) async fn call(
        &self,
        image: &Image,
        broker: BrokerId,
        request: Request,
    ) -> Result<Response, PeerError> {
        let link = self.link(image, broker).await?;
        let answered = async {
            let version = link.version(request.api())?;
            link.call(version, &request).await
        };
        answered.await.map_err(|source| PeerError::Client {
            broker,
            source: Arc::new(source),
        })
    }

    /// A connection of one's own.
    pub(crate) async fn connect(&self, image: &Image, broker: BrokerId) -> Result<Link, PeerError> {
        let endpoint = self.endpoint(image, broker)?;
        let (host, port) = (endpoint.host.as_str(), endpoint.port);
        let opened = Link::open(&self.runtime, &self.options, host, port).await;
        opened.map_err(|source| PeerError::Client {
            broker,
            source: Arc::new(source),
        })
    }

    fn endpoint<'a>(&self, image: &'a Image, broker: BrokerId) -> Result<&'a Endpoint, PeerError> {
        let registered = image.broker(broker);
        let endpoint = registered.and_then(|b| b.endpoints.get(&self.listener));
        endpoint.ok_or_else(|| PeerError::NoEndpoint {
            broker,
            listener: self.listener.clone(),
        })
    }

    /// The shared connection, made when there is none, or when the broker has moved.
    async fn link(&self, image: &Image, broker: BrokerId) -> Result<Arc<Link>, PeerError> {
        let endpoint = self.endpoint(image, broker)?;
        let opening = self.opening(broker, endpoint)?;
        match opening.clone().await {
            Ok(link) => {
                self.succeeded(broker);
                Ok(link)
            }
            Err(source) => {
                self.failed(broker, &opening, &source);
                Err(PeerError::Client { broker, source })
            }
        }
    }

    fn opening(&self, broker: BrokerId, endpoint: &Endpoint) -> Result<Opening, PeerError> {
        let now_ms = self.runtime.clock.monotonic_ms();
        let mut ways = self.ways.lock();
        let known = ways.get(&broker);
        let same = known.filter(|w| w.host == endpoint.host && w.port == endpoint.port);
        if let Some(way) = same {
            if let Some((until_ms, reason)) = &way.rests
                && now_ms < *until_ms
            {
                return Err(PeerError::Resting {
                    broker,
                    reason: reason.clone(),
                });
            }
            let is_usable = match way.opening.peek() {
                None => true,
                Some(Ok(link)) => link.is_open(),
                Some(Err(_)) => false,
            };
            if is_usable {
                return Ok(way.opening.clone());
            }
        }
        let failures = same.map_or(0, |way| way.failures);
        let opening = self.open(endpoint);
        let way = Way {
            host: endpoint.host.clone(),
            port: endpoint.port,
            opening: opening.clone(),
            failures,
            rests: None,
        };
        ways.insert(broker, way);
        Ok(opening)
    }

    fn open(&self, endpoint: &Endpoint) -> Opening {
        let (runtime, options) = (self.runtime.clone(), self.options.clone());
        let (host, port) = (endpoint.host.clone(), endpoint.port);
        let open = async move {
            let link = Link::open(&runtime, &options, &host, port).await;
            link.map(Arc::new).map_err(Arc::new)
        };
        open.boxed().shared()
    }

    fn succeeded(&self, broker: BrokerId) {
        if let Some(way) = self.ways.lock().get_mut(&broker) {
            way.failures = 0;
        }
    }

    fn failed(&self, broker: BrokerId, opening: &Opening, error: &ottla_client::Error) {
        let now_ms = self.runtime.clock.monotonic_ms();
        let mut ways = self.ways.lock();
        let Some(way) = ways.get_mut(&broker) else {
            return;
        };
        // Several may have waited for the same attempt: it counts once.
        if way.opening.ptr_eq(opening) && way.rests.is_none() {
            let pause_ms = backoff_ms(&self.runtime, way.failures);
            way.failures += 1;
            way.rests = Some((now_ms + pause_ms.cast_signed(), error.to_string()));
        }
    }
}

/// The pause after so many failures in a row: it doubles, and chance spreads those who wait for the
/// same broker.
pub(crate) fn backoff_ms(runtime: &Runtime, failures: u32) -> u64 {
    let longest = (BACKOFF_MIN_MS << failures.min(10)).min(BACKOFF_MAX_MS);
    longest / 2 + runtime.random.below(longest / 2 + 1)
}
