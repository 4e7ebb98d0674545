//! Copies one partition.
//!
//! The sequence of a batch is the offset that it gets in the target, and all batches of all
//! processes that ever copy from a source have one producer id. So the target itself refuses a
//! batch that does not belong at its end: one that comes late from a process that was killed, or
//! from a second process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use indicatif::ProgressBar;
use ottla_client::{Acks, OffsetAt, Produced};
use ottla_model::ErrorCode;
use ottla_record::{DecompressLimit, Record};

use super::pack::{self, Packed};
use super::runs::{Run, Runs};
use super::state::State;
use crate::cluster::Cluster;
use crate::{Error, size};

/// How much one fetch of a partition brings.
const FETCH_BYTES: i32 = 1024 * 1024;
/// How many batches of a partition are under way; brokers remember so many of a producer.
const IN_FLIGHT: usize = 5;
/// How often a partition is looked at anew without getting on before it is an error.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);
const DECOMPRESS_LIMIT: DecompressLimit = DecompressLimit(128 * 1024 * 1024);

/// What copying works with.
pub(super) struct Copying<'a> {
    pub(super) source: &'a Cluster,
    pub(super) target: &'a Cluster,
    pub(super) state: &'a State<'a>,
    pub(super) bar: &'a ProgressBar,
    /// Bytes that were copied of all partitions.
    pub(super) bytes: &'a AtomicU64,
}

/// A partition on its way.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) topic: String,
    pub(super) topic_id: Option<String>,
    pub(super) index: i32,
    /// The most bytes of a batch that is made anew.
    pub(super) batch_bytes: usize,
    pub(super) runs: Runs,
    /// The next source offset to read.
    pub(super) next: i64,
    /// The offset that the next record gets.
    pub(super) target_end: i64,
    /// Records and bytes that were copied.
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// Offsets whose records the source deleted before they were copied.
    pub(super) lost: i64,
    /// Where the target ends if what was sent last has arrived; `None` when that is known.
    in_doubt: Option<i64>,
}

