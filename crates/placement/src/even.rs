//! Evens out what brokers carry, with few moves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use super::layout::{Layout, Plan};
use super::state::State;

/// What a plan may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Partitions that may be given to other brokers.
    pub moves_max: Option<usize>,
    /// Only leaders are evened out; no replica moves.
    pub leaders_only: bool,
}

/// Brokers whose bytes are within this part of the mean are even.
const TOLERANCE_PERCENT: u64 = 10;
/// Less than this is not worth a copy.
const WORTH_BYTES: u64 = 64 * 1024 * 1024;
/// Of so many large partitions of a broker a partner for an exchange is looked for.
const LARGE: usize = 500;

/// Spreads replicas over racks, and evens out replicas, bytes and leaders.
pub fn rebalance(layout: &Layout, limits: Limits) -> Plan {
    let mut state = State::new(layout, limits.moves_max);
    if !limits.leaders_only {
        // Each makes better what it is about and nothing worse that is more important, so that
        // there is an end.
        loop {
            let racks = spread_over_racks(&mut state);
            let replicas = even_replicas(&mut state);
            let bytes = even_bytes(&mut state);
            if !(racks || replicas || bytes) {
                break;
            }
        }
    }
    for partition in 0..state.len() {
        state.put_drained_last(partition);
    }
    even_leaders(&mut state, &|_| true);
    state.into_plan(Vec::new())
}

/// Replaces replicas as long as a partition comes to lie in more racks, or more evenly in them.
fn spread_over_racks(state: &mut State) -> bool {
    let mut changed = false;
    for partition in 0..state.len() {
        while let Some((from, to)) = better_for_racks(state, partition) {
            state.replace(partition, from, to);
            changed = true;
        }
    }
    changed
}

fn better_for_racks(state: &State, partition: usize) -> Option<(i32, i32)> {
    if !state.may_move(partition) {
        return None;
    }
    let replicas = state.replicas(partition);
    let now = state.spread(partition);
    let pairs = replicas.iter().flat_map(|from| {
        let to = state.now.receivers().filter(|to| !replicas.contains(to));
        to.map(move |to| (*from, to))
    });
    // A broker that does not run cannot be asked to give anything up, but what it has counts.
    let pairs = pairs.filter(|(from, _)| receives(state, *from));
    let best = pairs.min_by_key(|(from, to)| {
        let (loaded, free) = (state.load(*from).replicas, state.load(*to).replicas);
        let spread = state.spread_with(partition, *from, *to);
        (spread, Reverse(loaded), free, *to)
    });
    best.filter(|(from, to)| state.spread_with(partition, *from, *to) < now)
}

fn receives(state: &State, broker: i32) -> bool {
    let broker = state.now.brokers.get(&broker);
    broker.is_some_and(|broker| broker.receives)
}

/// Moves replicas from brokers with more to brokers with fewer, by way of others if racks want it.
pub(crate) fn even_replicas(state: &mut State) -> bool {
    let mut changed = false;
    loop {
        let mut sources: Vec<i32> = state.now.receivers().collect();
        sources.sort_by_key(|id| (Reverse(state.load(*id).replicas), *id));
        if !sources.into_iter().any(|source| relieve(state, source)) {
            return changed;
        }
        changed = true;
    }
}

/// Takes one replica away from this broker, for the good of the whole.
fn relieve(state: &mut State, source: i32) -> bool {
    let receivers: Vec<i32> = state.now.receivers().collect();
    let has = |state: &State, from, to| {
        let mut held = state.held(from);
        held.any(|partition| state.may_replace(partition, from, to))
    };
    let Some(path) = path(source, &receivers, state, &|load| load.replicas, &has) else {
        return false;
    };
    let mut done: Vec<(usize, i32, i32)> = Vec::new();
    // From the end, so that each broker has room before it gets something.
    for (from, to) in path.iter().zip(path.iter().skip(1)).rev() {
        match best_between(state, *from, *to) {
            Some(partition) => {
                state.replace(partition, *from, *to);
                done.push((partition, *from, *to));
            }
            // Two steps wanted the same partition: the path is not possible as a whole.
            None => {
                for (partition, from, to) in done.into_iter().rev() {
                    state.replace(partition, to, from);
                }
                return false;
            }
        }
    }
    true
}

/// The shortest way from a broker to one that carries at least two less, over brokers between which
/// something can be moved.
fn path(
    source: i32,
    receivers: &[i32],
    state: &State,
    count: &dyn Fn(super::Load) -> usize,
    has: &dyn Fn(&State, i32, i32) -> bool,
) -> Option<Vec<i32>> {
    let carried = |id: i32| count(state.load(id));
    let limit = carried(source).checked_sub(2)?;
    if !receivers.iter().any(|id| carried(*id) <= limit) {
        return None;
    }
    let mut came_from: BTreeMap<i32, i32> = BTreeMap::new();
    let mut queue = VecDeque::from([source]);
    // Those with the least first: of equally short ways, the best.
    let mut order = receivers.to_vec();
    order.sort_by_key(|id| (carried(*id), *id));
    while let Some(at) = queue.pop_front() {
        for next in &order {
            let known = *next == source || came_from.contains_key(next);
            if known || !has(state, at, *next) {
                continue;
            }
            came_from.insert(*next, at);
            if carried(*next) <= limit {
                let mut path = vec![*next];
                while let Some(before) = path.last().and_then(|last| came_from.get(last)) {
                    path.push(*before);
                }
                path.reverse();
                return Some(path);
            }
            queue.push_back(*next);
        }
    }
    None
}

