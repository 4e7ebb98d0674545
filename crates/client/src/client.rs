//! The client: connections by broker, metadata, and calls with retries.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{ErrorCode, Uuid};
use ottla_runtime::Runtime;
use ottla_wire::messages::metadata_request::MetadataRequestTopic;
use ottla_wire::messages::{MetadataRequest, MetadataResponse};
use ottla_wire::{ApiKey, Request, Response};
use parking_lot::Mutex;

use crate::cluster::{Cluster, PartitionLeader};
use crate::link::Link;
use crate::retry::Retry;
use crate::{ClientOptions, Error};

/// Which broker a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// Any that answers.
    Any,
    /// The one that changes topics and configurations.
    Controller,
    /// The one with this node id.
    Id(i32),
}

/// A client of one cluster. Clones share connections and metadata.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) runtime: Runtime,
    pub(crate) options: ClientOptions,
    bootstrap: Vec<(String, u16)>,
    cluster: Mutex<Cluster>,
    links: Mutex<BTreeMap<i32, Arc<Link>>>,
}

/// Under this number the connection to a bootstrap address is kept, whose node id is not known.
const BOOTSTRAP: i32 = -1;

impl Client {
    /// Finds a broker at one of the `host:port` addresses and learns the cluster from it.
    ///
    /// The addresses are tried in their order, again and again within the deadline.
    pub async fn connect(
        runtime: Runtime,
        bootstrap: Vec<String>,
        options: ClientOptions,
    ) -> Result<Self, Error> {
        let parsed: Result<Vec<_>, _> = bootstrap.iter().map(|a| parse_address(a)).collect();
        let client = Client {
            inner: Arc::new(Inner {
                runtime,
                options,
                bootstrap: parsed?,
                cluster: Mutex::default(),
                links: Mutex::default(),
            }),
        };
        client.metadata(Some(&[])).await?;
        Ok(client)
    }

