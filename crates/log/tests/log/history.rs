//! What a log should say of its transactions: the slow and plain way, from all that it ever had.

use std::collections::{BTreeMap, BTreeSet};

use ottla_log::{AppendError, Log, UpTo};
use ottla_model::{Offset, ProducerId};
use ottla_record::{Batch, ControlType, split_batches};

use crate::world::*;

/// One batch of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) base: Offset,
    pub(crate) last: Offset,
    pub(crate) id: ProducerId,
    pub(crate) epoch: i16,
    pub(crate) last_sequence: i32,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain(Vec<String>),
    Transactional(Vec<String>),
    Marker { commit: bool },
}

impl Fact {
    pub(crate) fn of(batch: &Batch) -> Fact {
        let header = batch.header();
        let values = || {
            let values = batch.records(LIMIT).unwrap();
            let text = |r: ottla_record::Record| String::from_utf8(r.value.unwrap().to_vec());
            values.map(|r| text(r.unwrap()).unwrap()).collect()
        };
        let kind = if header.attributes.is_control() {
            let (control_type, _) = batch.control_record(LIMIT).unwrap();
            Kind::Marker {
                commit: control_type == ControlType::Commit,
            }
        } else if header.attributes.is_transactional() {
            Kind::Transactional(values())
        } else {
            Kind::Plain(values())
        };
        Fact {
            base: header.base_offset,
            last: header.last_offset(),
            id: header.producer_id,
            epoch: header.producer_epoch,
            last_sequence: header.last_sequence(),
            kind,
        }
    }
}

/// All batches that a log has or had, by base offset, and what became of producers.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) facts: BTreeMap<Offset, Fact>,
    /// Batches that were acknowledged.
    pub(crate) acked: BTreeSet<Offset>,
}

/// An aborted transaction: producer, first offset, and the marker's.
type Aborted = (ProducerId, Offset, Offset);

#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) open: BTreeMap<ProducerId, Offset>,
    /// The newest epoch, and the last sequence in it.
    pub(crate) producers: BTreeMap<ProducerId, (i16, i32)>,
    aborted: Vec<Aborted>,
}

impl History {
    pub(crate) fn summary(&self) -> Summary {
        let mut all = Summary::default();
        for fact in self.facts.values() {
            let first = all.open.get(&fact.id).copied();
            match &fact.kind {
                Kind::Plain(_) => {}
                Kind::Transactional(_) => {
                    all.open.entry(fact.id).or_insert(fact.base);
                }
                Kind::Marker { commit } => {
                    all.open.remove(&fact.id);
                    if let Some(first) = first.filter(|_| !commit) {
                        all.aborted.push((fact.id, first, fact.base));
                    }
                }
            }
            if fact.id >= 0 {
                let known = all.producers.entry(fact.id).or_insert((fact.epoch, -1));
                let is_marker = matches!(fact.kind, Kind::Marker { .. });
                if fact.epoch != known.0 {
                    *known = (fact.epoch, -1);
                }
                if !is_marker {
                    known.1 = fact.last_sequence;
                }
            }
        }
        all
    }

    /// Takes over what the log has; whatever was acknowledged must be there, as it was.
    pub(crate) fn compare_with_batches(&mut self, log: &Log) {
        let offsets = log.offsets();
        let mut found = BTreeMap::new();
        let mut at = offsets.log_start_offset;
        loop {
            let read = log.read_blocking(at, 900, true, UpTo::LogEnd).unwrap();
            if read.chunks.is_empty() {
                break;
            }
            for batch in split_batches(read.chunks.concat().into()) {
                let fact = Fact::of(&batch.unwrap());
                found.insert(fact.base, fact);
            }
            at = read.next_offset;
        }
        assert_eq!(at, offsets.log_end_offset);
        for base in &self.acked {
            let fact = &self.facts[base];
            if fact.last >= offsets.log_start_offset {
                assert_eq!(found.get(base), Some(fact), "acknowledged and not there");
            }
        }
        self.facts.retain(|_, f| f.last < offsets.log_start_offset);
        self.facts.extend(found);
    }

    /// Compares the log's offsets, producers and reads with what follows from the batches.
    pub(crate) async fn compare_transactions(&self, log: &Log, random: &ottla_runtime::Random) {
        let all = self.summary();
        let offsets = log.offsets();
        let (start, end) = (offsets.log_start_offset, offsets.high_watermark);
        let oldest = all.open.values().min().copied();
        let stable = oldest.map_or(end, |first| first.max(start).min(end));
        assert_eq!(offsets.last_stable_offset, stable, "{offsets:?}");
        let found = log.oldest_open_transaction().map(|open| open.first_offset);
        assert_eq!(found, oldest);
        for (id, entry) in log.active_producers().await.unwrap() {
            let open = all.open.get(&id).copied();
            assert_eq!(entry.transaction_start, open, "producer {id}");
            assert_eq!((entry.epoch, entry.last_sequence()), all.producers[&id]);
        }
        let ids: Vec<ProducerId> = all.open.keys().copied().collect();
        let known = log.active_producers().await.unwrap();
        assert!(ids.iter().all(|id| known.iter().any(|(k, _)| k == id)));
        self.compare_reads(log, &all, stable, random);
    }

    fn compare_reads(
        &self,
        log: &Log,
        all: &Summary,
        stable: Offset,
        random: &ottla_runtime::Random,
    ) {
        let start = log.log_start_offset();
        let is_aborted = |fact: &Fact| {
            let covers = |a: &&Aborted| a.0 == fact.id && (a.1..a.2).contains(&fact.base);
            all.aborted.iter().any(|a| covers(&a))
        };
        let mut committed = Vec::new();
        for fact in self.facts.values().filter(|f| f.last < stable) {
            let values = match &fact.kind {
                Kind::Marker { .. } => continue,
                Kind::Transactional(_) if is_aborted(fact) => continue,
                Kind::Transactional(values) | Kind::Plain(values) => values,
            };
            let records = values.iter().enumerate();
            let records = records.map(|(i, v)| (fact.base + i as i64, v.clone()));
            committed.extend(records.filter(|(offset, _)| *offset >= start));
        }
        assert_eq!(read_committed(log, start).unwrap(), committed);
        for _ in 0..5 {
            let from = start + random.below((stable - start) as u64 + 1) as i64;
            let bytes = random.below(2000) as usize;
            let read = log
                .read_blocking(from, bytes, true, UpTo::LastStable)
                .unwrap();
            let overlaps = |a: &&Aborted| a.2 >= from && a.1 < read.next_offset;
            let expected = all.aborted.iter().filter(overlaps);
            let expected: Vec<_> = expected.map(|a| (a.0, a.1)).collect();
            let found: Vec<_> = read
                .aborted
                .iter()
                .map(|a| (a.producer_id, a.first_offset))
                .collect();
            if !read.chunks.is_empty() {
                assert_eq!(found, expected, "from {from} to {}", read.next_offset);
            }
        }
    }

    /// Appends and notes what was acknowledged. `false` when there was no answer.
    pub(crate) fn note(
        &mut self,
        batch: &Batch,
        answer: Result<ottla_log::Appended, AppendError>,
    ) -> bool {
        let appended = match answer {
            Ok(appended) => appended,
            Err(AppendError::Closed) => return false,
            Err(other) => panic!("{:?}: {other}", Fact::of(batch)),
        };
        let mut fact = Fact::of(batch);
        fact.base = appended.base_offset;
        fact.last = appended.last_offset;
        self.acked.insert(fact.base);
        assert!(self.facts.insert(fact.base, fact).is_none());
        true
    }
}
