//! The watches of the clients of one server (`WatchManager`). They are not replicated: a client that
//! changes its server registers them anew.
//!
//! Who sees what:
//!
//! | | `Data` | `Children` | `Persistent` | `PersistentRecursive`, here or above |
//! |---|---|---|---|---|
//! | the node is created | NodeCreated | | NodeCreated | NodeCreated |
//! | its data are set | NodeDataChanged | | NodeDataChanged | NodeDataChanged |
//! | it is deleted | NodeDeleted | NodeDeleted | NodeDeleted | NodeDeleted |
//! | a child is created or deleted | | NodeChildrenChanged | NodeChildrenChanged | |
//!
//! The first two fire once. A watcher sees each event once, however many watches it has.

mod set;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use ottla_jute::{Acl, AddWatchMode, EventType, SetWatches2, WatcherType};

use crate::digest;
use crate::outcome::{Change, ChangeKind};
use crate::path;
use crate::state::State;
use set::Watchers;

/// A kind of watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchMode {
    /// Fires once, for the node itself; `exists` and `getData` set it.
    Data,
    /// Fires once, for its children; `getChildren` sets it.
    Children,
    /// Fires for both, until it is removed.
    Persistent,
    /// Fires for the node and all below it, until it is removed.
    PersistentRecursive,
}

impl From<AddWatchMode> for WatchMode {
    fn from(mode: AddWatchMode) -> Self {
        match mode {
            AddWatchMode::Persistent => WatchMode::Persistent,
            AddWatchMode::PersistentRecursive => WatchMode::PersistentRecursive,
        }
    }
}

/// Modes that a watcher has at a path, as bits.
type Modes = u8;

const DATA: Modes = 1;
const CHILDREN: Modes = 2;
const PERSISTENT: Modes = 4;
const RECURSIVE: Modes = 8;
const ALL: Modes = DATA | CHILDREN | PERSISTENT | RECURSIVE;
/// What sees changes of the node itself. ZooKeeper's commands count these only.
const SEES_NODE: Modes = DATA | PERSISTENT | RECURSIVE;
/// What sees changes of its children.
const SEES_CHILDREN: Modes = CHILDREN | PERSISTENT;

impl WatchMode {
    fn bit(self) -> Modes {
        match self {
            WatchMode::Data => DATA,
            WatchMode::Children => CHILDREN,
            WatchMode::Persistent => PERSISTENT,
            WatchMode::PersistentRecursive => RECURSIVE,
        }
    }
}

fn bits_of(kind: WatcherType) -> Modes {
    match kind {
        WatcherType::Children => CHILDREN,
        WatcherType::Data => DATA,
        WatcherType::Any => ALL,
        WatcherType::Persistent => PERSISTENT,
        WatcherType::PersistentRecursive => RECURSIVE,
    }
}

/// An event, and who is told. A watcher that may not read (see [`crate::allows`] and the ACL) is
/// not told, though its watch is used up all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// What happened.
    pub kind: EventType,
    /// Where.
    pub path: Arc<str>,
    /// The ACL of the node there at that moment.
    pub acl: Arc<[Acl]>,
    /// In the order of their numbers, those that are told of their children's watch last.
    pub watchers: Vec<u64>,
}

/// The sums of `wchs`: watches of the node itself, as ZooKeeper counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchSummary {
    /// How many watchers have some.
    pub watchers: usize,
    /// How many paths have some.
    pub paths: usize,
    /// How many pairs of a watcher and a path there are.
    pub total: usize,
}

#[derive(Debug)]
struct Watched {
    path: Arc<str>,
    watchers: Watchers,
}

/// All watches of a server. A watcher is a number that the server gives each of its connections.
#[derive(Debug, Default)]
pub struct Watches {
    places: Vec<Option<Watched>>,
    free: Vec<u32>,
    by_path: HashTable<u32>,
    by_watcher: HashMap<u64, HashSet<u32>>,
    /// How many pairs have each kind.
    node_count: usize,
    children_count: usize,
    recursive_count: usize,
}

