//! How nodes find their cluster, or found one, without anybody formatting anything.
//!
//! Each node asks the configured places who is there. If anybody belongs to a cluster, that is the
//! one. If nobody does, and all the expected controllers are there, the one with the lowest id
//! founds a cluster with all of them as voters. Names are resolved anew each time, and a name may
//! stand for several controllers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ottla_config::{QuorumConfig, QuorumServer};
use ottla_model::{BrokerId, ClusterId, Uuid};
use ottla_raft::{Member, NodeId};
use ottla_runtime::{Runtime, Shutdown};
use ottla_wire::messages::{MeetControllerRequest, MeetControllerResponse};
use ottla_wire::{Request, Response, Text};

use crate::door::Host;
use crate::error::Error;
use crate::identity::random_uuid;
use crate::members::{self, node_id};
use crate::peers::{Peers, Place};

/// How long looking up a name may take.
const RESOLVE_LIMIT: Duration = Duration::from_secs(2);
/// How often those who wait for others say so.
const TELL_EVERY_MS: i64 = 10_000;
/// All expected controllers have to be met in so many rounds, one after the other, before a cluster
/// is founded: a node that shows up late is seen then.
const ROUNDS_BEFORE_FOUNDING: u32 = 2;

/// What the search has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is a cluster.
    Cluster(ClusterId),
    /// This node founds one, with these voters.
    Founder(ClusterId, BTreeMap<NodeId, Member>),
}

/// One who was met.
#[derive(Debug, Clone)]
struct Met {
    place: Place,
    cluster_id: Option<ClusterId>,
    directory_id: Uuid,
    is_founded: bool,
    member: Member,
}

/// Looks for the cluster.
pub(crate) struct Search<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) host: &'a Arc<Host>,
    pub(crate) peers: &'a Peers,
    pub(crate) quorum: &'a QuorumConfig,
    /// `cluster.id`, as the volume has it or the configuration wants it.
    pub(crate) cluster_id: Option<ClusterId>,
}

