//! What a person reads of an ensemble.

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::Round;
use crate::api::{KeeperEnsemble, KeeperEnsembleStatus, Reason, ServerStatus, condition};
use crate::conditions::Conditions;
use crate::error::{Asked, Error};
use crate::observed;
use crate::render::keeper::CLIENT_PORT;
use crate::render::{Node, names};

/// Writes the status, if it is another one.
pub(super) async fn write(round: &Round<'_>, before: &KeeperEnsembleStatus) -> Result<(), Error> {
    let status = status(round, before);
    let is_ready = is_ready(&status);
    let name = round.ensemble.name_any();
    let metrics = &round.context.metrics;
    metrics.set_resource_ready("KeeperEnsemble", &round.namespace, &name, Some(is_ready));
    if is_ready && !self::is_ready(before) {
        round
            .say(Reason::AsDeclared, "all is as the resource says")
            .await;
    }
    patch(round, before, &status).await
}

fn is_ready(status: &KeeperEnsembleStatus) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|known| known.type_ == condition::READY && known.status == "True")
}

fn status(round: &Round<'_>, before: &KeeperEnsembleStatus) -> KeeperEnsembleStatus {
    let ensemble = round.ensemble;
    let generation = ensemble.metadata.generation;
    let mut conditions = Conditions::of(&before.conditions, generation, round.context.now());
    let fine = |text: &str| (Reason::AsDeclared, text.to_owned());
    let doing = round.doing.first().cloned();
    let is_doing = doing.is_some();
    let (reason, what) = doing.unwrap_or_else(|| fine("nothing is under way"));
    conditions.set(condition::PROGRESSING, is_doing, reason, what);
    let wrong = round.wrong.first().cloned();
    let is_wrong = wrong.is_some();
    let (reason, what) = wrong.unwrap_or_else(|| fine("nothing is wrong"));
    conditions.set(condition::DEGRADED, is_wrong, reason, what);
    let (ready, total) = (round.observed.ready(), round.nodes.len());
    let leader = round.servers.leader();
    let leads = match leader {
        Some(id) => format!("server {id} leads"),
        None => "no server leads".to_owned(),
    };
    let counted = format!("{ready} of {total} servers are ready, {leads}");
    let serves = ready == total && total > 0 && leader.is_some();
    let why = round.wrong.first().or(round.doing.first());
    match why {
        _ if serves && !is_wrong => {
            conditions.set(condition::READY, true, Reason::AsDeclared, counted);
        }
        Some((reason, what)) => {
            let text = format!("{counted}; {what}");
            conditions.set(condition::READY, false, *reason, text);
        }
        None => conditions.set(condition::READY, false, Reason::PodsNotReady, counted),
    }
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

/// Says why nothing is done.
pub(super) async fn refuse(
    round: &Round<'_>,
    before: &KeeperEnsembleStatus,
    reason: Reason,
    message: String,
) -> Result<(), Error> {
    let generation = round.ensemble.metadata.generation;
    let mut conditions = Conditions::of(&before.conditions, generation, round.context.now());
    conditions.set(condition::PROGRESSING, false, reason, message.clone());
    // An ensemble that is left alone is as ready as it was.
    if reason != Reason::Paused {
        conditions.set(condition::DEGRADED, true, reason, message.clone());
        conditions.set(condition::READY, false, reason, message);
    }
    let status = KeeperEnsembleStatus {
        conditions: conditions.into_vec(),
        observed_generation: generation,
        ..before.clone()
    };
    patch(round, before, &status).await
}

async fn patch(
    round: &Round<'_>,
    before: &KeeperEnsembleStatus,
    status: &KeeperEnsembleStatus,
) -> Result<(), Error> {
    if before == status {
        return Ok(());
    }
    let name = round.ensemble.name_any();
    let mut value = serde_json::to_value(status).map_err(|source| Error::Json {
        what: format!("the status of KeeperEnsemble {name}"),
        source,
    })?;
    if let Some(fields) = value.as_object_mut() {
        // What is not set any more has to be named to go away.
        for optional in ["leader", "servers"] {
            fields.entry(optional).or_insert(Value::Null);
        }
    }
    let api: Api<KeeperEnsemble> = Api::namespaced(round.context.client.clone(), &round.namespace);
    let patch = json!({ "status": value });
    let patched = api
        .patch_status(&name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    match patched {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        patched => patched
            .map(|_| ())
            .when(|| format!("writing the status of KeeperEnsemble {name}")),
    }
}
