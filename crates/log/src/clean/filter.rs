//! What stays of one batch.

use std::collections::BTreeMap;

use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use ottla_record::{
    Batch, BatchHeader, DecompressLimit, Error, KeyedRecord, Retained, retain, without_records,
};

use super::offset_map::OffsetMap;
use super::transactions::Transactions;
use crate::producer_state::ProducerEntry;
use crate::transactions::AbortedEntry;

/// What must be remembered of a producer that is not forgotten yet.
#[derive(Debug, Clone, Copy)]
struct LastRecord {
    /// Where its newest batch ends; `None` when it has only ended transactions since its epoch.
    last_data_offset: Option<Offset>,
    epoch: ProducerEpoch,
}

/// The producers whose last batch must stay, at least without records: it has their sequence.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastRecords(BTreeMap<ProducerId, LastRecord>);

impl LastRecords {
    pub(crate) fn of<'a>(
        producers: impl Iterator<Item = (ProducerId, &'a ProducerEntry)>,
    ) -> LastRecords {
        let last = |(id, entry): (ProducerId, &ProducerEntry)| {
            let last = LastRecord {
                last_data_offset: entry.batches.back().map(|b| b.last_offset),
                epoch: entry.epoch,
            };
            (id, last)
        };
        LastRecords(producers.map(last).collect())
    }

    fn is_last(&self, header: &BatchHeader) -> bool {
        let Some(last) = self.0.get(&header.producer_id) else {
            return false;
        };
        match last.last_data_offset {
            Some(offset) => header.last_offset() == offset,
            None => header.attributes.is_control() && header.producer_epoch == last.epoch,
        }
    }
}

/// By what a cleaning decides.
pub(crate) struct Rules<'a> {
    pub(crate) map: &'a OffsetMap,
    pub(crate) now_ms: TimestampMs,
    /// When tombstones may go that are met for the first time.
    pub(crate) horizon_ms: TimestampMs,
    pub(crate) last_records: &'a LastRecords,
    pub(crate) high_watermark: Offset,
    pub(crate) limit: DecompressLimit,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The same bytes stay.
    Same,
    /// Something else takes its place.
    Replaced(Batch),
    Dropped,
}

/// Records that were counted on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) seen: u64,
    pub(crate) kept: u64,
    /// Records without a key.
    pub(crate) invalid: u64,
    pub(crate) tombstones_dropped: u64,
}

/// Decides about a batch, and gives its entry for the new transaction index.
pub(crate) fn filter(
    batch: &Batch,
    rules: &Rules<'_>,
    transactions: &mut Transactions,
    counted: &mut Counted,
) -> Result<(Outcome, Option<AbortedEntry>), Error> {
    let header = batch.header();
    counted.seen += u64::try_from(header.record_count).unwrap_or(0);
    let is_control = header.attributes.is_control();
    let mut entry = None;
    let is_garbage = if is_control {
        let marker = transactions.on_control(batch);
        entry = marker.entry;
        marker.is_bare
    } else {
        transactions.on_records(header)
    };
    let has_horizon = header.attributes.has_delete_horizon();
    let drop_all = if is_control {
        is_garbage && has_horizon && header.base_timestamp <= rules.now_ms
    } else {
        is_garbage
    };
    let keep_empty = (header.has_producer() && rules.last_records.is_last(header))
        || header.last_offset() + 1 == rules.high_watermark;
    let retained = if drop_all {
        Retained::Nothing
    } else if is_control {
        retain(batch, rules.limit, rules.horizon_ms, is_garbage, |_| true)?
    } else {
        let deletes = !has_horizon || rules.now_ms < header.base_timestamp;
        let keep = |record: KeyedRecord<'_>| stays(record, rules.map, deletes, counted);
        retain(batch, rules.limit, rules.horizon_ms, false, keep)?
    };
    let outcome = match retained {
        Retained::Whole { records } => {
            counted.kept += u64::from(records);
            Outcome::Same
        }
        Retained::Rewritten { batch, records } => {
            counted.kept += u64::from(records);
            Outcome::Replaced(batch)
        }
        Retained::Nothing if !keep_empty => Outcome::Dropped,
        Retained::Nothing if header.record_count == 0 => Outcome::Same,
        Retained::Nothing => Outcome::Replaced(without_records(header)?),
    };
    Ok((outcome, entry))
}

fn stays(record: KeyedRecord<'_>, map: &OffsetMap, deletes: bool, counted: &mut Counted) -> bool {
    if record.offset > map.latest_offset() {
        return true;
    }
    let Some(key) = record.key else {
        counted.invalid += 1;
        return false;
    };
    let is_last = map.get(key).is_none_or(|last| record.offset >= last);
    let stays = record.has_value || deletes;
    counted.tombstones_dropped += u64::from(is_last && !stays);
    is_last && stays
}