/// Which partition is best moved: one that was moved already, then one of a topic of which `from`
/// has more, then one whose size evens out the bytes.
fn best_between(state: &State, from: i32, to: i32) -> Option<usize> {
    let gap = state.load(from).bytes.saturating_sub(state.load(to).bytes);
    let held = state.held(from);
    let possible = held.filter(|partition| state.may_replace(*partition, from, to));
    possible.min_by_key(|partition| {
        let more = state.of_topic(*partition, to);
        let surplus = state.of_topic(*partition, from).saturating_sub(more);
        let off = state.bytes(*partition).abs_diff(gap / 2);
        (
            Reverse(state.is_moved(*partition)),
            Reverse(surplus),
            off,
            *partition,
        )
    })
}

/// Exchanges large partitions for small ones while brokers differ much in bytes.
fn even_bytes(state: &mut State) -> bool {
    let mut changed = false;
    loop {
        let mut brokers: Vec<i32> = state.now.receivers().collect();
        let total: u64 = brokers.iter().map(|id| state.load(*id).bytes).sum();
        let Some(mean) = total.checked_div(u64::try_from(brokers.len()).unwrap_or(0)) else {
            return changed;
        };
        let tolerated = (mean / 100 * TOLERANCE_PERCENT).max(WORTH_BYTES);
        brokers.sort_by_key(|id| (state.load(*id).bytes, *id));
        let Some(full) = brokers.pop() else {
            return changed;
        };
        if state.load(full).bytes <= mean.saturating_add(tolerated) {
            return changed;
        }
        let least = (mean / 100).max(WORTH_BYTES / 16);
        let exchange = brokers.iter().find_map(|empty| {
            let found = best_exchange(state, full, *empty, least)?;
            Some((found, *empty))
        });
        let Some(((large, small), empty)) = exchange else {
            return changed;
        };
        state.replace(large, full, empty);
        if let Some(small) = small {
            state.replace(small, empty, full);
        }
        changed = true;
    }
}

/// Two partitions whose exchange takes about half of the difference from `full`; where `full` has a
/// replica more, one partition can go for nothing. At least so many bytes must be won.
fn best_exchange(
    state: &State,
    full: i32,
    empty: i32,
    least: u64,
) -> Option<(usize, Option<usize>)> {
    let (of_full, of_empty) = (state.load(full), state.load(empty));
    let gap = of_full.bytes.checked_sub(of_empty.bytes)?;
    let wins =
        |delta: u64| delta >= least && gap.checked_sub(delta).is_some_and(|left| left >= least);
    let mut large: Vec<usize> = state
        .held(full)
        .filter(|p| state.bytes(*p) >= least && state.may_replace(*p, full, empty))
        .collect();
    large.sort_by_key(|p| (Reverse(state.bytes(*p)), *p));
    large.truncate(LARGE);
    let mut small: Vec<usize> = state
        .held(empty)
        .filter(|p| state.may_replace(*p, empty, full))
        .collect();
    small.sort_by_key(|p| (state.bytes(*p), *p));
    let mut best: Option<(u64, usize, Option<usize>)> = None;
    let mut consider = |delta: u64, large: usize, small: Option<usize>| {
        let off = delta.abs_diff(gap / 2);
        if wins(delta) && best.is_none_or(|(known, _, _)| off < known) {
            best = Some((off, large, small));
        }
    };
    for partition in large {
        let bytes = state.bytes(partition);
        if of_full.replicas == of_empty.replicas + 1 {
            consider(bytes, partition, None);
        }
        let ideal = bytes.saturating_sub(gap / 2);
        let near = small.partition_point(|other| state.bytes(*other) < ideal);
        let around = small.iter().skip(near.saturating_sub(1)).take(2);
        for other in around {
            let delta = bytes.checked_sub(state.bytes(*other));
            if let Some(delta) = delta.filter(|_| state.may_move_both(partition, *other)) {
                consider(delta, partition, Some(*other));
            }
        }
    }
    let (_, large, small) = best?;
    Some((large, small))
}

/// Lets brokers that lead fewer partitions lead some that others lead, of those that are `allowed`.
pub(crate) fn even_leaders(state: &mut State, allowed: &dyn Fn(usize) -> bool) {
    let leads = |state: &State, partition: usize, from: i32, to: i32| {
        let replicas = state.replicas(partition);
        allowed(partition) && replicas.first() == Some(&from) && replicas.contains(&to)
    };
    loop {
        let receivers = state.now.receivers();
        let receivers = receivers.filter(|id| !state.now.is_drained(*id));
        let receivers: Vec<i32> = receivers.collect();
        let mut sources = receivers.clone();
        sources.sort_by_key(|id| (Reverse(state.load(*id).leaders), *id));
        let has = |state: &State, from, to| {
            let mut held = state.held(from);
            held.any(|partition| leads(state, partition, from, to))
        };
        let found = sources
            .into_iter()
            .find_map(|source| path(source, &receivers, state, &|load| load.leaders, &has));
        let Some(path) = found else {
            return;
        };
        for (from, to) in path.iter().zip(path.iter().skip(1)) {
            // One that changes anyway, if there is any.
            let held = state.held(*from);
            let possible = held.filter(|partition| leads(state, *partition, *from, *to));
            let best = possible.min_by_key(|p| (Reverse(state.is_moved(*p)), *p));
            if let Some(partition) = best {
                state.make_first(partition, *to);
            }
        }
    }
}
