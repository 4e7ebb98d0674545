//! Restarts servers that are not as they shall be: followers first, the leader last.

use std::collections::BTreeSet;

use super::Round;
use crate::api::Reason;
use crate::error::Error;
use crate::render::names;
use crate::roll::{Member, Step, next, quorum_bears};

/// Takes the next step of a roll.
pub(super) async fn step(round: &mut Round<'_>) -> Result<(), Error> {
    let nodes = round.nodes.clone();
    let set = names::keeper_stateful_set(round.ensemble);
    let revision = round.observed.revision(&set).map(str::to_owned);
    let members: Vec<Member<'_>> = nodes
        .iter()
        .map(|node| {
            let pod = round.observed.pods.get(&node.pod);
            let differs = pod.is_some_and(|pod| revision.is_some() && pod.revision != revision);
            Member {
                node,
                pod,
                // A server that never took part has a place in the ensemble all the same.
                is_known: true,
                outdated: differs.then_some("its template has changed"),
            }
        })
        .collect();
    let outdated = members.iter().filter(|member| member.outdated.is_some());
    let left = outdated.count();
    let leader = round.servers.leader();
    match next(
        &members,
        leader,
        round.context.now(),
        &round.ensemble.spec.rolling,
    ) {
        Step::Done => Ok(()),
        Step::WaitFor { pod, stuck } => {
            let idle = Reason::PodsNotReady;
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
        Step::Restart { pod, id } => restart(round, &pod, id, left).await,
    }
}

async fn restart(round: &mut Round<'_>, pod: &str, id: i32, left: usize) -> Result<(), Error> {
    let known = round.servers.voters.clone();
    let voters: BTreeSet<i32> =
        known.unwrap_or_else(|| round.nodes.iter().map(|node| node.id).collect());
    if !quorum_bears(&voters, id, round.servers.in_step_without(id)) {
        let why = "without it there would be no majority of servers that are in step";
        let before = round.ensemble.status.as_ref();
        let before = before.map_or(&[][..], |before| &before.conditions);
        let timeout = round.ensemble.spec.rolling.timeout_seconds;
        round.postpone(pod, why, before, timeout).await;
        return Ok(());
    }
    let note = format!("restarting pod {pod}: its template has changed ({left} to go)");
    round.announce(Reason::Rolling, note).await;
    round.delete_pod(pod).await
}
