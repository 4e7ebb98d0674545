//! Keeps the voters of the metadata quorum as the resource says, one at a time: another one comes only
//! while all that vote are in step, and one goes only while most of the others are.

use std::collections::BTreeSet;

use super::Round;
use crate::api::Reason;
use crate::error::Error;
use crate::render::{self, CONTROLLER_PORT, Sizes, names};

/// Adds a voter that is missing, or takes out one that shall not vote. Whether pods may be restarted
/// now: one that votes and shall not must not lose the role before the vote.
pub(super) async fn mend(round: &mut Round<'_>) -> Result<bool, Error> {
    let Some(view) = round.view.clone() else {
        return Ok(true);
    };
    let voters = view.voters();
    if voters.is_empty() {
        return Ok(true);
    }
    // Without those that are to go, which have their pods still.
    let staying = render::kafka::nodes(round.cluster, &Sizes::wanted(round.cluster));
    let controllers = || staying.iter().filter(|node| node.controller);
    let wanted: BTreeSet<i32> = controllers().map(|node| node.id).collect();
    let missing = controllers().find(|node| {
        !voters.contains(&node.id)
            // It has to be told that it is a controller before it can vote.
            && round.observed.pods.get(&node.pod).is_some_and(|pod| {
                pod.ready && pod.config.as_deref().is_some_and(|config| config.contains("controller"))
            })
    });
    let in_step = view.voters_caught_up();
    if let Some(node) = missing {
        if in_step < voters.len() {
            let text = format!(
                "node {} is to vote in the quorum, when all of its {} voters are in step ({in_step} are)",
                node.id,
                voters.len()
            );
            round.doing(Reason::ScalingOut, text);
            return Ok(true);
        }
        let domain = &round.context.settings.cluster_domain;
        let host = names::pod_host(round.cluster, &node.pod, domain);
        let port = u16::try_from(CONTROLLER_PORT).unwrap_or_default();
        if view.add_voter(node.id, &host, port).await? {
            round
                .say(
                    Reason::Changed,
                    format!("node {} votes in the quorum now", node.id),
                )
                .await;
        }
        round.doing(
            Reason::ScalingOut,
            format!("node {} comes to vote in the quorum", node.id),
        );
        return Ok(true);
    }
    let surplus = voters.difference(&wanted).copied().next();
    let others_vote = wanted.iter().any(|id| voters.contains(id));
    if let Some(id) = surplus.filter(|_| others_vote) {
        let (left, in_step) = (voters.len() - 1, view.voters_caught_up_without(id));
        if !is_majority(in_step, left) {
            let text = format!(
                "node {id} is to leave the quorum, but only {in_step} of the {left} other voters are in \
                 step, which is no majority"
            );
            round.wrong(Reason::ScalingIn, text);
            return Ok(false);
        }
        view.remove_voter(id).await?;
        round
            .say(
                Reason::Changed,
                format!("node {id} does not vote in the quorum any more"),
            )
            .await;
        round.doing(Reason::ScalingIn, format!("node {id} leaves the quorum"));
        return Ok(false);
    }
    Ok(true)
}

fn is_majority(some: usize, of: usize) -> bool {
    some > of / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voter_goes_only_while_most_of_the_others_are_in_step() {
        // Of three voters one goes: both others have to be there.
        assert!(is_majority(2, 2));
        assert!(!is_majority(1, 2));
        // Of five: three of four.
        assert!(is_majority(3, 4) && !is_majority(2, 4));
        assert!(!is_majority(0, 0));
    }
}
