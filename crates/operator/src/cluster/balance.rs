//! Gives brokers their share: of the replicas to those that the operator has added, of the leaders to
//! those that it has restarted. What a person has taken from a broker stays taken.

use std::collections::BTreeSet;

use ottla_placement::{Layout, Limits, Plan, rebalance};

use super::Round;
use super::scale::start_some;
use crate::api::{BrokerStatus, KafkaClusterStatus, Reason};
use crate::error::Error;
use crate::kafka::View;
use crate::render::Node;
use crate::roll::settling;

/// Brokers that the operator still owes something. The status keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owed {
    /// Those that were added wait for their share of the replicas.
    pub(crate) replicas: BTreeSet<i32>,
    /// Those that were restarted wait for the lead, which was taken from them before.
    pub(crate) leaders: BTreeSet<i32>,
}

impl Owed {
    /// What the status says, with the brokers among `nodes` that it does not know yet: a cluster that
    /// has served before has got them now.
    pub(super) fn of(before: &KafkaClusterStatus, nodes: &[Node]) -> Self {
        let brokers = nodes.iter().filter(|node| node.broker);
        let brokers: BTreeSet<i32> = brokers.map(|node| node.id).collect();
        let stay = |ids: &[i32]| {
            let ids = ids.iter().copied();
            ids.filter(|id| brokers.contains(id)).collect()
        };
        let mut owed = Owed {
            replicas: stay(&before.added),
            leaders: stay(&before.restarted),
        };
        if before.cluster_id.is_some() {
            let is_known = |id: &i32| before.brokers.iter().any(|b: &BrokerStatus| b.id == *id);
            let new = brokers.iter().filter(|id| !is_known(id));
            owed.replicas.extend(new);
        }
        owed
    }

    fn is_owed(&self, id: i32) -> bool {
        self.replicas.contains(&id) || self.leaders.contains(&id)
    }
}

/// Brokers from which a person has taken the lead.
pub(super) fn drained(layout: &Layout, owed: &Owed) -> BTreeSet<i32> {
    ottla_placement::drained(layout, &owed.leaders, &owed.replicas)
}

/// The layout for plans that give brokers something: those that a person has drained or emptied get
/// nothing.
pub(super) fn layout(view: &View, owed: &Owed) -> Layout {
    spared(view.layout(&BTreeSet::new()), owed)
}

fn spared(mut layout: Layout, owed: &Owed) -> Layout {
    let loads = layout.loads();
    let is_empty = |id: &i32| loads.get(id).is_none_or(|load| load.replicas == 0);
    let drained = drained(&layout, owed);
    for (id, place) in &mut layout.brokers {
        place.is_drained = drained.contains(id);
        if !owed.is_owed(*id) && (is_empty(id) || drained.contains(id)) {
            place.receives = false;
        }
    }
    layout
}

/// Gives the lead back to those to whom it is owed. Those that a person has drained come last again,
/// behind those that a roll has put there: so they are known the next time, too.
fn lead_again(before: Layout, owed: &Owed) -> Plan {
    let limits = Limits {
        leaders_only: true,
        ..Limits::default()
    };
    rebalance(&spared(before, owed), limits)
}

/// Takes the next step.
pub(super) async fn balance(round: &mut Round<'_>) -> Result<(), Error> {
    let Some(view) = round.view.clone() else {
        return Ok(());
    };
    let mut brokers = round.nodes.iter().filter(|node| node.broker);
    let all_run = brokers.all(|node| view.runs(node.id));
    if !all_run || !round.doing.is_empty() || !round.wrong.is_empty() {
        return Ok(());
    }
    if !round.owed.replicas.is_empty() {
        fill(round, &view).await?;
    } else if !round.owed.leaders.is_empty() {
        if settles(round) {
            return Ok(());
        }
        let plan = lead_again(view.layout(&BTreeSet::new()), &round.owed);
        let refused = view.lead_as(&plan).await?;
        for refused in &refused {
            tracing::warn!("a leader stays: {refused}");
        }
        if refused.is_empty() {
            round.owed.leaders.clear();
        }
    } else {
        prefer(round, &view).await?;
    }
    Ok(())
}

/// Whether clients may not have found a restarted pod yet, so that it should not lead; that is then
/// waited for.
fn settles(round: &mut Round<'_>) -> bool {
    let rolling = &round.cluster.spec.rolling;
    let pods = round.observed.pods.values();
    let pod = settling(pods, round.context.now(), rolling).map(|pod| pod.name.clone());
    if let Some(pod) = &pod {
        round.settle(pod, 0);
    }
    pod.is_some()
}

/// Moves replicas to brokers that were added.
async fn fill(round: &mut Round<'_>, view: &View) -> Result<(), Error> {
    let plan = rebalance(&layout(view, &round.owed), Limits::default());
    if plan.moves.is_empty() && view.ongoing.is_empty() {
        round.owed.replicas.clear();
        let note = "all brokers have their share";
        round.say(Reason::ScalingOut, note).await;
        return Ok(());
    }
    let note = "moving replicas to brokers that were added";
    round.say(Reason::ScalingOut, note).await;
    let text = format!(
        "{} partitions are to be moved to brokers that were added, {} are being copied",
        plan.moves.len(),
        view.ongoing.len()
    );
    round.doing(Reason::ScalingOut, text);
    start_some(round, view, plan.moves).await
}