impl Watches {
    /// No watches.
    #[must_use]
    pub fn new() -> Self {
        Watches::default()
    }

    fn place(&self, at: u32) -> Option<&Watched> {
        self.places.get(at as usize)?.as_ref()
    }

    fn find(&self, path: &str) -> Option<u32> {
        let same = |at: &u32| self.place(*at).is_some_and(|place| &*place.path == path);
        self.by_path.find(digest::path(path), same).copied()
    }

    /// Adds a watch. A watcher may have one of each mode at a path.
    pub fn add(&mut self, path: &str, watcher: u64, mode: WatchMode) {
        let at = match self.find(path) {
            Some(at) => at,
            None => self.new_place(path),
        };
        let Some(Some(place)) = self.places.get_mut(at as usize) else {
            return;
        };
        let before = place.watchers.get(watcher);
        let after = before | mode.bit();
        place.watchers.set(watcher, after);
        self.recount(before, after);
        self.by_watcher.entry(watcher).or_default().insert(at);
    }

    fn new_place(&mut self, path: &str) -> u32 {
        let watched = Some(Watched {
            path: path.into(),
            watchers: Watchers::default(),
        });
        let at = match self.free.pop() {
            Some(at) => {
                self.places[at as usize] = watched;
                at
            }
            None => {
                self.places.push(watched);
                (self.places.len() - 1) as u32
            }
        };
        let places = &self.places;
        let hash = |at: &u32| match &places[*at as usize] {
            Some(place) => digest::path(&place.path),
            None => 0,
        };
        self.by_path.insert_unique(digest::path(path), at, hash);
        at
    }

    /// Replaces the modes of a watcher at a place.
    fn set(&mut self, at: u32, watcher: u64, after: Modes) {
        let Some(Some(place)) = self.places.get_mut(at as usize) else {
            return;
        };
        let before = place.watchers.get(watcher);
        place.watchers.set(watcher, after);
        let is_empty = place.watchers.is_empty();
        self.recount(before, after);
        if after == 0 {
            self.forget_pair(at, watcher);
        }
        if is_empty {
            self.remove_place(at);
        }
    }

    fn forget_pair(&mut self, at: u32, watcher: u64) {
        if let Some(places) = self.by_watcher.get_mut(&watcher) {
            places.remove(&at);
            if places.is_empty() {
                self.by_watcher.remove(&watcher);
            }
        }
    }

    fn remove_place(&mut self, at: u32) {
        let Some(place) = self.places.get_mut(at as usize).and_then(Option::take) else {
            return;
        };
        let places = &self.places;
        let hash = |at: &u32| match &places[*at as usize] {
            Some(place) => digest::path(&place.path),
            None => 0,
        };
        let entry = self
            .by_path
            .entry(digest::path(&place.path), |other| *other == at, hash);
        if let Entry::Occupied(entry) = entry {
            entry.remove();
        }
        self.free.push(at);
    }

    fn recount(&mut self, before: Modes, after: Modes) {
        let count = |count: &mut usize, modes: Modes| {
            *count += usize::from(after & modes != 0);
            *count -= usize::from(before & modes != 0);
        };
        count(&mut self.node_count, SEES_NODE);
        count(&mut self.children_count, SEES_CHILDREN);
        count(&mut self.recursive_count, RECURSIVE);
    }

    /// `checkWatches`.
    #[must_use]
    pub fn contains(&self, path: &str, watcher: u64, kind: WatcherType) -> bool {
        let place = self.find(path).and_then(|at| self.place(at));
        place.is_some_and(|place| place.watchers.get(watcher) & bits_of(kind) != 0)
    }

