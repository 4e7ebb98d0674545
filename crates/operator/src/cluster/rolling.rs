//! Restarts pods that are not as they shall be, one by one.

use std::collections::BTreeSet;

use super::{Round, balance, status};
use crate::api::Reason;
use crate::error::Error;
use crate::observed::PodNow;
use crate::render::{self, Node, Sizes, names, pod_config};
use crate::roll::{Member, Step, next, quorum_bears};

/// Takes the next step of a roll.
pub(super) async fn step(round: &mut Round<'_>) -> Result<(), Error> {
    let staying = render::kafka::nodes(round.cluster, &Sizes::wanted(round.cluster));
    // Those that are to go are not restarted before.
    let nodes: Vec<Node> = round
        .nodes
        .iter()
        .filter(|node| staying.iter().any(|staying| staying.pod == node.pod))
        .cloned()
        .collect();
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
    let step = next(
        &members,
        leader,
        round.context.now(),
        &round.cluster.spec.rolling,
    );
    match step {
        Step::Done => Ok(()),
        Step::WaitFor { pod, stuck } => {
            let status = round.cluster.status.as_ref();
            let idle = match status.is_some_and(|status| status.cluster_id.is_some()) {
                true => Reason::PodsNotReady,
                false => Reason::Creating,
            };
            round.wait_for(&pod, stuck, left, idle).await;
            Ok(())
        }
        Step::Settle(pod) => {
            round.settle(&pod, left);
            Ok(())
        }
        Step::Replace(pod) => {
            let note = format!("pod {pod} does not run as it is, and is made anew");
            round.announce(Reason::Rolling, note).await;
            round.delete_pod(&pod).await
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
        let before = round.cluster.status.as_ref();
        let before = before.map_or(&[][..], |before| &before.conditions);
        let timeout = round.cluster.spec.rolling.timeout_seconds;
        round.postpone(pod, &reason, before, timeout).await;
        return Ok(());
    }
    if is_broker && running.len() > 1 {
        let layout = balance::layout(&view, &round.owed);
        let led = view.led_by(id);
        if !led.is_empty() {
            // One that a person has drained gets nothing back.
            if !balance::drained(&layout, &round.owed).contains(&id) {
                status::owe_leaders(round, id).await?;
            }
            let plan = ottla_placement::drain(&layout, id);
            for refused in view.lead_as(&plan).await? {
                tracing::warn!(pod, "a leader stays: {refused}");
            }
            view.elect(&led).await?;
        }
    }
    let note = format!("restarting pod {pod}: {why} ({left} to go)");
    round.announce(Reason::Rolling, note).await;
    round.delete_pod(pod).await
}
