//! The volumes of a cluster's pools.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::Round;
use crate::api::{KafkaCluster, Storage};
use crate::error::Error;
use crate::observed::Observed;
use crate::quantity;
use crate::render::{BROKER_POOL, CONTROLLER_POOL, Sizes, names};
use crate::validate::Existing;
use crate::volumes::{self, asked};

/// The storage of a pool.
fn storage<'a>(cluster: &'a KafkaCluster, pool: &str) -> &'a Storage {
    let spec = &cluster.spec;
    let own = match pool {
        BROKER_POOL => None,
        CONTROLLER_POOL => spec.controllers.storage.as_ref(),
        pool => {
            let pool = spec.pools.iter().find(|known| known.name == pool);
            pool.and_then(|pool| pool.storage.as_ref())
        }
    };
    own.unwrap_or(&spec.storage)
}

/// The largest volume of each pool.
pub(super) fn existing(cluster: &KafkaCluster, observed: &Observed) -> Existing {
    let mut existing = Existing::default();
    let nodes = crate::render::kafka::nodes(cluster, &Sizes::wanted(cluster));
    for node in nodes {
        let claim = observed.claims.get(&names::claim(&node.pod));
        let Some(size) = claim.and_then(asked) else {
            continue;
        };
        let known = existing
            .volumes
            .entry(node.pool)
            .or_insert_with(|| size.clone());
        if quantity::bytes(&size) > quantity::bytes(known) {
            *known = size;
        }
    }
    existing
}

/// Asks for larger volumes where the resource does.
pub(super) async fn grow(round: &mut Round<'_>) -> Result<(), Error> {
    let claims = round.nodes.iter().map(|node| {
        let size = storage(round.cluster, &node.pool).size.clone();
        (names::claim(&node.pod), size)
    });
    let claims: Vec<(String, Quantity)> = claims.collect();
    volumes::grow(round, claims).await
}
