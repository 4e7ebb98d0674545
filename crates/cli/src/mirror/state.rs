//! What a mirror remembers, in a topic of the target: so it can go on from any machine.
//!
//! A run is written down before its records are. The end of a partition in the target then tells
//! how far copying came, and the runs tell which record of the source is next.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use ottla_client::Acks;
use ottla_model::ErrorCode;
use ottla_record::{BatchBuilder, BatchOptions, DecompressLimit};
use serde::{Deserialize, Serialize};

use super::runs::{Run, Runs};
use crate::Error;
use crate::cluster::{Cluster, CreateTopic};

/// Where the target keeps what mirrors remember.
pub(crate) const STATE_TOPIC: &str = "__ottla_mirror";

const WAIT: Duration = Duration::from_millis(20);

/// A line of the state topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// The cluster that is copied from.
    source: String,
    /// The process that wrote it: what one says after another has begun does not count.
    session: String,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// A process begins.
    Begin {
        producer_id: i64,
        producer_epoch: i16,
    },
    /// Where records of a partition are going to be: pairs of source and target offset.
    Runs {
        topic: String,
        topic_id: Option<String>,
        partition: i32,
        runs: Vec<(i64, i64)>,
    },
}

/// What is remembered of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) topic_id: Option<String>,
    pub(super) runs: Runs,
}

/// All that is remembered of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// The producer of all copies from this source, of the first process that ever began. Since
    /// sequences are the target's offsets, a batch lands where it belongs or nowhere.
    producer: Option<(i64, i16)>,
    session: String,
    partitions: BTreeMap<(String, i32), Remembered>,
}

impl Memory {
    /// What the lines of a source come to.
    pub(super) fn of(lines: impl IntoIterator<Item = Line>, source: &str) -> Memory {
        let mut memory = Memory::default();
        for line in lines.into_iter().filter(|line| line.source == source) {
            match line.what {
                What::Begin {
                    producer_id,
                    producer_epoch,
                } => {
                    memory.producer.get_or_insert((producer_id, producer_epoch));
                    memory.session = line.session;
                }
                What::Runs {
                    topic,
                    topic_id,
                    partition,
                    runs,
                } if line.session == memory.session => {
                    let remembered = memory.partitions.entry((topic, partition)).or_default();
                    if remembered.topic_id != topic_id {
                        *remembered = Remembered {
                            topic_id,
                            ..Remembered::default()
                        };
                    }
                    for (source, target) in runs {
                        remembered.runs.replace_from(Run { source, target });
                    }
                }
                What::Runs { .. } => {}
            }
        }
        memory
    }
}

/// The state topic, in use by this process.
pub(super) struct State<'a> {
    target: &'a Cluster,
    source: String,
    session: String,
    pub(super) producer: (i64, i16),
    memory: Memory,
    /// Up to here nobody else has begun to copy from the source.
    seen: AtomicI64,
}