    /// `removeWatches`; whether there was something to remove.
    pub fn remove(&mut self, path: &str, watcher: u64, kind: WatcherType) -> bool {
        let Some(at) = self.find(path) else {
            return false;
        };
        let before = self
            .place(at)
            .map_or(0, |place| place.watchers.get(watcher));
        let after = before & !bits_of(kind);
        if before != after {
            self.set(at, watcher, after);
        }
        before != after
    }

    /// Removes all watches of a watcher, whose connection is gone.
    pub fn remove_watcher(&mut self, watcher: u64) {
        let places = self.by_watcher.remove(&watcher).unwrap_or_default();
        for at in places {
            self.set(at, watcher, 0);
        }
    }

    /// Uses up what changes fire.
    pub fn fire(&mut self, changes: &[Change]) -> Vec<Fired> {
        let mut fired = Vec::new();
        if self.by_watcher.is_empty() {
            return fired;
        }
        for change in changes {
            self.fire_one(change, &mut fired);
        }
        fired
    }

    fn fire_one(&mut self, change: &Change, fired: &mut Vec<Fired>) {
        let mut watchers = self.take_node_watchers(&change.path);
        let kind = match change.kind {
            ChangeKind::Created => EventType::NodeCreated,
            ChangeKind::DataChanged => EventType::NodeDataChanged,
            ChangeKind::Deleted => {
                // Whoever watches both is told once.
                let told = watchers.len();
                for watcher in self.take(&change.path, SEES_CHILDREN, CHILDREN) {
                    if watchers[..told].binary_search(&watcher).is_err() {
                        watchers.push(watcher);
                    }
                }
                EventType::NodeDeleted
            }
        };
        if !watchers.is_empty() {
            fired.push(Fired {
                kind,
                path: Arc::clone(&change.path),
                acl: Arc::clone(&change.acl),
                watchers,
            });
        }
        let parent = change.parent_acl.as_ref().zip(path::parent(&change.path));
        if let Some((acl, parent)) = parent {
            let watchers = self.take(parent, SEES_CHILDREN, CHILDREN);
            if !watchers.is_empty() {
                fired.push(Fired {
                    kind: EventType::NodeChildrenChanged,
                    path: parent.into(),
                    acl: Arc::clone(acl),
                    watchers,
                });
            }
        }
    }

    /// The watchers at a path that have one of the modes, in their order; used up are those that
    /// fire once.
    fn take(&mut self, path: &str, modes: Modes, once: Modes) -> Vec<u64> {
        let Some(at) = self.find(path) else {
            return Vec::new();
        };
        let Some(place) = self.place(at) else {
            return Vec::new();
        };
        let seeing: Vec<(u64, Modes)> = place
            .watchers
            .iter()
            .filter(|(_, has)| has & modes != 0)
            .collect();
        for (watcher, has) in &seeing {
            if has & once != 0 {
                self.set(at, *watcher, has & !once);
            }
        }
        seeing.into_iter().map(|(watcher, _)| watcher).collect()
    }

    /// The watchers that see a change of a node, each once and in their order.
    fn take_node_watchers(&mut self, path: &str) -> Vec<u64> {
        let mut watchers = self.take(path, SEES_NODE, DATA);
        if self.recursive_count > 0 {
            for above in path::upwards(path).skip(1) {
                watchers.extend(self.take(above, RECURSIVE, 0));
            }
            watchers.sort_unstable();
            watchers.dedup();
        }
        watchers
    }

