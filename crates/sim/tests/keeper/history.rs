//! What all clients have seen of the registers, and whether it fits together.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// How much was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) events: u64,
    pub(crate) unknown: u64,
    pub(crate) moves: u64,
    pub(crate) expired: u64,
    pub(crate) crashes: u64,
    pub(crate) last_zxid: i64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.writes += other.writes;
        self.reads += other.reads;
        self.events += other.events;
        self.unknown += other.unknown;
        self.moves += other.moves;
        self.expired += other.expired;
        self.crashes += other.crashes;
    }
}

/// A write that was acknowledged.
#[derive(Debug, Clone)]
struct Write {
    began_ms: u64,
    ended_ms: u64,
    version: i32,
    mzxid: i64,
}

#[derive(Debug, Default)]
struct Register {
    writes: Vec<Write>,
    /// What was seen with which version: its value and its transaction.
    seen: BTreeMap<i32, (String, i64)>,
    /// Reads behind a `sync`: when that began, and the version.
    synced: Vec<(u64, i32)>,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    registers: BTreeMap<String, Register>,
    /// Sequential nodes: when their creation began and ended.
    sequential: BTreeMap<String, (u64, u64)>,
    pub(crate) counts: Counts,
    violations: Vec<String>,
}

/// Shared by all clients.
#[derive(Clone, Default)]
pub(crate) struct History(Arc<Mutex<Inner>>);

impl History {
    pub(crate) fn violation(&self, what: String) {
        self.0.lock().violations.push(what);
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.0.lock().counts);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.0.lock().counts.clone()
    }

    pub(crate) fn first_violation(&self) -> Option<String> {
        self.0.lock().violations.first().cloned()
    }

    /// A register was seen to hold a value.
    pub(crate) fn saw(&self, path: &str, version: i32, value: &str, mzxid: i64) {
        let mut inner = self.0.lock();
        let register = inner.registers.entry(path.to_owned()).or_default();
        let seen = (value.to_owned(), mzxid);
        match register.seen.insert(version, seen.clone()) {
            Some(other) if other != seen => inner.violations.push(format!(
                "version {version} of {path} is {seen:?} for one and {other:?} for another"
            )),
            _ => {}
        }
    }

    pub(crate) fn read_behind_sync(&self, path: &str, sync_began_ms: u64, version: i32) {
        let mut inner = self.0.lock();
        let register = inner.registers.entry(path.to_owned()).or_default();
        register.synced.push((sync_began_ms, version));
    }

    pub(crate) fn wrote(&self, path: &str, began_ms: u64, ended_ms: u64, version: i32, mzxid: i64) {
        let mut inner = self.0.lock();
        inner.counts.writes += 1;
        let register = inner.registers.entry(path.to_owned()).or_default();
        register.writes.push(Write {
            began_ms,
            ended_ms,
            version,
            mzxid,
        });
    }

    pub(crate) fn made_sequential(&self, path: String, began_ms: u64, ended_ms: u64) {
        let mut inner = self.0.lock();
        if inner
            .sequential
            .insert(path.clone(), (began_ms, ended_ms))
            .is_some()
        {
            inner
                .violations
                .push(format!("{path} was given to two creations"));
        }
    }

    /// Looks at everything together; `last` has the registers as they are at the end.
    pub(crate) fn judge(&self, last: &BTreeMap<String, i32>) -> Option<String> {
        let inner = self.0.lock();
        if let Some(violation) = inner.violations.first() {
            return Some(violation.clone());
        }
        for (path, register) in &inner.registers {
            if let Some(violation) = judge_register(path, register, last.get(path).copied()) {
                return Some(violation);
            }
        }
        let made: Vec<_> = inner.sequential.iter().collect();
        for pair in made.windows(2) {
            let ((first, of_first), (second, of_second)) = (pair[0], pair[1]);
            if of_second.1 < of_first.0 {
                return Some(format!(
                    "{second} was made before {first}, which counts less"
                ));
            }
        }
        None
    }
}

fn judge_register(path: &str, register: &Register, last: Option<i32>) -> Option<String> {
    let mut writes = register.writes.clone();
    writes.sort_by_key(|write| write.version);
    for pair in writes.windows(2) {
        let (one, two) = (&pair[0], &pair[1]);
        if one.version == two.version || one.mzxid >= two.mzxid {
            return Some(format!("{path}: {one:?} and {two:?} cannot both be"));
        }
    }
    // Whoever began when another had ended comes after it.
    let mut newest_began = 0;
    for write in &writes {
        if write.ended_ms < newest_began {
            return Some(format!(
                "{path}: {write:?} comes before one that began later"
            ));
        }
        newest_began = newest_began.max(write.began_ms);
    }
    for (sync_began_ms, version) in &register.synced {
        let missed = writes
            .iter()
            .find(|w| w.ended_ms < *sync_began_ms && w.version > *version);
        if let Some(missed) = missed {
            return Some(format!(
                "{path}: version {version} behind a sync misses {missed:?}"
            ));
        }
    }
    if let (Some(newest), Some(last)) = (writes.last(), last)
        && last < newest.version
    {
        return Some(format!(
            "{path}: {newest:?} is lost, the last version is {last}"
        ));
    }
    None
}
