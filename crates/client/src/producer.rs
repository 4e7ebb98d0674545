//! Sends records: gathers them into batches, per partition and in order.
//!
//! ```text
//!   send ─▶ partitioner ─▶ one task per partition: gather ─▶ batch ─▶ produce ─▶ deliveries
//! ```
//!
//! A partition has one batch under way at a time, so that retries keep the order. With
//! idempotence each partition has a producer id of its own, so that no retry writes twice.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use ottla_model::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE};
use ottla_record::{BatchBuilder, BatchOptions, Compression, Header};
use ottla_runtime::TaskKind;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::partitioner::{Sticky, partition_of_key};
use crate::{Acks, Client, Error, Produced};

/// The settings of a [`Producer`]. Kafka's property in brackets.
#[derive(Debug, Clone)]
pub struct ProducerOptions {
    /// Who must have a record before it counts as delivered (`acks`).
    pub acks: Acks,
    /// Whether retries never write a record twice (`enable.idempotence`); only with
    /// [`Acks::All`].
    pub idempotence: bool,
    /// How batches are compressed (`compression.type`).
    pub compression: Compression,
    /// How long a record waits for others to share its batch (`linger.ms`).
    pub linger: Duration,
    /// The size in bytes at which a batch is sent without waiting (`batch.size`).
    pub batch_bytes: usize,
    /// Bytes of records that are not delivered yet; `send` waits beyond them (`buffer.memory`).
    pub buffer_bytes: usize,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        ProducerOptions {
            acks: Acks::All,
            idempotence: true,
            compression: Compression::None,
            linger: Duration::from_millis(5),
            batch_bytes: 256 * 1024,
            buffer_bytes: 32 * 1024 * 1024,
        }
    }
}

/// A record to send.
#[derive(Debug, Clone, Default)]
pub struct ProducerRecord {
    /// Where to.
    pub topic: String,
    /// The partition; `None` leaves it to the key's hash, or to the turn without a key.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers.
    pub headers: Vec<Header>,
    /// The timestamp; `None` is now.
    pub timestamp_ms: Option<i64>,
}

impl ProducerRecord {
    /// What it takes in memory and, about, in a batch.
    fn bytes(&self) -> usize {
        let len = |b: &Option<Bytes>| b.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter().map(|h| h.key.len() + len(&h.value) + 8);
        64 + len(&self.key) + len(&self.value) + headers.sum::<usize>()
    }
}

/// Where a delivered record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPlace {
    /// The partition.
    pub partition: i32,
    /// The offset, or -1 when the broker does not say (acks 0).
    pub offset: i64,
}

/// Becomes ready when the record is delivered, or cannot be. Need not be awaited.
pub struct Delivery {
    partition: i32,
    done: oneshot::Receiver<Result<i64, Arc<Error>>>,
}

impl Future for Delivery {
    type Output = Result<RecordPlace, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let partition = self.partition;
        Poll::Ready(match ready!(Pin::new(&mut self.done).poll(cx)) {
            Ok(Ok(offset)) => Ok(RecordPlace { partition, offset }),
            Ok(Err(error)) => Err(Error::Delivery(error)),
            Err(_) => Err(Error::Stopping),
        })
    }
}

struct Queued {
    record: ProducerRecord,
    done: oneshot::Sender<Result<i64, Arc<Error>>>,
    _room: OwnedSemaphorePermit,
}

enum Work {
    Record(Queued),
    /// Whatever came before is to be sent now; answered when it has ended.
    Flush(oneshot::Sender<()>),
}

/// How many records may wait in a partition's queue; bytes bound them, too.
const QUEUE: usize = 10_000;

/// Sends records. Dropping it sends what was gathered, but nobody waits for that.
pub struct Producer {
    client: Client,
    options: ProducerOptions,
    room: Arc<Semaphore>,
    queues: Mutex<BTreeMap<(String, i32), mpsc::Sender<Work>>>,
    turns: Mutex<HashMap<String, Sticky>>,
}

