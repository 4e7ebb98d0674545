//! What the members of a group did, and the checks of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use ottla_raft::{Chunks, NodeId, Position, StateMachine, View};
use parking_lot::Mutex;

/// Written by all members of a simulation, which run on one thread.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// What was applied at each index, by whoever was first.
    applied: BTreeMap<u64, (Position, Bytes)>,
    /// The same entry is applied only once.
    seen: BTreeMap<Bytes, u64>,
    acknowledged: Vec<(Position, Bytes)>,
    /// What was said to be in no log.
    refused: BTreeSet<Bytes>,
    leaders: BTreeMap<u64, NodeId>,
    calls: BTreeMap<NodeId, u64>,
    restored: BTreeMap<NodeId, u64>,
    violations: Vec<String>,
    lines: Vec<String>,
}

impl Journal {
    pub(crate) fn note(&self, line: String) {
        self.0.lock().lines.push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().lines.clone()
    }

    pub(crate) fn leads(&self, id: NodeId, term: u64) {
        let mut inner = self.0.lock();
        if let Some(other) = inner.leaders.insert(term, id)
            && other != id
        {
            let violation = format!("term {term} has the leaders {other} and {id}");
            inner.violations.push(violation);
        }
    }

    pub(crate) fn acknowledged(&self, at: Position, entry: Bytes) {
        self.0.lock().acknowledged.push((at, entry));
    }

    pub(crate) fn acknowledged_count(&self) -> usize {
        self.0.lock().acknowledged.len()
    }

    pub(crate) fn refused(&self, entry: Bytes) {
        self.0.lock().refused.insert(entry);
    }

    /// Somebody calls a member.
    pub(crate) fn called(&self, id: NodeId) {
        *self.0.lock().calls.entry(id).or_default() += 1;
    }

    /// How often a member was called.
    pub(crate) fn calls(&self, id: NodeId) -> u64 {
        self.0.lock().calls.get(&id).copied().unwrap_or_default()
    }

    /// How often a member has restored a snapshot.
    pub(crate) fn restored(&self, id: NodeId) -> u64 {
        self.0.lock().restored.get(&id).copied().unwrap_or_default()
    }

    fn applied(&self, id: NodeId, at: Position, entry: &[u8]) {
        let mut inner = self.0.lock();
        let entry = Bytes::copy_from_slice(entry);
        let known = inner
            .applied
            .entry(at.index)
            .or_insert_with(|| (at, entry.clone()));
        if *known != (at, entry.clone()) {
            let violation = format!("{id} applied {entry:?} at {at}, another one {known:?}");
            inner.violations.push(violation);
        }
        if let Some(other) = inner.seen.insert(entry.clone(), at.index)
            && other != at.index
        {
            let violation = format!("{entry:?} was applied at {other} and at {}", at.index);
            inner.violations.push(violation);
        }
    }

    /// Everything that should not have been.
    pub(crate) fn violations(&self) -> Vec<String> {
        let inner = self.0.lock();
        let mut violations = inner.violations.clone();
        for (at, entry) in &inner.acknowledged {
            if inner.applied.get(&at.index) != Some(&(*at, entry.clone())) {
                let found = inner.applied.get(&at.index);
                violations.push(format!("{entry:?} was acknowledged at {at}: {found:?}"));
            }
        }
        for entry in &inner.refused {
            if let Some(index) = inner.seen.get(entry) {
                violations.push(format!("{entry:?} was refused, and applied at {index}"));
            }
        }
        violations
    }
}

/// A state machine that remembers all entries.
pub(crate) struct Recorder {
    pub(crate) id: NodeId,
    pub(crate) journal: Journal,
    pub(crate) entries: Vec<(Position, Bytes)>,
    /// How far what was published reaches.
    pub(crate) published: Arc<Mutex<Option<Position>>>,
}

impl StateMachine for Recorder {
    fn apply(&mut self, at: Position, entry: &[u8]) -> Result<Bytes, String> {
        if self
            .entries
            .last()
            .is_some_and(|(last, _)| last.index >= at.index)
        {
            return Err(format!("{at} comes after {:?}", self.entries.last()));
        }
        self.journal.applied(self.id, at, entry);
        self.entries.push((at, Bytes::copy_from_slice(entry)));
        Ok(Bytes::copy_from_slice(entry))
    }

    fn snapshot(&self) -> View {
        let entries = self.entries.clone();
        Box::new(move || {
            let parts: Vec<Bytes> = entries
                .chunks(7)
                .map(|some| {
                    let mut part = Vec::new();
                    for (at, entry) in some {
                        part.extend(at.term.to_be_bytes());
                        part.extend(at.index.to_be_bytes());
                        part.extend((entry.len() as u64).to_be_bytes());
                        part.extend(&entry[..]);
                    }
                    Bytes::from(part)
                })
                .collect();
            Box::new(parts.into_iter().map(Ok))
        })
    }

    fn restore(&mut self, at: Position, chunks: &mut Chunks<'_>) -> Result<(), String> {
        self.entries.clear();
        *self.journal.0.lock().restored.entry(self.id).or_default() += 1;
        for chunk in chunks {
            let mut chunk = chunk?;
            let number = |chunk: &mut Bytes| {
                u64::from_be_bytes(chunk.split_to(8)[..].try_into().expect("eight bytes"))
            };
            while !chunk.is_empty() {
                let at = Position {
                    term: number(&mut chunk),
                    index: number(&mut chunk),
                };
                let len = number(&mut chunk) as usize;
                let entry = chunk.split_to(len);
                self.journal.applied(self.id, at, &entry);
                self.entries.push((at, entry));
            }
        }
        match self.entries.last() {
            Some((last, _)) if last.index > at.index => {
                Err(format!("the snapshot up to {at} has entry {last}"))
            }
            _ => Ok(()),
        }
    }

    fn applied(&mut self, at: Position) {
        *self.published.lock() = Some(at);
    }
}