impl<'a> State<'a> {
    /// Makes the topic if it is not there, and announces this process.
    pub(super) async fn open(target: &'a Cluster, source: &str) -> Result<State<'a>, Error> {
        create(target).await?;
        let producer = target.client.init_producer_id().await;
        let (producer_id, producer_epoch) = target.checked("asking for a producer id", producer)?;
        let session = format!("{:016x}", target.runtime().random.below(u64::MAX));
        let mut state = State {
            target,
            source: source.to_owned(),
            session,
            producer: (producer_id, producer_epoch),
            memory: Memory::default(),
            seen: AtomicI64::new(0),
        };
        let begin = What::Begin {
            producer_id,
            producer_epoch,
        };
        let end = state.write(begin).await? + 1;
        state.memory = Memory::of(read(target, 0, end).await?, source);
        state.seen.store(end, Relaxed);
        state.producer = state.memory.producer.unwrap_or(state.producer);
        Ok(state)
    }

    /// What was remembered of a partition when this process began.
    pub(super) fn remembered(&self, topic: &str, partition: i32) -> Remembered {
        let key = (topic.to_owned(), partition);
        self.memory
            .partitions
            .get(&key)
            .cloned()
            .unwrap_or_default()
    }

    /// Writes down where records are going to be. Once another process has begun, what this one
    /// says does not count any more, and it must not send what it planned.
    pub(super) async fn plan(
        &self,
        topic: &str,
        topic_id: Option<&str>,
        partition: i32,
        runs: &[Run],
    ) -> Result<(), Error> {
        if runs.is_empty() {
            return Ok(());
        }
        let runs = What::Runs {
            topic: topic.to_owned(),
            topic_id: topic_id.map(str::to_owned),
            partition,
            runs: runs.iter().map(|run| (run.source, run.target)).collect(),
        };
        let end = self.write(runs).await? + 1;
        let from = self.seen.load(Relaxed);
        let lines = read(self.target, from, end).await?;
        let mut begun = lines.iter().filter(|line| line.source == self.source);
        if begun.any(|line| line.session != self.session) {
            return Err(Error::Failed {
                action: format!("copying topic {topic}"),
                reason: format!(
                    "another `ottla mirror` from cluster {} has begun since; let only one run",
                    self.source
                ),
            });
        }
        self.seen.fetch_max(end, Relaxed);
        Ok(())
    }

    /// Appends a line, and returns its offset.
    async fn write(&self, what: What) -> Result<i64, Error> {
        let line = Line {
            source: self.source.clone(),
            session: self.session.clone(),
            what,
        };
        let batch = batch(&line, self.target.now_ms())?;
        let client = &self.target.client;
        let written = client.produce(STATE_TOPIC, 0, Acks::All, batch).await;
        let written = self
            .target
            .checked(format!("writing to topic {STATE_TOPIC}"), written)?;
        Ok(written.base_offset)
    }
}

fn batch(line: &Line, now_ms: i64) -> Result<Bytes, Error> {
    let failed = |reason: String| Error::Failed {
        action: format!("writing to topic {STATE_TOPIC}"),
        reason,
    };
    let value = serde_json::to_vec(line).map_err(|error| failed(error.to_string()))?;
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let key = line.source.as_bytes();
    let built = builder
        .append(now_ms, Some(key), Some(&value), &[])
        .and_then(|_| builder.build());
    built.map_err(|error| failed(error.to_string()))
}

async fn create(target: &Cluster) -> Result<(), Error> {
    let forever = |name: &str| (name.to_owned(), "-1".to_owned());
    let topic = CreateTopic {
        name: STATE_TOPIC.to_owned(),
        partitions: Some(1),
        replication_factor: None,
        configs: vec![
            ("cleanup.policy".to_owned(), "delete".to_owned()),
            forever("retention.ms"),
            forever("retention.bytes"),
        ],
        validate_only: false,
    };
    match target.create_topic(&topic).await {
        Ok(_)
        | Err(Error::Refused {
            code: ErrorCode::TopicAlreadyExists,
            ..
        }) => {}
        Err(error) => return Err(error),
    }
    // Its partition may need a moment to get its leader.
    let leaders = target.client.partitions(STATE_TOPIC).await;
    target
        .checked(format!("waiting for topic {STATE_TOPIC}"), leaders)
        .map(drop)
}

/// The lines from an offset on to before `end`. One that this version does not understand is an
/// error: what it says might matter.
async fn read(target: &Cluster, from: i64, end: i64) -> Result<Vec<Line>, Error> {
    const FETCH_BYTES: i32 = 1024 * 1024;
    const DECOMPRESS_LIMIT: DecompressLimit = DecompressLimit(64 * 1024 * 1024);
    let action = || format!("reading topic {STATE_TOPIC}");
    let (mut lines, mut next) = (Vec::new(), from);
    while next < end {
        let fetched = target
            .client
            .fetch_committed(STATE_TOPIC, 0, next, FETCH_BYTES)
            .await;
        let fetched = target.checked(action(), fetched)?;
        if fetched.next_offset <= next {
            // What was acknowledged becomes readable a moment later.
            target.runtime().clock.sleep(WAIT).await;
        }
        for batch in &fetched.batches {
            let records = batch.records(DECOMPRESS_LIMIT);
            for record in records.map_err(|error| unreadable(next, &error))? {
                let record = record.map_err(|error| unreadable(next, &error))?;
                if record.offset < next {
                    continue;
                }
                let line = serde_json::from_slice(&record.value.unwrap_or_default());
                lines.push(line.map_err(|error| unreadable(record.offset, &error))?);
            }
        }
        next = fetched.next_offset;
    }
    Ok(lines)
}

fn unreadable(offset: i64, error: &dyn std::fmt::Display) -> Error {
    Error::Failed {
        action: format!("reading topic {STATE_TOPIC}"),
        reason: format!(
            "the record at offset {offset} cannot be read ({error}); a newer `ottla` may have \
             written it"
        ),
    }
}

/// Topics that are never copied: the clusters' own.
pub(super) fn is_own(topic: &str) -> bool {
    [
        STATE_TOPIC,
        "__consumer_offsets",
        "__transaction_state",
        "__share_group_state",
        "__cluster_metadata",
        "__remote_log_metadata",
    ]
    .contains(&topic)
}
