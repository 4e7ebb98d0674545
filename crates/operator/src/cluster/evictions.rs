//! How many more losses a cluster bears, for the budgets of its pods.

use super::Round;
use crate::api::ControllersMode;
use crate::disruptions::{judge, quorum_bears_a_loss};
use crate::error::Error;
use crate::kafka::View;
use crate::render::{BROKER_POOL, CONTROLLER_POOL, Evictions, names};

/// Whether pods may be evicted now.
pub(super) async fn allowed(round: &Round<'_>) -> Result<Evictions, Error> {
    let (replicas, quorum) = match &round.view {
        Some(view) => (
            replicas_bear_a_loss(view).await,
            Some(quorum_bears_a_loss(
                view.voters().len(),
                view.voters_caught_up(),
            )),
        ),
        None => (None, None),
    };
    // Combined controllers are brokers: both have to bear it.
    let separate = round.cluster.spec.controllers.mode == ControllersMode::Separate;
    let brokers = match (replicas, quorum) {
        (replicas, _) if separate => replicas,
        (Some(replicas), Some(quorum)) => Some(replicas && quorum),
        _ => None,
    };
    let budget = |pool| names::stateful_set(round.cluster, pool);
    let brokers = judge(round, &budget(BROKER_POOL), brokers).await?;
    let controllers = match separate {
        true => judge(round, &budget(CONTROLLER_POOL), quorum).await?,
        false => brokers,
    };
    Ok(Evictions {
        brokers,
        controllers,
    })
}

/// Unknown where the cluster does not say how many replicas its topics need.
async fn replicas_bear_a_loss(view: &View) -> Option<bool> {
    let bears = view.replicas_bear_a_loss().await;
    bears.map_or_else(
        |error| {
            tracing::debug!("it is not known what the replicas bear: {error}");
            None
        },
        Some,
    )
}
