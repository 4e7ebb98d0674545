//! What a handler gets, and the form of its answer.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ottla_metadata::{BrokerImage, Image};
use ottla_model::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TopicId};
use ottla_net::Peer;
use ottla_wire::Text;

use crate::Broker;
use crate::quotas::Charge;
use crate::telemetry::Facts;

/// One request's surroundings.
#[derive(Clone)]
pub(crate) struct Ctx {
    pub(crate) broker: Arc<Broker>,
    pub(crate) peer: Arc<Peer>,
    /// The version of the request, which is also that of the answer.
    pub(crate) version: i16,
    pub(crate) client_id: Text,
    /// What the request is charged for; none while nobody has a quota.
    pub(crate) charge: Option<Arc<Charge>>,
}

/// What a handler gives back from its ordered stage.
///
/// Requests of one connection enter their handlers one after the other, in order. A handler that
/// has to wait does what needs the order first (append to the log, put a message into a mailbox)
/// and returns [`Answer::Later`] with the rest.
pub(crate) enum Answer<R> {
    /// The answer is there.
    Now(R),
    /// The awaiting stage: the connection goes on reading meanwhile.
    Later(Pin<Box<dyn Future<Output = R> + Send>>),
    /// The client wants no answer (`acks=0`). The work that remains is waited for, so that its
    /// memory stays accounted for; when it fails, the connection is closed for the reason given.
    Silent(Pin<Box<dyn Future<Output = Result<(), String>> + Send>>),
    /// The only way to tell a client that wants no answer that something is wrong.
    Close(String),
}

impl<R> Answer<R> {
    /// Boxes the awaiting stage.
    pub(crate) fn later(future: impl Future<Output = R> + Send + 'static) -> Self {
        Answer::Later(Box::pin(future))
    }
}

/// A topic as a request names it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Topic<'a> {
    Name(&'a str),
    Id(TopicId),
}

/// Whether an error says that another broker leads.
pub(crate) fn is_about_leader(code: i16) -> bool {
    code == ErrorCode::NotLeaderOrFollower.code() || code == ErrorCode::FencedLeaderEpoch.code()
}

/// A broker as the clients of one listener reach it.
#[derive(Debug, Clone)]
pub(crate) struct BrokerAddress {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) rack: Option<String>,
    pub(crate) fenced: bool,
}

impl Ctx {
    /// What is known of the client from its connection.
    pub(crate) fn client_facts(&self) -> Facts {
        let software = self.peer.software();
        Facts {
            client_id: self.client_id.to_string(),
            software: software.map(|s| (s.name.clone(), s.version.clone())),
            address: self.peer.address(),
        }
    }

    /// The brokers that have an endpoint on the listener of this request.
    pub(crate) fn brokers(&self, image: &Image, fenced_too: bool) -> Vec<BrokerAddress> {
        let wanted = image.brokers().filter(|b| fenced_too || !b.fenced);
        wanted
            .filter_map(|b| address(b, self.peer.listener()))
            .collect()
    }

    /// Who leads a partition, for a client that asked the wrong broker (KIP-951).
    pub(crate) fn leader_of(
        &self,
        image: &Image,
        topic: Topic<'_>,
        partition: PartitionIndex,
    ) -> Option<(BrokerId, LeaderEpoch)> {
        let topic = match topic {
            Topic::Name(name) => image.topic(name),
            Topic::Id(id) => image.topic_by_id(id),
        };
        let partition = topic?.partition(partition)?;
        Some((partition.leader?, partition.leader_epoch))
    }

    /// Where this listener's clients reach these brokers.
    pub(crate) fn endpoints_of(
        &self,
        image: &Image,
        ids: &BTreeSet<BrokerId>,
    ) -> Vec<BrokerAddress> {
        let known = ids.iter().filter_map(|id| image.broker(*id));
        known
            .filter_map(|b| address(b, self.peer.listener()))
            .collect()
    }

    /// The live brokers that have an endpoint on the listener of this request.
    pub(crate) fn live_brokers(&self, image: &Image) -> Vec<BrokerAddress> {
        self.brokers(image, false)
    }
}

fn address(broker: &BrokerImage, listener: &str) -> Option<BrokerAddress> {
    let endpoint = broker.endpoints.get(listener)?;
    Some(BrokerAddress {
        id: broker.id.0,
        host: endpoint.host.clone(),
        port: i32::from(endpoint.port),
        rack: broker.rack.clone(),
        fenced: broker.fenced,
    })
}
