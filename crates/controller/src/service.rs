//! The controller at work: its options, its start, its loop.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_config::NodeConfig;
use ottla_metadata::{
    CLUSTER_METADATA_TOPIC, Command, ConfigRules, Context, Defaults, Image, Quorum, Record,
    Refusal, Reply, Voter, decide,
};
use ottla_model::{ErrorCode, LeaderEpoch, Offset};
use ottla_runtime::mailbox::{Inbox, Responder, mailbox};
use ottla_runtime::published::{Publisher, published};
use ottla_runtime::{Runtime, Shutdown, disk};
use parking_lot::Mutex;

use crate::batch;
use crate::error::Error;
use crate::handle::Handle;
use crate::identity::Identity;
use crate::rules::DeclaredRules;
use crate::snapshot::{self, SnapshotId};
use crate::store::{Appended, Store};

/// How many commands may wait; more callers wait for room.
const MAILBOX_CAPACITY: usize = 256;
/// A round ends when it has so many commands or records, so that its batch stays small.
const COMMANDS_PER_ROUND: usize = 64;
const RECORDS_PER_ROUND: usize = 20_000;

/// What the controller needs to know.
#[derive(Clone)]
pub struct Options {
    /// The folder in which `__cluster_metadata-0` lies (`metadata.log.dir`).
    pub log_dir: PathBuf,
    /// Whose metadata it is.
    pub identity: Identity,
    /// Properties that decisions depend on.
    pub defaults: Defaults,
    /// Which configuration overrides are allowed.
    pub rules: Arc<dyn ConfigRules>,
    /// A snapshot is written after so many bytes of records
    /// (`metadata.log.max.record.bytes.between.snapshots`).
    pub snapshot_after_bytes: u64,
    /// A snapshot is written after so many records.
    pub snapshot_after_records: u64,
}

impl Options {
    /// Options with Kafka's 20 MiB between snapshots, but no more than 20,000 records.
    #[must_use]
    pub fn new(log_dir: PathBuf, identity: Identity, rules: Arc<dyn ConfigRules>) -> Self {
        Options {
            log_dir,
            identity,
            defaults: Defaults::default(),
            rules,
            snapshot_after_bytes: 20 << 20,
            snapshot_after_records: 20_000,
        }
    }

    /// Options as a node's configuration says.
    #[must_use]
    pub fn of_node(node: &Arc<NodeConfig>, identity: Identity) -> Self {
        // At least one folder is configured: the configuration checks it.
        let log_dir = node.log_dirs.first().map(PathBuf::from).unwrap_or_default();
        let factor = node.broker.default_replication_factor;
        Options {
            defaults: Defaults {
                num_partitions: node.broker.num_partitions,
                replication_factor: i16::try_from(factor).unwrap_or(i16::MAX),
                delete_topic_enable: node.broker.delete_topic_enable,
                min_insync_replicas: node.broker.min_insync_replicas,
                ..Defaults::default()
            },
            ..Options::new(
                log_dir,
                identity,
                Arc::new(DeclaredRules::new(Arc::clone(node))),
            )
        }
    }
}

/// The metadata quorum node. [`Controller::open`] makes it.
pub struct Controller;

/// The half of the controller that runs.
pub struct Service {
    runtime: Runtime,
    options: Options,
    dir: PathBuf,
    inbox: Inbox<Command, Result<Reply, Refusal>>,
    publisher: Publisher<Image>,
    image: Arc<Image>,
    /// Locked only while one piece of disk work runs; nothing else competes for it.
    store: Arc<Mutex<Store>>,
    epoch: LeaderEpoch,
    since_snapshot: Growth,
    /// When the full disk was last spoken of.
    full_told_ms: Option<i64>,
}

/// What the log has gained since the last snapshot.
#[derive(Debug, Clone, Copy, Default)]
struct Growth {
    bytes: u64,
    records: u64,
}

/// Where a reply goes, and which.
type Answer = (Responder<Result<Reply, Refusal>>, Result<Reply, Refusal>);

/// Commands that were decided together.
struct Round {
    image: Image,
    records: Vec<Record>,
    answers: Vec<Answer>,
}