impl Copying<'_> {
    /// Finds out how far a partition was copied before.
    pub(super) async fn begin(
        &self,
        topic: &str,
        topic_id: Option<&str>,
        index: i32,
        batch_bytes: usize,
    ) -> Result<Partition, Error> {
        let name = format!("partition {index} of topic {topic}");
        let failed = |reason: String| Error::Failed {
            action: format!("copying {name}"),
            reason,
        };
        let remembered = self.state.remembered(topic, index);
        let target_end = self
            .offset(self.target, topic, index, OffsetAt::Latest)
            .await?;
        let mut partition = Partition {
            topic: topic.to_owned(),
            topic_id: topic_id.map(str::to_owned),
            index,
            batch_bytes,
            runs: remembered.runs,
            next: 0,
            target_end,
            records: 0,
            bytes: 0,
            lost: 0,
            in_doubt: None,
        };
        let made_anew = matches!((&remembered.topic_id, topic_id), (Some(a), Some(b)) if a != b);
        if target_end > 0 && made_anew && !partition.runs.is_empty() {
            return Err(failed(
                "the source's topic was deleted and made anew since it was copied; delete the \
                 topic in the target to copy it again"
                    .to_owned(),
            ));
        }
        partition.runs.truncate(target_end);
        match partition.runs.source_behind(target_end) {
            Some(next) => {
                partition.next = next;
                self.compare_last(&partition).await?;
            }
            None if target_end > 0 => {
                return Err(failed(
                    "the target holds records there that were not copied by this tool; copy into \
                     a topic that is empty or not there yet"
                        .to_owned(),
                ));
            }
            None => {
                partition.runs = Runs::default();
                partition.next = self
                    .offset(self.source, topic, index, OffsetAt::Earliest)
                    .await?;
            }
        }
        Ok(partition)
    }

    async fn offset(
        &self,
        cluster: &Cluster,
        topic: &str,
        index: i32,
        at: OffsetAt,
    ) -> Result<i64, Error> {
        let found = cluster.offsets_at(topic, &[index], at).await?;
        Ok(found.first().and_then(|(_, offset)| *offset).unwrap_or(0))
    }

    /// The last record that was copied must be the same on both sides, where both still have it:
    /// else somebody else wrote to the target.
    async fn compare_last(&self, partition: &Partition) -> Result<(), Error> {
        let copied = record(self.target, partition, partition.target_end - 1).await?;
        let original = record(self.source, partition, partition.next - 1).await?;
        let (Some(copied), Some(original)) = (copied, original) else {
            return Ok(());
        };
        let content = |r: &Record| (r.key.clone(), r.value.clone(), r.headers.clone());
        if content(&copied) == content(&original) {
            return Ok(());
        }
        Err(foreign(partition))
    }

    /// Copies until the end that the source has when this begins.
    pub(super) async fn copy(&self, partition: &mut Partition) -> Result<(), Error> {
        if let Some(planned) = partition.in_doubt {
            self.look_anew(partition, planned).await?;
        }
        let mut goal = None;
        let mut attempts = 0;
        loop {
            let before = (partition.next, partition.target_end);
            let stable = match self.step(partition).await? {
                Step::Copied { last_stable_offset } => Some(last_stable_offset),
                Step::Again => None,
            };
            goal = goal.or(stable);
            if goal.is_some_and(|goal| partition.next >= goal) && stable.is_some() {
                return Ok(());
            }
            if (partition.next, partition.target_end) > before {
                attempts = 0;
                continue;
            }
            attempts += 1;
            if attempts == ATTEMPTS {
                return Err(Error::Failed {
                    action: format!(
                        "copying partition {} of topic {}",
                        partition.index, partition.topic
                    ),
                    reason: format!(
                        "it does not get on at offset {} of the source, {} of the target; try again",
                        partition.next, partition.target_end
                    ),
                });
            }
            self.target.runtime().clock.sleep(PAUSE).await;
        }
    }

    /// One fetch, and the records that it brought.
    async fn step(&self, partition: &mut Partition) -> Result<Step, Error> {
        let (topic, index) = (partition.topic.as_str(), partition.index);
        let action = || format!("reading partition {index} of topic {topic} from the source");
        let client = &self.source.client;
        let fetched = client
            .fetch_committed(topic, index, partition.next, FETCH_BYTES)
            .await;
        let fetched = match fetched {
            Err(error) if error.code() == Some(ErrorCode::OffsetOutOfRange) => {
                let first = self
                    .offset(self.source, topic, index, OffsetAt::Earliest)
                    .await?;
                if first <= partition.next {
                    return Err(self.source.failure(&action(), &error));
                }
                partition.lost += first - partition.next;
                partition.next = first;
                return Ok(Step::Again);
            }
            fetched => self.source.checked(action(), fetched)?,
        };
        let packed = pack::pack(&fetched.batches, partition.next, partition.batch_bytes);
        let packed = packed.map_err(|error| Error::Failed {
            action: action(),
            reason: error.to_string(),
        })?;
        let before = partition.next;
        for window in packed.chunks(IN_FLIGHT) {
            if !self.send(partition, window).await? {
                return Ok(Step::Again);
            }
        }
        partition.next = fetched.next_offset.max(before);
        self.bar
            .inc(u64::try_from(partition.next - before).unwrap_or(0));
        Ok(Step::Copied {
            last_stable_offset: fetched.last_stable_offset,
        })
    }

    /// Sends batches, of which each goes behind the one before. When one did not find its place,
    /// the partition is looked at anew, and it is `false`.
    async fn send(&self, partition: &mut Partition, window: &[Packed]) -> Result<bool, Error> {
        let mut begun: Vec<Run> = Vec::new();
        let mut end = partition.target_end;
        let mut sealed = Vec::new();
        for packed in window {
            let base = end;
            for span in &packed.spans {
                begun.extend(partition.runs.plan(span.source, end));
                end += span.records;
            }
            let bytes = packed.seal(self.state.producer, sequence(base));
            let bytes = bytes.map_err(|error| Error::Failed {
                action: self.writing(partition),
                reason: error.to_string(),
            })?;
            sealed.push((base, bytes));
        }
        let topic = partition.topic.clone();
        let (topic, id) = (topic.as_str(), partition.topic_id.as_deref());
        self.state.plan(topic, id, partition.index, &begun).await?;
        partition.in_doubt = Some(end);
        let index = partition.index;
        let sent = sealed.into_iter().map(|(base, bytes)| async move {
            let client = &self.target.client;
            let produced = client.produce(topic, index, Acks::All, bytes);
            (base, produced.await)
        });
        let mut failed = None;
        for (base, produced) in join_all(sent).await {
            match produced {
                Ok(Produced { base_offset, .. }) if base_offset < 0 || base_offset == base => {}
                Ok(_) => return Err(foreign(partition)),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        let Some(error) = failed else {
            partition.target_end = end;
            partition.in_doubt = None;
            for packed in window {
                partition.bytes += packed.bytes();
                self.bytes.fetch_add(packed.bytes(), Relaxed);
                partition.records += u64::try_from(packed.records()).unwrap_or(0);
            }
            let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
            let speed = self.bytes.load(Relaxed) as f64 / seconds;
            self.bar
                .set_message(format!("{}/s", size::bytes_text(speed as u64)));
            return Ok(true);
        };
        let somebody_else_wrote = matches!(
            error.code(),
            Some(ErrorCode::OutOfOrderSequenceNumber | ErrorCode::DuplicateSequenceNumber)
        );
        if !somebody_else_wrote {
            return Err(self.target.failure(&self.writing(partition), &error));
        }
        self.look_anew(partition, end).await?;
        Ok(false)
    }

    fn writing(&self, partition: &Partition) -> String {
        format!(
            "writing partition {} of topic {} to the target",
            partition.index, partition.topic
        )
    }

    async fn look_anew(&self, partition: &mut Partition, planned: i64) -> Result<(), Error> {
        let end = self
            .offset(
                self.target,
                &partition.topic,
                partition.index,
                OffsetAt::Latest,
            )
            .await?;
        if end > planned {
            return Err(foreign(partition));
        }
        if let Some(next) = partition.runs.source_behind(end) {
            partition.next = next;
        }
        partition.runs.truncate(end);
        partition.target_end = end;
        partition.in_doubt = None;
        Ok(())
    }
}

enum Step {
    Copied { last_stable_offset: i64 },
    Again,
}

/// The offset as a sequence, which begins at 0 again after the largest number.
fn sequence(offset: i64) -> i32 {
    i32::try_from(offset & i64::from(i32::MAX)).unwrap_or(0)
}

fn foreign(partition: &Partition) -> Error {
    Error::Failed {
        action: format!(
            "copying partition {} of topic {}",
            partition.index, partition.topic
        ),
        reason: "somebody else writes to it in the target; stop producers there, delete the topic \
                 in the target and copy it again"
            .to_owned(),
    }
}

/// The record at an offset, if it is still there.
async fn record(
    cluster: &Cluster,
    partition: &Partition,
    offset: i64,
) -> Result<Option<Record>, Error> {
    let (topic, index) = (partition.topic.as_str(), partition.index);
    let action = || format!("comparing the last record of partition {index} of topic {topic}");
    let fetched = cluster
        .client
        .fetch_committed(topic, index, offset, 1)
        .await;
    let fetched = match fetched {
        Err(error) if error.code() == Some(ErrorCode::OffsetOutOfRange) => return Ok(None),
        fetched => cluster.checked(action(), fetched)?,
    };
    let Some(batch) = fetched.batches.first() else {
        return Ok(None);
    };
    let records = batch.records(DECOMPRESS_LIMIT);
    let mut records = records.map_err(|error| Error::Failed {
        action: action(),
        reason: error.to_string(),
    })?;
    Ok(records.find_map(|record| record.ok().filter(|record| record.offset == offset)))
}