/// Lets the preferred replica lead, where something else has taken the lead away from it.
async fn prefer(round: &mut Round<'_>, view: &View) -> Result<(), Error> {
    let not_preferred = view.partitions.iter().filter(|(_, partition)| {
        let first = partition.replicas.first();
        partition.leader.as_ref() != first && first.is_some_and(|id| partition.isr.contains(id))
    });
    let not_preferred: Vec<_> = not_preferred.map(|(name, _)| name.clone()).collect();
    if !not_preferred.is_empty() && !settles(round) {
        view.elect(&not_preferred).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ottla_placement::{BrokerPlace, Placed, drain};

    use super::*;

    fn layout(brokers: i32, replicas: &[&[i32]]) -> Layout {
        let place = BrokerPlace {
            rack: None,
            receives: true,
            is_drained: false,
        };
        let placed = replicas
            .iter()
            .zip(0..)
            .map(|(replicas, partition)| Placed {
                topic: "t".to_owned(),
                partition,
                replicas: replicas.to_vec(),
                isr: replicas.to_vec(),
                bytes: 0,
            });
        Layout {
            brokers: (0..brokers).map(|id| (id, place.clone())).collect(),
            partitions: placed.collect(),
        }
    }

    fn owed(replicas: &[i32], leaders: &[i32]) -> Owed {
        Owed {
            replicas: replicas.iter().copied().collect(),
            leaders: leaders.iter().copied().collect(),
        }
    }

    const SIX: [&[i32]; 6] = [
        &[0, 1, 2],
        &[1, 2, 0],
        &[2, 0, 1],
        &[0, 2, 1],
        &[1, 0, 2],
        &[2, 1, 0],
    ];

    fn leaders(layout: &Layout) -> [usize; 3] {
        let loads = layout.loads();
        [0, 1, 2].map(|id| loads[&id].leaders)
    }

    #[test]
    fn who_was_drained_by_hand_leads_nothing_through_one_roll_after_the_other() {
        let even = layout(3, &SIX);
        assert_eq!(drained(&even, &Owed::default()), BTreeSet::new());
        let mut now = drain(&even, 2).after;
        for _ in 0..3 {
            let mut owed = Owed::default();
            for id in [0, 1, 2] {
                let by_hand = drained(&now, &owed);
                assert_eq!(by_hand, BTreeSet::from([2]));
                if !by_hand.contains(&id) {
                    owed.leaders.insert(id);
                    let after = drain(&spared(now.clone(), &owed), id).after;
                    now.partitions = after.partitions;
                    assert_eq!(leaders(&now)[2], 0);
                }
            }
            now = lead_again(now, &owed).after;
            for place in now.brokers.values_mut() {
                place.receives = true;
            }
            assert_eq!(leaders(&now), [3, 3, 0]);
        }
    }

    #[test]
    fn who_was_restarted_leads_its_share_again() {
        let (mut now, mut owed) = (layout(3, &SIX), Owed::default());
        for id in [0, 1, 2] {
            owed.leaders.insert(id);
            now = drain(&spared(now, &owed), id).after;
        }
        assert_eq!(leaders(&now)[2], 0);
        assert_eq!(leaders(&lead_again(now, &owed).after), [2, 2, 2]);
    }

    #[test]
    fn two_that_were_drained_by_hand_are_both_known() {
        let both: &[i32] = &[0, 1, 2];
        let known = drained(&layout(3, &[both; 4]), &Owed::default());
        assert_eq!(known, BTreeSet::from([1, 2]));
    }

    #[test]
    fn who_was_emptied_by_hand_stays_empty_and_who_was_added_is_filled() {
        let four = layout(4, &SIX);
        let moves = |owed| {
            let plan = rebalance(&spared(four.clone(), &owed), Limits::default());
            plan.after.loads()[&3].replicas
        };
        assert_eq!(moves(owed(&[], &[0])), 0);
        assert_eq!(moves(owed(&[3], &[])), 4);
    }

    #[test]
    fn brokers_are_new_to_a_cluster_that_has_served_without_them() {
        let node = |id| Node {
            id,
            pool: "broker".to_owned(),
            ordinal: id,
            pod: format!("demo-broker-{id}"),
            broker: true,
            controller: false,
        };
        let nodes: Vec<Node> = (0..4).map(node).collect();
        let known = |id| BrokerStatus {
            id,
            ..BrokerStatus::default()
        };
        let mut before = KafkaClusterStatus {
            brokers: (0..3).map(known).collect(),
            added: vec![2, 9],
            restarted: vec![1],
            ..KafkaClusterStatus::default()
        };
        assert_eq!(Owed::of(&before, &nodes), owed(&[2], &[1]));
        before.cluster_id = Some("id".to_owned());
        assert_eq!(Owed::of(&before, &nodes), owed(&[2, 3], &[1]));
    }
}