impl Controller {
    /// Reads snapshot and log, names the cluster on its first start, and makes both halves.
    ///
    /// Blocks on the disk. Nothing is served before [`Service`] runs, but the handle's image
    /// is complete.
    pub fn open(runtime: &Runtime, options: Options) -> Result<(Service, Handle), Error> {
        let dir = options.log_dir.join(format!("{CLUSTER_METADATA_TOPIC}-0"));
        let started_ms = runtime.clock.monotonic_ms();
        runtime
            .disk
            .create_dir_all(&dir)
            .map_err(Error::io("create", &dir))?;
        let (mut image, mut store, since_snapshot, snapshot) = replay(runtime, &dir)?;
        let epoch = store.last_epoch().max(snapshot.map_or(-1, |id| id.epoch)) + 1;
        name_cluster(runtime, &options, &dir, epoch, &mut image, &mut store)?;
        let (caller, inbox) = mailbox(MAILBOX_CAPACITY);
        let (publisher, published) = published(image);
        let service = Service {
            runtime: runtime.clone(),
            dir,
            inbox,
            publisher,
            image: published.get(),
            store: Arc::new(Mutex::new(store)),
            epoch,
            since_snapshot,
            full_told_ms: None,
            options,
        };
        tracing::info!(
            cluster_id = %service.options.identity.cluster_id,
            epoch,
            offset = service.image.metadata_offset(),
            topics = service.image.topic_count(),
            partitions = service.image.partition_count(),
            replayed = since_snapshot.records,
            took_ms = runtime.clock.monotonic_ms() - started_ms,
            "metadata loaded"
        );
        // Alone, a node elects itself: its term began when it read its own log.
        let (_, quorum) = ottla_runtime::published::published(Quorum {
            leader_id: service.options.identity.node_id,
            leader_epoch: epoch,
            voters: vec![Voter {
                id: service.options.identity.node_id,
                directory_id: service.options.identity.directory_id,
            }],
        });
        Ok((service, Handle::new(caller, published, quorum)))
    }
}

/// Writes down whose metadata this is, or checks it.
fn name_cluster(
    runtime: &Runtime,
    options: &Options,
    dir: &Path,
    epoch: LeaderEpoch,
    image: &mut Image,
    store: &mut Store,
) -> Result<(), Error> {
    let command = Command::NameCluster(options.identity.cluster_id.clone());
    let foreign = |refusal: Refusal| Error::ForeignMetadata {
        path: dir.to_owned(),
        reason: refusal.message,
    };
    let (records, _) = decide_on(image, &command, runtime, options).map_err(foreign)?;
    if records.is_empty() {
        return Ok(());
    }
    let bytes = batch::encode(&records, store.next_offset(), epoch, runtime.clock.now_ms())?;
    match store.append(&bytes, records.len())? {
        Appended::Durable => Ok(()),
        Appended::DiskFull(error) => Err(Error::io("append to", dir)(error)),
    }
}

type Replayed = (Image, Store, Growth, Option<SnapshotId>);

fn replay(runtime: &Runtime, dir: &Path) -> Result<Replayed, Error> {
    let disk = &*runtime.disk;
    let snapshot = snapshot::newest(disk, dir)?;
    snapshot::remove_others(disk, dir, snapshot)?;
    let mut image = match snapshot {
        Some(id) => snapshot::load(disk, dir, id)?,
        None => Image::empty(),
    };
    let mut growth = Growth::default();
    let from = snapshot.map(|id| id.end_offset);
    let store = Store::open(&runtime.disk, dir, from, |batch| {
        growth.bytes += batch.bytes().len() as u64;
        batch::decode(batch, |record, offset| {
            if offset > image.metadata_offset() {
                growth.records += 1;
                image.apply(&record, offset)?;
            }
            Ok(())
        })
    })?;
    Ok((image, store, growth, snapshot))
}

impl ottla_runtime::Service for Service {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        loop {
            let first = tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                first = self.inbox.recv() => first,
            };
            let Some(first) = first else { return Ok(()) };
            let round = self.decide_round(first);
            self.finish_round(round)
                .await
                .map_err(|error| error.to_string())?;
            if self.wants_snapshot() {
                self.write_snapshot()
                    .await
                    .map_err(|error| error.to_string())?;
            }
        }
    }
}

impl Service {
    /// Decides the first command and those that wait behind it, each on what the ones before it
    /// lead to.
    fn decide_round(&mut self, first: (Command, Responder<Result<Reply, Refusal>>)) -> Round {
        let mut round = Round {
            image: (*self.image).clone(),
            records: Vec::new(),
            answers: Vec::new(),
        };
        let mut next = Some(first);
        while let Some((command, responder)) = next {
            let answer = decide_on(&mut round.image, &command, &self.runtime, &self.options).map(
                |(mut records, reply)| {
                    round.records.append(&mut records);
                    reply
                },
            );
            round.answers.push((responder, answer));
            let full = round.answers.len() >= COMMANDS_PER_ROUND
                || round.records.len() >= RECORDS_PER_ROUND;
            next = if full { None } else { self.inbox.try_recv() };
        }
        round
    }