impl Producer {
    /// A producer on the client's connections.
    #[must_use]
    pub fn new(client: Client, options: ProducerOptions) -> Self {
        let room = options.buffer_bytes.min(Semaphore::MAX_PERMITS);
        Producer {
            client,
            options,
            room: Arc::new(Semaphore::new(room)),
            queues: Mutex::default(),
            turns: Mutex::default(),
        }
    }

    /// Takes a record in, waiting while the buffer is full. Records of one partition are written
    /// in the order of the calls.
    pub async fn send(&self, mut record: ProducerRecord) -> Result<Delivery, Error> {
        let (bytes, limit) = (record.bytes(), self.options.buffer_bytes);
        let Some(wanted) = u32::try_from(bytes).ok().filter(|_| bytes <= limit) else {
            return Err(Error::RecordTooLarge { bytes, limit });
        };
        let room = Arc::clone(&self.room).acquire_many_owned(wanted).await;
        let room = room.map_err(|_| Error::Stopping)?;
        let partition = self.partition_of(&record, bytes).await?;
        let now_ms = self.client.inner.runtime.clock.now_ms();
        record.timestamp_ms.get_or_insert(now_ms);
        let queue = self.queue(&record.topic, partition);
        let (tx, done) = oneshot::channel();
        let queued = Queued {
            record,
            done: tx,
            _room: room,
        };
        let sent = queue.send(Work::Record(queued)).await;
        sent.map_err(|_| Error::Stopping)?;
        Ok(Delivery { partition, done })
    }

    /// Sends everything that was taken in, and waits until it is delivered or has failed; each
    /// [`Delivery`] tells which.
    pub async fn flush(&self) {
        let queues: Vec<_> = self.queues.lock().values().cloned().collect();
        let mut waiting = Vec::new();
        for queue in queues {
            let (tx, rx) = oneshot::channel();
            if queue.send(Work::Flush(tx)).await.is_ok() {
                waiting.push(rx);
            }
        }
        for done in waiting {
            // A partition whose task is gone has nothing left to send.
            drop(done.await);
        }
    }

    async fn partition_of(&self, record: &ProducerRecord, bytes: usize) -> Result<i32, Error> {
        let count = self.client.partition_count(&record.topic).await?;
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        match (record.partition, &record.key) {
            (Some(partition), _) if (0..count).contains(&partition) => Ok(partition),
            (Some(partition), _) => Err(Error::NoSuchPartition {
                topic: record.topic.clone(),
                partition,
                last: count - 1,
            }),
            (None, Some(key)) => Ok(partition_of_key(key, count)),
            (None, None) => {
                let first = self.client.inner.runtime.random.below(count.max(1) as u64) as i32;
                let mut turns = self.turns.lock();
                let turn = turns
                    .entry(record.topic.clone())
                    .or_insert_with(|| Sticky::new(first, self.options.batch_bytes));
                Ok(turn.next(bytes, count))
            }
        }
    }

    fn queue(&self, topic: &str, partition: i32) -> mpsc::Sender<Work> {
        let mut queues = self.queues.lock();
        let queue = queues.entry((topic.to_owned(), partition));
        let queue = queue.or_insert_with(|| {
            let (tx, rx) = mpsc::channel(QUEUE);
            let lane = Lane {
                client: self.client.clone(),
                options: self.options.clone(),
                topic: topic.to_owned(),
                partition,
                work: rx,
                producer_id: None,
                next_sequence: 0,
            };
            let tasks = &self.client.inner.runtime.tasks;
            tasks.spawn(TaskKind::Connection, "producer of a partition", lane.run());
            tx
        });
        queue.clone()
    }
}

/// Whoever waited for the flush may be gone meanwhile.
fn tell(flushed: oneshot::Sender<()>) {
    flushed.send(()).unwrap_or_default();
}