    /// Brokers and the named topics (`None`: all of them), as the cluster describes them. A
    /// topic's own error is in its `error_code`.
    pub async fn metadata(&self, topics: Option<&[&str]>) -> Result<MetadataResponse, Error> {
        let mut retry = self.retry();
        loop {
            match self.fetch_metadata(topics).await {
                Ok(metadata) => return Ok(metadata),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    /// The partitions of a topic and who leads them.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<PartitionLeader>, Error> {
        let mut retry = self.retry();
        loop {
            match self.leaders_of(topic).await {
                Ok(partitions) => return Ok(partitions),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    /// Asks anything, in the newest version that both sides know, once.
    pub async fn call(&self, broker: Broker, request: Request) -> Result<Response, Error> {
        let link = self.link(broker).await?;
        let version = link.version(request.api())?;
        link.call(version, &request).await
    }

    /// Asks anything in the version of the caller's choice, once.
    pub async fn call_version(
        &self,
        broker: Broker,
        version: i16,
        request: Request,
    ) -> Result<Response, Error> {
        self.link(broker).await?.call(version, &request).await
    }

    /// The node ids of the brokers with their addresses.
    #[must_use]
    pub fn brokers(&self) -> BTreeMap<i32, (String, u16)> {
        self.inner.cluster.lock().brokers.clone()
    }

    /// The broker that is asked under this name, for a request to each of several.
    #[must_use]
    pub fn broker_ids(&self) -> Vec<i32> {
        self.inner.cluster.lock().brokers.keys().copied().collect()
    }

    /// Tries again while an error may mend, within the deadline.
    pub(crate) async fn retrying<T, F>(&self, mut once: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut retry = self.retry();
        loop {
            match once().await {
                Ok(done) => return Ok(done),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    /// The topic's id, when it is known and the cluster has ids (Kafka 2.8, KIP-516).
    pub(crate) fn topic_id(&self, topic: &str) -> Option<Uuid> {
        self.inner.cluster.lock().topic_id(topic)
    }

    pub(crate) fn retry(&self) -> Retry {
        Retry::new(&self.inner.runtime, &self.inner.options)
    }

    async fn fetch_metadata(&self, topics: Option<&[&str]>) -> Result<MetadataResponse, Error> {
        let topic = |name: &&str| MetadataRequestTopic {
            name: Some((*name).into()),
            ..MetadataRequestTopic::default()
        };
        let link = self.any_link().await?;
        let version = link.version(ApiKey::Metadata)?;
        let mut topics = topics.map(|names| names.iter().map(topic).collect());
        if version == 0 {
            // There is no null yet; an empty list means all.
            topics.get_or_insert_default();
        }
        let request = MetadataRequest {
            topics,
            // Before version 4 nobody was asked.
            allow_auto_topic_creation: version < 4 || self.inner.options.allow_auto_topic_creation,
            ..MetadataRequest::default()
        };
        let response = link.call(version, &request.into()).await?;
        let Response::Metadata(metadata) = response else {
            return Err(other_response(&link, ApiKey::Metadata));
        };
        Error::check(ApiKey::Metadata, link.address(), metadata.error_code, None)?;
        self.inner.cluster.lock().update(&metadata);
        Ok(metadata)
    }

    pub(crate) async fn leaders_of(&self, topic: &str) -> Result<Vec<PartitionLeader>, Error> {
        if let Some(known) = self.inner.cluster.lock().topic(topic) {
            return Ok(known.to_vec());
        }
        let metadata = self.fetch_metadata(Some(&[topic])).await?;
        if let Some(known) = self.inner.cluster.lock().topic(topic) {
            return Ok(known.to_vec());
        }
        let mut found = metadata.topics.iter();
        let found = found.find(|t| t.name.as_deref() == Some(topic));
        let code = found.map_or(ErrorCode::UnknownTopicOrPartition.code(), |t| t.error_code);
        Err(Error::refused(
            ApiKey::Metadata,
            format!("topic {topic}"),
            code,
            None,
        ))
    }

    /// How many partitions a topic has.
    pub(crate) async fn partition_count(&self, topic: &str) -> Result<usize, Error> {
        let known = self.inner.cluster.lock().topic(topic).map(<[_]>::len);
        match known {
            Some(count) => Ok(count),
            None => Ok(self.partitions(topic).await?.len()),
        }
    }

    /// The leader of a partition, from metadata that may be asked for anew.
    pub(crate) async fn leader(&self, topic: &str, partition: i32) -> Result<Broker, Error> {
        let partitions = self.leaders_of(topic).await?;
        let Some(found) = partitions.iter().find(|p| p.partition == partition) else {
            let last = partitions.last().map_or(-1, |p| p.partition);
            let topic = topic.to_owned();
            return Err(Error::NoSuchPartition {
                topic,
                partition,
                last,
            });
        };
        if found.leader < 0 {
            self.forget(topic);
            let subject = format!("{topic}-{partition}");
            let code = ErrorCode::LeaderNotAvailable.code();
            return Err(Error::refused(ApiKey::Metadata, subject, code, None));
        }
        Ok(Broker::Id(found.leader))
    }

    /// Has the topic's leaders asked for anew before they are used again.
    pub(crate) fn forget(&self, topic: &str) {
        self.inner.cluster.lock().forget(topic);
    }

    /// An open connection to the broker.
    pub(crate) async fn link(&self, broker: Broker) -> Result<Arc<Link>, Error> {
        match broker {
            Broker::Any => self.any_link().await,
            Broker::Id(id) => self.link_to(id).await,
            Broker::Controller => {
                let controller = self.inner.cluster.lock().controller;
                match self.address_of(controller) {
                    Some(_) => self.link_to(controller).await,
                    None => self.any_link().await,
                }
            }
        }
    }

    fn address_of(&self, id: i32) -> Option<(String, u16)> {
        self.inner.cluster.lock().brokers.get(&id).cloned()
    }

    fn open_link(&self, id: i32) -> Option<Arc<Link>> {
        let mut links = self.inner.links.lock();
        links.retain(|_, link| link.is_open());
        links.get(&id).cloned()
    }

    fn some_open_link(&self) -> Option<Arc<Link>> {
        let links = self.inner.links.lock();
        links.values().find(|link| link.is_open()).cloned()
    }

    async fn link_to(&self, id: i32) -> Result<Arc<Link>, Error> {
        if let Some(link) = self.open_link(id) {
            return Ok(link);
        }
        if self.address_of(id).is_none() {
            self.fetch_metadata(Some(&[])).await?;
        }
        let Some((host, port)) = self.address_of(id) else {
            let code = ErrorCode::BrokerNotAvailable.code();
            let subject = format!("broker {id}");
            return Err(Error::refused(ApiKey::Metadata, subject, code, None));
        };
        self.open(id, &host, port).await
    }

    async fn open(&self, id: i32, host: &str, port: u16) -> Result<Arc<Link>, Error> {
        let Inner {
            runtime, options, ..
        } = &*self.inner;
        let link = Arc::new(Link::open(runtime, options, host, port).await?);
        self.inner.links.lock().insert(id, Arc::clone(&link));
        Ok(link)
    }

    /// A connection that is open already, else one to a known broker, else to a bootstrap address.
    async fn any_link(&self) -> Result<Arc<Link>, Error> {
        if let Some(link) = self.some_open_link() {
            return Ok(link);
        }
        let known = self.brokers().into_iter();
        let known = known.map(|(id, (host, port))| (id, host, port));
        let first = self.inner.bootstrap.iter();
        let first = first.map(|(host, port)| (BOOTSTRAP, host.clone(), *port));
        let mut tried = Vec::new();
        for (id, host, port) in known.chain(first) {
            match self.open(id, &host, port).await {
                Ok(link) => return Ok(link),
                Err(Error::Connect { address, source }) => {
                    tried.push(format!("{address} ({source})"));
                }
                Err(error) => tried.push(format!("{host}:{port} ({error})")),
            }
        }
        let tried = tried.join(", ");
        Err(Error::NoBroker { tried })
    }
}

/// The broker answered with a message of another API: a mistake that the codec rules out, but
/// that the types allow.
pub(crate) fn other_response(link: &Link, api: ApiKey) -> Error {
    Error::bad_response(link.address(), api, "it belongs to another API")
}

fn parse_address(address: &str) -> Result<(String, u16), Error> {
    let parsed = address.trim().rsplit_once(':').and_then(|(host, port)| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then_some((host.to_owned(), port.parse().ok()?))
    });
    parsed.ok_or_else(|| Error::Address {
        address: address.to_owned(),
    })
}
