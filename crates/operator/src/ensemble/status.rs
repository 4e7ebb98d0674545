//! What a person reads of an ensemble.

use kube::ResourceExt;

use super::Round;
use crate::api::{KeeperEnsembleStatus, ServerStatus};
use crate::conditions::Conditions;
use crate::error::Error;
use crate::observed;
use crate::render::keeper::CLIENT_PORT;
use crate::render::{Node, names};
use crate::status::conclude;

/// Writes the status, if it is another one.
pub(super) async fn write(round: &Round<'_>) -> Result<(), Error> {
    conclude(round, round.ensemble, status(round)).await
}

fn status(round: &Round<'_>) -> KeeperEnsembleStatus {
    let ensemble = round.ensemble;
    let generation = ensemble.metadata.generation;
    let before = ensemble.status.as_ref();
    let before = before.map_or(&[][..], |before| &before.conditions);
    let mut conditions = Conditions::of(before, generation, round.context.now());
    let (ready, total) = (round.observed.ready(), round.nodes.len());
    let leader = round.servers.leader();
    let leads = match leader {
        Some(id) => format!("server {id} leads"),
        None => "no server leads".to_owned(),
    };
    let counted = format!("{ready} of {total} servers are ready, {leads}");
    let serves = ready == total && total > 0 && leader.is_some();
    conditions.sum_up(round, serves, counted);
    let set = names::keeper_stateful_set(ensemble);
    let host = names::keeper_client_service(ensemble);
    let leader = round.nodes.iter().find(|node| Some(node.id) == leader);
    KeeperEnsembleStatus {
        conditions: conditions.into_vec(),
        observed_generation: generation,
        replicas: round.observed.replicas(&set).unwrap_or(0),
        ready_replicas: i32::try_from(ready).unwrap_or(i32::MAX),
        selector: Some(observed::of_ensemble(&ensemble.name_any())),
        connect: Some(format!("{host}.{}.svc:{CLIENT_PORT}", round.namespace)),
        leader: leader.map(|node| node.pod.clone()),
        servers: round.nodes.iter().map(|node| server(round, node)).collect(),
    }
}

fn server(round: &Round<'_>, node: &Node) -> ServerStatus {
    let facts = round.observed.surroundings.pods.get(&node.pod);
    let pod = round.observed.pods.get(&node.pod);
    ServerStatus {
        id: node.id,
        pod: node.pod.clone(),
        mode: round.servers.modes.get(&node.id).cloned(),
        zone: facts.and_then(|facts| facts.zone.clone()),
        ready: pod.is_some_and(|pod| pod.ready),
    }
}
