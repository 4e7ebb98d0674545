//! What lies on a stopped node's disk, looked at batch by batch.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ottla_record::{DecompressLimit, split_batches};

use crate::history::Place;

const LIMIT: DecompressLimit = DecompressLimit(64 << 20);

/// What was found in the partitions of one node.
#[derive(Debug, Default)]
pub struct Audit {
    /// What may not be, as text.
    pub findings: Vec<String>,
    /// Values that lie there several times, each time written by the same producer in another epoch:
    /// its client did not know whether it had been heard, gave itself a new epoch, and sent again.
    pub written_again: BTreeSet<(Place, String)>,
}

/// Goes through all partitions but those of internal topics.
pub fn audit(data_dir: &Path) -> Result<Audit> {
    let mut audit = Audit::default();
    for entry in fs::read_dir(data_dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((topic, partition)) = name.rsplit_once('-') else {
            continue;
        };
        let Ok(partition) = partition.parse() else {
            continue;
        };
        if !topic.is_empty() && !topic.starts_with('_') && entry.file_type()?.is_dir() {
            audit.partition(&Place::of(topic, partition), &entry.path())?;
        }
    }
    Ok(audit)
}

impl Audit {
    fn partition(&mut self, place: &Place, folder: &Path) -> Result<()> {
        let mut segments: Vec<_> = fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        segments.sort();
        let mut writers: BTreeMap<String, Vec<(i64, i16)>> = BTreeMap::new();
        let (mut next_offset, mut leader_epoch) = (0, -1);
        for segment in segments {
            let bytes =
                fs::read(&segment).with_context(|| format!("cannot read {}", segment.display()))?;
            for batch in split_batches(bytes.into()) {
                let batch = match batch {
                    Ok(batch) => batch,
                    Err(error) => {
                        self.findings
                            .push(format!("{place} behind {next_offset}: {error}"));
                        break;
                    }
                };
                let header = batch.header();
                let (first, epoch) = (header.base_offset, header.partition_leader_epoch);
                if let Err(error) = batch.verify_crc() {
                    self.findings.push(format!("{place}@{first}: {error}"));
                    continue;
                }
                if first < next_offset {
                    self.findings
                        .push(format!("{place}@{first} comes where {next_offset} is due"));
                }
                if epoch < leader_epoch {
                    let what = format!("{place}@{first} has epoch {epoch} behind {leader_epoch}");
                    self.findings.push(what);
                }
                (next_offset, leader_epoch) = (header.last_offset() + 1, epoch);
                if header.attributes.is_control() {
                    continue;
                }
                let writer = (header.producer_id, header.producer_epoch);
                for record in batch.records(LIMIT)? {
                    let value = record?.value.unwrap_or_default();
                    let value = String::from_utf8_lossy(&value).into_owned();
                    writers.entry(value).or_default().push(writer);
                }
            }
        }
        for (value, writers) in writers {
            let producers: BTreeSet<i64> = writers.iter().map(|(id, _)| *id).collect();
            let incarnations: BTreeSet<(i64, i16)> = writers.iter().copied().collect();
            let is_idempotent = producers.iter().all(|id| *id >= 0);
            if writers.len() > 1
                && producers.len() == 1
                && is_idempotent
                && incarnations.len() == writers.len()
            {
                self.written_again.insert((place.clone(), value));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ottla_record::{Batch, BatchBuilder, BatchOptions};

    use super::*;

    /// A batch of one record with this value, by producer 7.
    fn batch(value: &str, offset: i64, leader_epoch: i32, producer_epoch: i16) -> Vec<u8> {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        builder
            .append(1, None, Some(value.as_bytes()), &[])
            .unwrap();
        let built = Batch::parse(builder.build().unwrap()).unwrap();
        let mut header = *built.header();
        header.base_offset = offset;
        header.partition_leader_epoch = leader_epoch;
        header.producer_id = 7;
        header.producer_epoch = producer_epoch;
        Batch::assemble(header, &built.body())
            .unwrap()
            .bytes()
            .to_vec()
    }

    fn audit_of(log: &[u8]) -> Audit {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("orders-0")).unwrap();
        fs::write(folder.path().join("orders-0/0.log"), log).unwrap();
        audit(folder.path()).unwrap()
    }

    #[test]
    fn a_good_log_has_no_findings() {
        let found = audit_of(&[batch("a", 0, 0, 0), batch("b", 1, 2, 0)].concat());
        assert!(
            found.findings.is_empty() && found.written_again.is_empty(),
            "{found:?}"
        );
    }

    #[test]
    fn offsets_and_epochs_that_go_back_and_damage_are_found() {
        let twice = audit_of(&[batch("a", 0, 0, 0), batch("b", 0, 0, 0)].concat());
        assert_eq!(twice.findings, ["orders-0@0 comes where 1 is due"]);
        let back = audit_of(&[batch("a", 0, 3, 0), batch("b", 1, 2, 0)].concat());
        assert_eq!(back.findings, ["orders-0@1 has epoch 2 behind 3"]);
        let mut damaged = batch("a", 0, 0, 0);
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(audit_of(&damaged).findings.len(), 1);
    }

    #[test]
    fn only_a_new_epoch_of_the_same_producer_excuses_a_second_copy() {
        let again = audit_of(&[batch("a", 0, 0, 0), batch("a", 1, 0, 1)].concat());
        assert_eq!(again.written_again.len(), 1);
        let duplicate = audit_of(&[batch("a", 0, 0, 0), batch("a", 1, 0, 0)].concat());
        assert!(duplicate.written_again.is_empty());
    }
}
