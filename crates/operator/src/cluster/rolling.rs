//! Restarts pods that are not as they shall be, one by one.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Preconditions};

use super::Round;
use super::roll::{Member, Step, next, quorum_bears};
use crate::api::Reason;
use crate::error::{Asked, Error};
use crate::observed::PodNow;
use crate::render::{Node, names, pod_config};

/// Takes the next step of a roll.
pub(super) async fn step(round: &mut Round<'_>) -> Result<(), Error> {
    let nodes = round.nodes.clone();
    let members: Vec<Member<'_>> = nodes
        .iter()
        .map(|node| {
            let pod = round.observed.pods.get(&node.pod);
            Member {
                node,
                pod,
                is_known: is_known(round, node),
                outdated: pod.and_then(|pod| outdated(round, node, pod)),
            }
        })
        .collect();
    let left = members
        .iter()
        .filter(|member| member.outdated.is_some())
        .count();
    let leader = round.view.as_ref().and_then(|view| view.controller());
    let timeout = round.cluster.spec.rolling.timeout_seconds;
    let step = next(&members, leader, round.context.now(), timeout);
    match step {
        Step::Done => Ok(()),
        Step::WaitFor { pod, stuck } => {
            wait(round, &pod, stuck, left).await;
            Ok(())
        }
        Step::Replace(pod) => {
            let note = format!("pod {pod} does not run as it is, and is made anew");
            round.say(Reason::Rolling, note.clone()).await;
            round.doing(Reason::Rolling, note);
            delete(round, &pod).await
        }
        Step::Restart { pod, id } => {
            let why = members.iter().find(|member| member.node.id == id);
            let why = why.and_then(|member| member.outdated).unwrap_or_default();
            restart(round, &pod, id, why, left).await
        }
    }
}

/// Whether a node is registered, or has a vote; nobody knows while the cluster does not answer.
fn is_known(round: &Round<'_>, node: &Node) -> bool {
    let Some(view) = &round.view else { return true };
    view.brokers.contains_key(&node.id) || view.voters().contains(&node.id)
}

/// Why a pod has to be made anew, if it has to.
fn outdated(round: &Round<'_>, node: &Node, pod: &PodNow) -> Option<&'static str> {
    let set = names::stateful_set(round.cluster, &node.pool);
    let revision = round.observed.revision(&set)?;
    if pod.revision.as_deref() != Some(revision) {
        return Some("its template has changed");
    }
    let told = pod.config.as_deref()?;
    let now = pod_config(round.cluster, node, &round.observed.surroundings).ok()?;
    // A zone that cannot be seen any more has not changed.
    (now.text() != told).then_some("its roles, zone or addresses have changed")
}

async fn wait(round: &mut Round<'_>, pod: &str, stuck: bool, left: usize) {
    let known = round.observed.pods.get(pod);
    let trouble = known.and_then(|pod| pod.trouble.clone());
    let is_new = left == 0
        && round
            .cluster
            .status
            .as_ref()
            .is_none_or(|s| s.cluster_id.is_none());
    let why = trouble
        .map(|trouble| format!(" ({trouble})"))
        .unwrap_or_default();
    let restarts = known.map_or(0, |pod| pod.restarts);
    let often = match restarts {
        0 => String::new(),
        times => format!(", its container was started {} times", times + 1),
    };
    let text = format!("pod {pod} is not ready{why}{often}");
    if stuck {
        let to_do = if left > 0 {
            format!(
                "; {left} other pods are not changed until it is: look into `kubectl logs {pod}`, and \
                 edit the resource, which makes this pod anew first"
            )
        } else {
            format!("; look into `kubectl logs {pod}` and `kubectl describe pod {pod}`")
        };
        let text = format!("{text}{to_do}");
        round.warn(Reason::RollStuck, text.clone()).await;
        round.wrong(Reason::RollStuck, text);
    } else {
        let reason = if is_new {
            Reason::Creating
        } else {
            Reason::PodsNotReady
        };
        let reason = if left > 0 { Reason::Rolling } else { reason };
        round.doing(reason, text);
    }
}

async fn restart(
    round: &mut Round<'_>,
    pod: &str,
    id: i32,
    why: &str,
    left: usize,
) -> Result<(), Error> {
    let Some(view) = round.view.clone() else {
        round.doing(
            Reason::Rolling,
            format!("{left} pods are to be restarted, when the cluster answers"),
        );
        return Ok(());
    };
    let is_broker = round.nodes.iter().any(|node| node.id == id && node.broker);
    let running: BTreeSet<i32> = view
        .brokers
        .keys()
        .copied()
        .filter(|id| view.runs(*id))
        .collect();
    let reason = if !quorum_bears(&view.voters(), id, view.voters_caught_up_without(id)) {
        Some("without it the quorum of controllers would have no majority".to_owned())
    } else if is_broker {
        view.reason_not_to_stop(id).await?
    } else {
        None
    };
    if let Some(reason) = reason {
        let text = format!("pod {pod} is to be restarted, but not now: {reason}");
        let busy = round.cluster.status.as_ref();
        let waited = busy.and_then(|status| {
            let conditions = &status.conditions;
            crate::conditions::seconds_since(conditions, "Progressing", round.context.now())
        });
        if waited.is_some_and(|waited| waited > round.cluster.spec.rolling.timeout_seconds) {
            round.warn(Reason::WaitingForReplicas, text.clone()).await;
            round.wrong(Reason::WaitingForReplicas, text.clone());
        }
        round.doing(Reason::WaitingForReplicas, text);
        return Ok(());
    }
    if is_broker && running.len() > 1 {
        let layout = view.layout(&BTreeSet::new());
        let led = view.led_by(id);
        if !led.is_empty() {
            let plan = ottla_placement::drain(&layout, id);
            for refused in view.lead_as(&plan).await? {
                tracing::warn!(pod, "a leader stays: {refused}");
            }
            view.elect(&led).await?;
        }
    }
    let note = format!("restarting pod {pod}: {why} ({left} to go)");
    round.say(Reason::Rolling, note.clone()).await;
    round.doing(Reason::Rolling, note);
    delete(round, pod).await
}

/// Deletes this very pod; its stateful set makes it anew.
pub(super) async fn delete(round: &Round<'_>, pod: &str) -> Result<(), Error> {
    let uid = round.observed.pods.get(pod).map(|pod| pod.uid.clone());
    let pods: Api<Pod> = Api::namespaced(round.context.client.clone(), &round.namespace);
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid,
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match pods.delete(pod, &parameters).await {
        // It is gone, or is another one already.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        deleted => deleted.map(|_| ()).when(|| format!("deleting pod {pod}")),
    }
}