    /// Append, then publish, then reply: nobody sees what a crash could take back.
    async fn finish_round(&mut self, round: Round) -> Result<(), Error> {
        let Round {
            image,
            records,
            answers,
        } = round;
        if !records.is_empty() {
            let bytes = self.encode(&records)?;
            let (len, count) = (bytes.len() as u64, records.len());
            let store = Arc::clone(&self.store);
            let append = move || store.lock().append(&bytes, count);
            if let Appended::DiskFull(error) = self.runtime.tasks.blocking(append).await? {
                self.tell_full(answers.len(), &error);
                refuse_all(answers);
                return Ok(());
            }
            self.image = Arc::new(image);
            self.since_snapshot.bytes += len;
            self.since_snapshot.records += count as u64;
            self.publisher.publish(Arc::clone(&self.image));
        }
        for (responder, answer) in answers {
            responder.send(answer);
        }
        Ok(())
    }

    /// Once a minute at most, however often clients try again.
    fn tell_full(&mut self, commands: usize, error: &std::io::Error) {
        let now_ms = self.runtime.clock.monotonic_ms();
        if self.full_told_ms.is_some_and(|at| now_ms - at < 60_000) {
            return;
        }
        self.full_told_ms = Some(now_ms);
        tracing::error!(
            folder = %self.dir.display(),
            %error,
            commands,
            "no room for changes of the metadata; they are refused until space is freed"
        );
    }

    fn encode(&self, records: &[Record]) -> Result<bytes::Bytes, Error> {
        let base_offset: Offset = self.image.metadata_offset() + 1;
        assert_eq!(
            base_offset,
            self.store.lock().next_offset(),
            "the image stands for all that the log holds"
        );
        batch::encode(
            records,
            base_offset,
            self.epoch,
            self.runtime.clock.now_ms(),
        )
    }

    fn wants_snapshot(&self) -> bool {
        self.since_snapshot.bytes >= self.options.snapshot_after_bytes
            || self.since_snapshot.records >= self.options.snapshot_after_records
    }

    /// Writes a snapshot and deletes what it replaces. Commands wait meanwhile; an image of 10,000
    /// partitions is about a megabyte.
    ///
    /// A full disk only delays this: the log holds everything.
    async fn write_snapshot(&mut self) -> Result<(), Error> {
        let image = Arc::clone(&self.image);
        let (disk, dir, epoch) = (Arc::clone(&self.runtime.disk), self.dir.clone(), self.epoch);
        let store = Arc::clone(&self.store);
        let now_ms = self.runtime.clock.now_ms();
        let work = move || -> Result<SnapshotId, Error> {
            let id = snapshot::write(&*disk, &dir, &image, epoch, now_ms)?;
            // From here on the snapshot stands for all segments so far.
            let mut store = store.lock();
            store.roll()?;
            store.delete_older_segments()?;
            snapshot::remove_others(&*disk, &dir, Some(id))?;
            Ok(id)
        };
        match self.runtime.tasks.blocking(work).await {
            Ok(id) => {
                tracing::info!(
                    file = %id.path(&self.dir).display(),
                    records = self.since_snapshot.records,
                    "metadata snapshot written"
                );
            }
            Err(Error::Io {
                action,
                path,
                source,
            }) if disk::is_full(&source) => {
                tracing::warn!(
                    action,
                    file = %path.display(),
                    error = %source,
                    "no room for a metadata snapshot; free some space, it is tried again later"
                );
                let (disk, dir) = (Arc::clone(&self.runtime.disk), self.dir.clone());
                let clean = move || snapshot::remove_others(&*disk, &dir, None);
                self.runtime.tasks.blocking(clean).await?;
            }
            Err(error) => return Err(error),
        }
        self.since_snapshot = Growth::default();
        Ok(())
    }
}

/// Decides on `image` and applies the records to it.
fn decide_on(
    image: &mut Image,
    command: &Command,
    runtime: &Runtime,
    options: &Options,
) -> Result<(Vec<Record>, Reply), Refusal> {
    let mut random = || runtime.random.bytes16();
    let mut context = Context {
        random: &mut random,
        rules: &*options.rules,
        defaults: options.defaults,
        active_offset: ottla_model::Offset::MAX,
    };
    let (records, reply) = decide(image, command, &mut context)?;
    for record in &records {
        let offset = image.metadata_offset() + 1;
        if let Err(error) = image.apply(record, offset) {
            // The decision contradicts the image that it was made on: a broken invariant, seen
            // before anything was written.
            ottla_runtime::fail_stop(format!("a decision does not fit the metadata: {error}"));
        }
    }
    Ok((records, reply))
}

/// The disk is full: nothing of the round happened. Refusals were decided on changes that did not
/// happen either, so every caller gets the same answer.
fn refuse_all(answers: Vec<Answer>) {
    for (responder, _) in answers {
        let message = "The controller's disk is full; free some space and try again.";
        responder.send(Err(Refusal::new(ErrorCode::KafkaStorageError, message)));
    }
}

#[cfg(test)]
mod tests;
