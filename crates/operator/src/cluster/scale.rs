//! More brokers, and fewer: data moves to those that come, and away from those that are to go
//! before they go.

use std::collections::{BTreeMap, BTreeSet};

use ottla_placement::Move;

use super::{Round, throttle};
use crate::api::{KafkaCluster, Reason};
use crate::error::Error;
use crate::kafka::View;
use crate::observed::Observed;
use crate::render::{self, CONTROLLER_POOL, Node, Sizes, names};

/// How many pods each stateful set shall have at first: never fewer than it has.
pub(super) fn sizes_now(cluster: &KafkaCluster, observed: &Observed) -> Sizes {
    let mut sizes = Sizes::wanted(cluster);
    for (pool, size) in &mut sizes.by_pool {
        let now = observed.replicas(&names::stateful_set(cluster, pool));
        *size = now.unwrap_or(0).max(*size);
    }
    sizes
}

/// Takes pods away whose brokers have nothing any more; the others keep theirs until then.
pub(super) async fn shrink(round: &mut Round<'_>, now: Sizes) -> Result<Sizes, Error> {
    let wanted = Sizes::wanted(round.cluster);
    let staying: BTreeSet<i32> = render::kafka::nodes(round.cluster, &wanted)
        .into_iter()
        .map(|node| node.id)
        .collect();
    let leaving: Vec<Node> = render::kafka::nodes(round.cluster, &now)
        .into_iter()
        .filter(|node| !staying.contains(&node.id))
        .collect();
    if leaving.is_empty() {
        forget_gone(round, &staying).await?;
        return Ok(now);
    }
    let Some(view) = round.view.clone() else {
        let text = format!("{} pods are to go, when the cluster answers", leaving.len());
        round.doing(Reason::ScalingIn, text);
        return Ok(now);
    };
    evacuate(round, &view, &leaving).await?;
    let voters = view.voters();
    let free = |node: &Node| {
        let empty = !node.broker || view.held_by(node.id) == 0;
        empty && !voters.contains(&node.id)
    };
    let mut sizes = now;
    let mut pools: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in &leaving {
        pools.entry(&node.pool).or_default().push(node);
    }
    for (pool, nodes) in pools {
        // A stateful set loses the last one first.
        let free = nodes.iter().rev().take_while(|node| free(node)).count();
        let free = i32::try_from(free).unwrap_or(0);
        if free > 0 {
            let size = sizes.of(pool) - free;
            sizes.by_pool.insert(pool.to_owned(), size);
            let what = if pool == CONTROLLER_POOL {
                "controllers"
            } else {
                "brokers"
            };
            let note = format!("{free} {what} of {pool} have nothing any more, and go");
            round.say(Reason::ScalingIn, note).await;
        }
    }
    Ok(sizes)
}

async fn evacuate(round: &mut Round<'_>, view: &View, leaving: &[Node]) -> Result<(), Error> {
    let ids: BTreeSet<i32> = leaving
        .iter()
        .filter(|n| n.broker)
        .map(|node| node.id)
        .collect();
    let mut layout = view.layout(&ids);
    let mut moves = Vec::new();
    let mut stuck = Vec::new();
    for id in &ids {
        let plan = ottla_placement::evacuate(&layout, *id);
        layout = plan.after;
        stuck.extend(plan.stuck);
        moves.extend(plan.moves);
    }
    let held: usize = ids.iter().map(|id| view.held_by(*id)).sum();
    if !stuck.is_empty() {
        let first = stuck.first().cloned().unwrap_or_default();
        let text = format!(
            "{} partitions have nowhere to go ({first}): keep more brokers, or lower the replication \
             factor of their topics first",
            stuck.len()
        );
        round.complain(Reason::ScalingIn, text).await;
    }
    if held > 0 {
        let text = format!(
            "{held} replicas are on brokers that are to go ({} are being copied)",
            view.ongoing.len()
        );
        round
            .say(
                Reason::ScalingIn,
                "moving replicas away from brokers that are to go",
            )
            .await;
        round.doing(Reason::ScalingIn, text);
    }
    start_some(round, view, moves).await
}

/// Asks for as many of the moves as there is room for; those of one partition are one.
pub(super) async fn start_some(
    round: &mut Round<'_>,
    view: &View,
    moves: Vec<Move>,
) -> Result<(), Error> {
    let moving: BTreeSet<(&str, i32)> = view
        .ongoing
        .iter()
        .map(|one| (one.topic.as_str(), one.partition))
        .collect();
    let mut last: BTreeMap<(String, i32), Move> = BTreeMap::new();
    for one in moves {
        last.insert((one.topic.clone(), one.partition), one);
    }
    let (orders, copies): (Vec<_>, Vec<_>) = last
        .into_values()
        .filter(|one| !moving.contains(&(one.topic.as_str(), one.partition)))
        .partition(|one| one.is_reorder());
    let most = round.cluster.spec.rebalance.max_moves_in_flight;
    let room = usize::try_from(most)
        .unwrap_or(1)
        .saturating_sub(moving.len());
    let mut next: Vec<Move> = copies.into_iter().take(room).collect();
    next.extend(orders);
    if next.is_empty() {
        return Ok(());
    }
    throttle::keep(round, &next).await?;
    for refused in view.move_replicas(&next).await? {
        tracing::warn!("a replica cannot be moved: {refused}");
    }
    Ok(())
}

/// Brokers without a pod that hold nothing are forgotten by the cluster.
async fn forget_gone(round: &mut Round<'_>, staying: &BTreeSet<i32>) -> Result<(), Error> {
    let Some(view) = round.view.clone() else {
        return Ok(());
    };
    let gone = view
        .brokers
        .iter()
        .filter(|(id, broker)| broker.fenced && !staying.contains(id) && view.held_by(**id) == 0);
    for id in gone.map(|(id, _)| *id).collect::<Vec<_>>() {
        if let Err(error) = view.client.unregister_broker(id).await {
            tracing::warn!("broker {id} cannot be forgotten: {error}");
        } else {
            round
                .say(Reason::ScalingIn, format!("broker {id} is gone for good"))
                .await;
        }
    }
    Ok(())
}