    /// `setWatches` and `setWatches2`: registers the watches of a client that has come back. What
    /// has changed since the client's last zxid is told at once instead, in this order, and whatever
    /// the ACL (`DataTree.setWatches`).
    pub fn set_watches(
        &mut self,
        state: &State,
        watcher: u64,
        set: &SetWatches2,
    ) -> Vec<(EventType, String)> {
        let mut events = Vec::new();
        let stat = |path: &str| {
            let node = state.tree.node(state.tree.find(path)?);
            Some((node.mzxid, node.rare().pzxid))
        };
        for path in &set.data_watches {
            match stat(path) {
                None => events.push((EventType::NodeDeleted, path.clone())),
                Some((mzxid, _)) if mzxid > set.relative_zxid => {
                    events.push((EventType::NodeDataChanged, path.clone()));
                }
                Some(_) => self.add(path, watcher, WatchMode::Data),
            }
        }
        for path in &set.exist_watches {
            match stat(path) {
                Some(_) => events.push((EventType::NodeCreated, path.clone())),
                None => self.add(path, watcher, WatchMode::Data),
            }
        }
        for path in &set.child_watches {
            match stat(path) {
                None => events.push((EventType::NodeDeleted, path.clone())),
                Some((_, pzxid)) if pzxid > set.relative_zxid => {
                    events.push((EventType::NodeChildrenChanged, path.clone()));
                }
                Some(_) => self.add(path, watcher, WatchMode::Children),
            }
        }
        for path in &set.persistent_watches {
            self.add(path, watcher, WatchMode::Persistent);
        }
        for path in &set.persistent_recursive_watches {
            self.add(path, watcher, WatchMode::PersistentRecursive);
        }
        events
    }

    /// How many watches there are (`watch_count`): those that see a node, and those that see its
    /// children.
    #[must_use]
    pub fn count(&self) -> usize {
        self.node_count + self.children_count
    }

    /// The sums of `wchs`. Looks at all watches.
    #[must_use]
    pub fn summary(&self) -> WatchSummary {
        WatchSummary {
            watchers: self.by_watcher().len(),
            paths: self.by_path().count(),
            total: self.node_count,
        }
    }

    /// The paths that have watches of the node itself, and whose (`wchp`).
    pub fn by_path(&self) -> impl Iterator<Item = (&str, Vec<u64>)> + '_ {
        let seeing = |place: &'_ Watched| -> Vec<u64> {
            let watchers = place.watchers.iter();
            watchers
                .filter(|(_, has)| has & SEES_NODE != 0)
                .map(|(watcher, _)| watcher)
                .collect()
        };
        self.places
            .iter()
            .flatten()
            .map(move |place| (&*place.path, seeing(place)))
            .filter(|(_, watchers)| !watchers.is_empty())
    }

    /// The watchers that have watches of nodes themselves, and where (`wchc`).
    #[must_use]
    pub fn by_watcher(&self) -> BTreeMap<u64, Vec<&str>> {
        let mut all: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for (path, watchers) in self.by_path() {
            for watcher in watchers {
                all.entry(watcher).or_default().push(path);
            }
        }
        all
    }

    /// Compares what is derived with what it is derived from; for tests.
    pub fn check(&self) -> Result<(), String> {
        let mut pairs = 0;
        let mut counts = [0; 3];
        for (at, place) in self.places.iter().enumerate() {
            let Some(place) = place else { continue };
            let at = at as u32;
            if self.find(&place.path) != Some(at) || place.watchers.is_empty() {
                return Err(format!("{} cannot be found, or has no watcher", place.path));
            }
            for (watcher, has) in place.watchers.iter() {
                pairs += 1;
                for (count, modes) in counts.iter_mut().zip([SEES_NODE, SEES_CHILDREN, RECURSIVE]) {
                    *count += usize::from(has & modes != 0);
                }
                let known = self.by_watcher.get(&watcher);
                if has == 0 || !known.is_some_and(|places| places.contains(&at)) {
                    return Err(format!("watcher {watcher} does not know {}", place.path));
                }
            }
        }
        let known: usize = self.by_watcher.values().map(HashSet::len).sum();
        let counted = [self.node_count, self.children_count, self.recursive_count];
        if known != pairs || counts != counted {
            return Err(format!(
                "{known} of {pairs} pairs, {counts:?} where {counted:?} were counted"
            ));
        }
        Ok(())
    }
}
