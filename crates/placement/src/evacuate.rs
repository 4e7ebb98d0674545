//! Empties a broker, or only takes its leaders, or gives it some again.

use std::cmp::Reverse;

use super::even::even_leaders;
use super::layout::{Layout, Plan};
use super::state::State;

/// Gives all replicas of a broker to others. The layout says which may receive.
pub fn evacuate(layout: &Layout, leaving: i32) -> Plan {
    let mut state = State::new(layout, None);
    let mut held: Vec<usize> = state.held(leaving).collect();
    // The large ones first: the small ones fill what is left.
    held.sort_by_key(|partition| (Reverse(state.bytes(*partition)), *partition));
    let mut stuck = Vec::new();
    for partition in &held {
        let receiver = state.best_receiver(*partition, Some(leaving), &|id| id != leaving);
        match receiver {
            Some(receiver) => state.replace(*partition, leaving, receiver),
            None => {
                let placed = layout.partitions.get(*partition);
                let replicas = state.replicas(*partition).len();
                let name = placed.map(super::Placed::name).unwrap_or_default();
                stuck.push(format!(
                    "{name}: it has {replicas} replicas, and no broker is left that runs and has \
                     none of them"
                ));
            }
        }
    }
    for partition in &held {
        state.put_drained_last(*partition);
    }
    even_leaders(&mut state, &|partition| held.contains(&partition));
    state.into_plan(stuck)
}

/// Lets others lead what a broker leads, and makes it the last to be asked to lead again.
pub fn drain(layout: &Layout, broker: i32) -> Plan {
    let mut state = State::new(layout, None);
    let held: Vec<usize> = state.held(broker).collect();
    let mut stuck = Vec::new();
    for partition in held {
        let others = state.replicas(partition).iter().copied();
        let mut others: Vec<i32> = others.filter(|id| *id != broker).collect();
        let isr = state.isr(partition);
        let first = state.replicas(partition).first();
        let leads = first.is_none_or(|first| *first == broker || !isr.contains(first));
        let able = others.iter().enumerate();
        let able = able.filter(|(_, id)| isr.contains(id) && is_running(layout, **id));
        let successor = able.min_by_key(|(at, id)| {
            let is_drained = layout.is_drained(**id);
            (is_drained, state.load(**id).leaders, *at)
        });
        match successor.map(|(at, _)| at) {
            None => {
                let name = layout.partitions.get(partition).map(super::Placed::name);
                let name = name.unwrap_or_default();
                stuck.push(if others.is_empty() {
                    format!("{name}: it has no other replica")
                } else {
                    format!("{name}: no other replica is in sync")
                });
            }
            Some(at) => {
                if leads {
                    // The rest keep their order.
                    let first = others.remove(at);
                    others.insert(0, first);
                }
                others.push(broker);
                state.set(partition, others);
            }
        }
    }
    state.into_plan(stuck)
}

fn is_running(layout: &Layout, broker: i32) -> bool {
    let broker = layout.brokers.get(&broker);
    broker.is_some_and(|broker| broker.receives)
}

/// Lets a broker lead its share again: of the partitions that it holds, those of whoever leads most. Of
/// the others it comes before those that are drained still.
pub fn undrain(layout: &Layout, broker: i32) -> Plan {
    let mut state = State::new(layout, None);
    if let Some(place) = state.now.brokers.get_mut(&broker) {
        place.is_drained = false;
    }
    for partition in state.held(broker).collect::<Vec<_>>() {
        state.put_drained_last(partition);
    }
    loop {
        let led = state.load(broker).leaders;
        let held = state.held(broker).filter_map(|partition| {
            let leader = *state.replicas(partition).first()?;
            Some((state.load(leader).leaders, partition))
        });
        let best = held.max_by_key(|(leaders, partition)| (*leaders, Reverse(*partition)));
        match best {
            Some((leaders, partition)) if leaders >= led + 2 => {
                state.make_first(partition, broker);
            }
            _ => return state.into_plan(Vec::new()),
        }
    }
}
