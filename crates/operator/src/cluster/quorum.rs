//! Keeps the voters of the metadata quorum as the resource says: one at a time, and only while all
//! that vote are there.

use std::collections::BTreeSet;

use super::Round;
use crate::api::Reason;
use crate::error::Error;
use crate::render::{CONTROLLER_PORT, names};

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
    let wanted: BTreeSet<i32> = round
        .nodes
        .iter()
        .filter(|node| node.controller)
        .map(|node| node.id)
        .collect();
    let missing = round.nodes.iter().find(|node| {
        node.controller
            && !voters.contains(&node.id)
            // It has to be told that it is a controller before it can vote.
            && round.observed.pods.get(&node.pod).is_some_and(|pod| {
                pod.ready && pod.config.as_deref().is_some_and(|config| config.contains("controller"))
            })
    });
    if let Some(node) = missing.cloned() {
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