impl Search<'_> {
    /// Asks around until there is a cluster, or the node is told to stop.
    pub(crate) async fn run(&self, shutdown: &Shutdown) -> Result<Found, Error> {
        let (mut complete, mut told_ms) = (0, None);
        loop {
            if shutdown.is_announced() {
                return Err(Error::Stopped);
            }
            // The leader of a quorum that this node belongs to may have found it meanwhile.
            if let Some(joined) = self.host.joined.get()
                && joined.state.get().initialized
            {
                return Ok(Found::Cluster(joined.identity.cluster_id.clone()));
            }
            let (met, silent) = self.ask_all().await?;
            if let Some(cluster_id) = founded(&met)? {
                return Ok(Found::Cluster(cluster_id));
            }
            complete = match self.all_are_there(&met)? {
                true => complete + 1,
                false => 0,
            };
            if complete >= ROUNDS_BEFORE_FOUNDING
                && let Some(found) = self.found(&met)?
            {
                return Ok(found);
            }
            let now_ms = self.runtime.clock.monotonic_ms();
            if told_ms.is_none_or(|at| now_ms - at >= TELL_EVERY_MS) {
                told_ms = Some(now_ms);
                self.tell(&met, &silent);
            }
            let pause = Duration::from_millis(50 + self.runtime.random.below(100));
            tokio::select! {
                biased;
                () = shutdown.announced() => return Err(Error::Stopped),
                () = self.runtime.clock.sleep(pause) => {}
            }
        }
    }

    /// Everybody who answers, by id, and the places where nobody does.
    async fn ask_all(&self) -> Result<(BTreeMap<NodeId, Met>, Vec<String>), Error> {
        let places = self.quorum.places();
        let places = join_all(places.iter().map(|place| self.resolve(place))).await;
        let places: Vec<Place> = places.into_iter().flatten().collect();
        let asking = places.iter().map(|place| self.ask(place));
        let (mut met, mut silent) = (BTreeMap::new(), Vec::new());
        if let (true, Some(member)) = (self.host.is_controller, self.host.member.get()) {
            let own = Met {
                place: Place {
                    host: "this node".to_owned(),
                    port: 0,
                },
                cluster_id: self.cluster_id.clone(),
                directory_id: self.host.directory_id,
                is_founded: false,
                member: member.clone(),
            };
            met.insert(node_id(self.host.node_id), own);
        }
        for (place, answer) in places.iter().zip(join_all(asking).await) {
            match answer? {
                Ok((id, node)) if id != node_id(self.host.node_id) => {
                    met.insert(id, node);
                }
                // This node itself, through its own port.
                Ok(_) => {}
                Err(reason) => silent.push(format!("{place} ({reason})")),
            }
        }
        Ok((met, silent))
    }

    /// The addresses behind a name; the name itself where it cannot be resolved now.
    async fn resolve(&self, server: &QuorumServer) -> Vec<Place> {
        let place = |host: String| Place {
            host,
            port: server.port,
        };
        match self
            .runtime
            .network
            .resolve(&server.host, RESOLVE_LIMIT)
            .await
        {
            Ok(addresses) if addresses.len() > 1 => {
                addresses.iter().map(|ip| place(ip.to_string())).collect()
            }
            _ => vec![place(server.host.clone())],
        }
    }

    async fn ask(&self, place: &Place) -> Result<Result<(NodeId, Met), String>, Error> {
        let request = Request::from(MeetControllerRequest {
            cluster_id: self.cluster_id.as_ref().map(|id| Text::from(id.0.as_str())),
            node_id: self.host.node_id.0,
            directory_id: self.host.directory_id,
            is_controller: self.host.is_controller,
            ..MeetControllerRequest::default()
        });
        match self.peers.call_once(place, &request).await {
            Ok(Response::MeetController(answer)) if answer.error_code != 0 => Err(Error::Refused {
                place: place.to_string(),
                reason: answer.error_message.unwrap_or_default().to_string(),
            }),
            Ok(Response::MeetController(answer)) => Ok(Ok(met(place, &answer))),
            Ok(_) => Ok(Err("another answer".to_owned())),
            Err(failure) => Ok(Err(failure.reason().to_owned())),
        }
    }

    /// Whether all the controllers that found the cluster are there.
    fn all_are_there(&self, met: &BTreeMap<NodeId, Met>) -> Result<bool, Error> {
        if !self.quorum.voters.is_empty() {
            let named =
                |voter: &ottla_config::QuorumVoter| met.contains_key(&node_id(BrokerId(voter.id)));
            return Ok(self.quorum.voters.iter().all(named));
        }
        if met.len() > self.quorum.expect {
            return Err(Error::TooMany {
                met: met.len(),
                expected: self.quorum.expect,
                list: list(met),
            });
        }
        Ok(met.len() == self.quorum.expect)
    }

    /// The cluster to be founded, if it is this node that founds it.
    fn found(&self, met: &BTreeMap<NodeId, Met>) -> Result<Option<Found>, Error> {
        let is_voter = |id: &NodeId| match self.quorum.voters.as_slice() {
            [] => true,
            voters => voters.iter().any(|v| node_id(BrokerId(v.id)) == *id),
        };
        let voters: BTreeMap<NodeId, Member> = met
            .iter()
            .filter(|(id, _)| is_voter(id))
            .map(|(id, met)| (*id, met.member.clone()))
            .collect();
        let own = node_id(self.host.node_id);
        if voters.keys().next() != Some(&own) {
            return Ok(None);
        }
        // Somebody may have been told a name already, or have one in its configuration.
        let named = one_cluster(met.values().filter(|met| met.cluster_id.is_some()))?;
        let cluster_id = named.unwrap_or_else(|| ClusterId(random_uuid(self.runtime).to_string()));
        Ok(Some(Found::Founder(cluster_id, voters)))
    }

    fn tell(&self, met: &BTreeMap<NodeId, Met>, silent: &[String]) {
        tracing::info!(
            met = %list(met),
            expected = self.quorum.expect,
            silent = %silent.join("; "),
            "waiting for the controllers of the metadata quorum"
        );
    }
}

fn met(place: &Place, answer: &MeetControllerResponse) -> (NodeId, Met) {
    let cluster_id = answer.cluster_id.as_ref();
    let met = Met {
        place: place.clone(),
        cluster_id: cluster_id.map(|id| ClusterId(id.to_string())),
        directory_id: answer.directory_id,
        is_founded: !answer.members.is_empty(),
        member: members::member(answer.directory_id, &answer.endpoints),
    };
    (node_id(BrokerId(answer.node_id)), met)
}

/// The cluster that those who were met belong to, if any of them does.
fn founded(met: &BTreeMap<NodeId, Met>) -> Result<Option<ClusterId>, Error> {
    one_cluster(met.values().filter(|met| met.is_founded))
}

fn one_cluster<'a>(met: impl Iterator<Item = &'a Met>) -> Result<Option<ClusterId>, Error> {
    let mut first: Option<(&Met, &ClusterId)> = None;
    for met in met {
        let Some(cluster_id) = &met.cluster_id else {
            continue;
        };
        match first {
            Some((other, known)) if known != cluster_id => {
                let one = |met: &Met, id: &ClusterId| format!("{} to cluster.id {id}", met.place);
                return Err(Error::SeveralClusters {
                    one: one(other, known),
                    other: one(met, cluster_id),
                });
            }
            Some(_) => {}
            None => first = Some((met, cluster_id)),
        }
    }
    Ok(first.map(|(_, id)| id.clone()))
}

fn list(met: &BTreeMap<NodeId, Met>) -> String {
    let each = met
        .iter()
        .map(|(id, met)| format!("{id} at {} (directory.id {})", met.place, met.directory_id));
    each.collect::<Vec<_>>().join(", ")
}
