//! Brokers and controllers whose volume is gone are built again from the others.

use super::Round;
use crate::error::Error;
use crate::lost::{self, Overdue};
use crate::render::names;
use crate::roll::quorum_bears;

/// Gives up what has been away for longer than the resource says, if others have it.
pub(super) async fn rebuild(round: &mut Round<'_>) -> Result<(), Error> {
    let after = round.cluster.spec.rolling.rebuild_after_seconds;
    let nodes = round.nodes.clone();
    for lost in lost::overdue(round, &nodes, after).await? {
        give_up(round, &lost).await?;
    }
    Ok(())
}

async fn give_up(round: &mut Round<'_>, lost: &Overdue) -> Result<(), Error> {
    let node = &lost.node;
    let Some(view) = round.view.clone() else {
        let why = "the cluster does not answer, so nothing is given up";
        lost::keep(round, lost, why).await;
        return Ok(());
    };
    if let Some(partition) = view.only_copy_on(node.id).filter(|_| node.broker) {
        let why = format!(
            "nobody else has all of {partition}, so its volume is kept: bring the node back, or delete \
             the claim {} by hand if its records may be lost",
            names::claim(&node.pod)
        );
        lost::keep(round, lost, &why).await;
        return Ok(());
    }
    let voters = view.voters();
    if node.controller && voters.contains(&node.id) {
        let others = view.voters_caught_up_without(node.id);
        if voters.len() < 2 || !quorum_bears(&voters, node.id, others) {
            let why = format!(
                "only {others} of the {} controllers are in step without it, which is no majority, so \
                 its volume is kept",
                voters.len()
            );
            lost::keep(round, lost, &why).await;
            return Ok(());
        }
        // With another volume it is another voter.
        view.remove_voter(node.id).await?;
    }
    lost::give_up(round, lost).await
}