/// One partition's task.
struct Lane {
    client: Client,
    options: ProducerOptions,
    topic: String,
    partition: i32,
    work: mpsc::Receiver<Work>,
    /// Id and epoch, once they are needed.
    producer_id: Option<(i64, i16)>,
    next_sequence: i32,
}

impl Lane {
    async fn run(mut self) -> Result<(), Infallible> {
        let mut carried = None;
        loop {
            let work = match carried.take() {
                Some(record) => Some(Work::Record(record)),
                None => self.work.recv().await,
            };
            match work {
                None => return Ok(()),
                Some(Work::Flush(done)) => tell(done),
                Some(Work::Record(first)) => {
                    let (batch, next, flushed) = self.gather(first).await;
                    carried = next;
                    self.deliver(batch).await;
                    if let Some(done) = flushed {
                        tell(done);
                    }
                }
            }
        }
    }

    /// Records for one batch, a record that no longer fits, and the flush that ended it.
    async fn gather(
        &mut self,
        first: Queued,
    ) -> (Vec<Queued>, Option<Queued>, Option<oneshot::Sender<()>>) {
        let clock = self.client.inner.runtime.clock.clone();
        let until = clock.instant() + self.options.linger;
        let (mut bytes, mut batch) = (first.record.bytes(), vec![first]);
        while bytes < self.options.batch_bytes {
            let next = match self.work.try_recv() {
                Ok(next) => Some(next),
                Err(_) => {
                    let left = until.saturating_duration_since(clock.instant());
                    clock.timeout(left, self.work.recv()).await.flatten()
                }
            };
            match next {
                None => break,
                Some(Work::Flush(done)) => return (batch, None, Some(done)),
                Some(Work::Record(next)) => {
                    bytes += next.record.bytes();
                    if bytes > self.options.batch_bytes {
                        return (batch, Some(next), None);
                    }
                    batch.push(next);
                }
            }
        }
        (batch, None, None)
    }

    async fn deliver(&mut self, records: Vec<Queued>) {
        match self.produce(&records).await {
            Ok(produced) => {
                for (n, queued) in (0..).zip(records) {
                    let known = produced.base_offset >= 0;
                    let offset = if known { produced.base_offset + n } else { -1 };
                    drop(queued.done.send(Ok(offset)));
                }
            }
            Err(error) => {
                // Whether the batch was written is not known: a new id begins a new sequence.
                self.producer_id = None;
                let error = Arc::new(error);
                for queued in records {
                    drop(queued.done.send(Err(Arc::clone(&error))));
                }
            }
        }
    }

    async fn produce(&mut self, records: &[Queued]) -> Result<Produced, Error> {
        let batch = self.build(records).await?;
        let (client, acks) = (&self.client, self.options.acks);
        client
            .produce(&self.topic, self.partition, acks, batch)
            .await
    }

    async fn build(&mut self, records: &[Queued]) -> Result<Bytes, Error> {
        let mut options = BatchOptions {
            compression: self.options.compression,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            ..BatchOptions::default()
        };
        if self.options.idempotence && self.options.acks == Acks::All {
            if self.producer_id.is_none() {
                self.producer_id = Some(self.client.init_producer_id().await?);
                self.next_sequence = 0;
            }
            if let Some((id, epoch)) = self.producer_id {
                options.producer_id = id;
                options.producer_epoch = epoch;
                options.base_sequence = self.next_sequence;
            }
        }
        let failed = |source| Error::Records {
            subject: format!("{}-{}", self.topic, self.partition),
            source,
        };
        let mut builder = BatchBuilder::new(options);
        for Queued { record, .. } in records {
            let timestamp_ms = record.timestamp_ms.unwrap_or_default();
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            builder
                .append(timestamp_ms, key, value, &record.headers)
                .map_err(failed)?;
        }
        // Sequences go on with 0 behind the highest one.
        let count = builder.record_count();
        let batch = builder.build().map_err(failed)?;
        self.next_sequence = self.next_sequence.wrapping_add(count) & i32::MAX;
        Ok(batch)
    }
}
