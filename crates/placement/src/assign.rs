//! Puts partitions onto given brokers, with a given number of replicas.

use std::collections::BTreeSet;

use super::even::{even_leaders, even_replicas};
use super::layout::{Layout, Plan};
use super::state::State;

/// What is wished for the partitions of a layout; whatever is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assign {
    /// Only these brokers.
    pub brokers: Option<BTreeSet<i32>>,
    /// So many replicas each.
    pub replicas: Option<usize>,
}

/// Keeps what is right already, replaces the rest, and evens it out over the brokers. The layout
/// holds only the partitions that are to be assigned.
pub fn assign(layout: &Layout, wished: &Assign) -> Plan {
    let mut layout = layout.clone();
    if let Some(brokers) = &wished.brokers {
        for (id, broker) in &mut layout.brokers {
            broker.receives &= brokers.contains(id);
        }
    }
    let may_keep = |id: i32| wished.brokers.as_ref().is_none_or(|b| b.contains(&id));
    let mut state = State::new(&layout, None);
    let mut stuck = Vec::new();
    for partition in 0..state.len() {
        let wrong: Vec<i32> = state.replicas(partition).to_vec();
        for from in wrong.into_iter().filter(|id| !may_keep(*id)) {
            match state.best_receiver(partition, Some(from), &|_| true) {
                Some(to) => state.replace(partition, from, to),
                // With fewer replicas than now, this one may be the one to go.
                None => remove(&mut state, partition, from),
            }
        }
        let before = layout.partitions.get(partition);
        let before_count = before.map_or(0, |placed| placed.replicas.len());
        let wanted = wished.replicas.unwrap_or(before_count);
        while state.replicas(partition).len() > wanted {
            let Some(worst) = worst(&state, partition) else {
                break;
            };
            remove(&mut state, partition, worst);
        }
        while state.replicas(partition).len() < wanted {
            let Some(best) = state.best_receiver(partition, None, &|_| true) else {
                let name = before.map(super::Placed::name).unwrap_or_default();
                let found = state.replicas(partition).len();
                stuck.push(format!(
                    "{name}: {wanted} replicas need {wanted} brokers that run, and there are {found}"
                ));
                break;
            };
            let mut replicas = state.replicas(partition).to_vec();
            replicas.push(best);
            state.set(partition, replicas);
        }
    }
    even_replicas(&mut state);
    even_leaders(&mut state, &|_| true);
    state.into_plan(stuck)
}

fn remove(state: &mut State, partition: usize, broker: i32) {
    let replicas = state.replicas(partition).iter().copied();
    let replicas = replicas.filter(|id| *id != broker).collect();
    state.set(partition, replicas);
}

/// The replica that can best be done without: one that is not in sync, then one that shares its
/// rack, then one of the broker with the most; the first, which leads, only when all are alike.
fn worst(state: &State, partition: usize) -> Option<i32> {
    let replicas = state.replicas(partition);
    let isr = state.isr(partition);
    let all = replicas.iter().copied().enumerate();
    let worst = all.min_by_key(|(at, id)| {
        let rest = replicas.iter().copied().filter(|other| other != id);
        let spread = state.now.spread(rest);
        let load = state.load(*id).replicas;
        let is_first = *at == 0;
        (
            isr.contains(id),
            spread,
            is_first,
            std::cmp::Reverse(load),
            std::cmp::Reverse(*at),
        )
    });
    worst.map(|(_, id)| id)
}
