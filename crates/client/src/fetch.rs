//! Whole batches of one partition, without those of transactions that were aborted: what copies a
//! partition without looking into its records.

use std::collections::BTreeSet;

use ottla_model::ProducerId;
use ottla_record::{Batch, ControlType, DecompressLimit, split_batches};
use ottla_wire::messages::FetchRequest;
use ottla_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_wire::messages::fetch_response::{AbortedTransaction, PartitionData};
use ottla_wire::{ApiKey, Chunks};

use crate::consumer::fetch_from;
use crate::{Broker, Client, Error};

/// `isolation.level=read_committed`.
const READ_COMMITTED: i8 = 1;
/// Enough for the key of a transaction's marker.
const MARKER_LIMIT: DecompressLimit = DecompressLimit(64 * 1024);

/// What a fetch brought.
#[derive(Debug, Clone, Default)]
pub struct CommittedBatches {
    /// Batches of records in the order of their offsets, as the broker holds them. The first may
    /// begin before the offset that was asked for.
    pub batches: Vec<Batch>,
    /// The offset to ask for next. It lies behind the last batch where markers or aborted records
    /// follow that.
    pub next_offset: i64,
    /// The offset before which every transaction is decided: no fetch goes beyond it.
    pub last_stable_offset: i64,
}

impl Client {
    /// Fetches committed batches from an offset on (`isolation.level=read_committed`), at most
    /// about `max_bytes`, but one batch in any case. It does not wait for new ones. Tried again
    /// within the deadline while that can help; `OFFSET_OUT_OF_RANGE` is an error.
    pub async fn fetch_committed(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        max_bytes: i32,
    ) -> Result<CommittedBatches, Error> {
        let mut retry = self.retry();
        loop {
            let fetched = self.fetch_committed_once(topic, partition, offset, max_bytes);
            match fetched.await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => {
                    self.forget(topic);
                    retry.after(error).await?;
                }
            }
        }
    }

    async fn fetch_committed_once(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        max_bytes: i32,
    ) -> Result<CommittedBatches, Error> {
        let Broker::Id(leader) = self.leader(topic, partition).await? else {
            return Ok(CommittedBatches::default());
        };
        let request = FetchRequest {
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes,
            isolation_level: READ_COMMITTED,
            topics: vec![FetchTopic {
                topic: topic.into(),
                topic_id: self.topic_id(topic).unwrap_or_default(),
                partitions: vec![FetchPartition {
                    partition,
                    fetch_offset: offset,
                    partition_max_bytes: max_bytes,
                    ..FetchPartition::default()
                }],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        let (_, answer) = fetch_from(self, leader, request).await?;
        let api = ApiKey::Fetch;
        let subject = format!("{topic}-{partition}");
        Error::check(api, &subject, answer.error_code, None)?;
        let answers = answer.responses.into_iter().flat_map(|t| t.partitions);
        let Some(data) = answers
            .into_iter()
            .find(|data| data.partition_index == partition)
        else {
            let reason = "it lacks the partition";
            return Err(Error::bad_response(&format!("{leader}"), api, reason));
        };
        let at = format!("offset {offset} of {subject}");
        Error::check(api, at, data.error_code, None)?;
        committed(data, offset).map_err(|source| Error::Records { subject, source })
    }
}

/// Leaves out markers, and the batches of aborted transactions: a producer's, from the first
/// offset of the transaction to the marker that aborts it.
fn committed(data: PartitionData, offset: i64) -> Result<CommittedBatches, ottla_record::Error> {
    let mut fetched = CommittedBatches {
        batches: Vec::new(),
        next_offset: offset,
        last_stable_offset: if data.last_stable_offset >= 0 {
            data.last_stable_offset
        } else {
            data.high_watermark
        },
    };
    let mut aborted = data.aborted_transactions.unwrap_or_default();
    aborted.sort_by_key(|transaction| transaction.first_offset);
    let mut aborting = Aborting::new(aborted);
    let bytes = data.records.map(Chunks::into_contiguous);
    for batch in split_batches(bytes.unwrap_or_default()) {
        let batch = match batch {
            Ok(batch) => batch,
            // The broker cuts off where the response's limit is; the rest comes next time.
            Err(ottla_record::Error::Truncated { .. }) => break,
            Err(error) => return Err(error),
        };
        let header = batch.header();
        let wanted = aborting.wants(&batch)?;
        let next = header.last_offset().saturating_add(1);
        if next <= fetched.next_offset {
            continue;
        }
        fetched.next_offset = next;
        if wanted && header.record_count > 0 {
            batch.verify_crc()?;
            fetched.batches.push(batch);
        }
    }
    Ok(fetched)
}

/// Whose records are being aborted where the reader stands.
struct Aborting {
    /// In the order of their first offsets.
    to_come: std::iter::Peekable<std::vec::IntoIter<AbortedTransaction>>,
    producers: BTreeSet<ProducerId>,
}

impl Aborting {
    fn new(aborted: Vec<AbortedTransaction>) -> Self {
        Aborting {
            to_come: aborted.into_iter().peekable(),
            producers: BTreeSet::new(),
        }
    }

    fn wants(&mut self, batch: &Batch) -> Result<bool, ottla_record::Error> {
        let header = batch.header();
        let last = header.last_offset();
        while let Some(begun) = self.to_come.next_if(|t| t.first_offset <= last) {
            self.producers.insert(begun.producer_id);
        }
        if header.attributes.is_control() {
            // Compaction may have left a marker's batch without its record; that ends nothing.
            if header.record_count > 0
                && let (ControlType::Abort, _) = batch.control_record(MARKER_LIMIT)?
            {
                self.producers.remove(&header.producer_id);
            }
            return Ok(false);
        }
        Ok(!(header.attributes.is_transactional() && self.producers.contains(&header.producer_id)))
    }
}

#[cfg(test)]
mod tests;
