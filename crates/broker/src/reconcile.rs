//! Brings this broker's partitions in line with the metadata: opens the logs of new partitions,
//! deletes those of topics that are gone, and passes on changed configuration.
//!
//! An image is shown to the handlers only when this is done for it: whoever creates a topic and
//! hears that it exists can write to it at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join_all};
use ottla_config::TopicConfig;
use ottla_log::LogConfig;
use ottla_metadata::{Image, PartitionImage, TopicChange, TopicImage};
use ottla_model::{LeaderEpoch, PartitionIndex, TopicId, TopicPartition};
use ottla_runtime::published::{Published, Publisher};
use ottla_runtime::{Shutdown, TaskKind};
use tokio::sync::oneshot;

use crate::Broker;
use crate::groups::holds_groups;
use crate::live_config::LiveConfig;
use crate::partitions::{LocalTopic, Partition, Turn};
use crate::transactions::holds_transactions;

/// Completes when a log is open.
type Opening = Shared<BoxFuture<'static, ()>>;

/// The backend of the partition table: the one task that changes it.
pub(crate) struct Reconciler {
    broker: Arc<Broker>,
    metadata: Published<Image>,
    shown: Publisher<Image>,
    live_config: LiveConfig,
    current: Arc<Image>,
    /// Logs that may still be being recovered since the start.
    opening: BTreeMap<TopicId, Vec<Opening>>,
}

impl Reconciler {
    pub(crate) fn new(
        broker: Arc<Broker>,
        metadata: Published<Image>,
        shown: Publisher<Image>,
        live_config: LiveConfig,
    ) -> Self {
        let current = Arc::new(Image::empty());
        Reconciler {
            broker,
            metadata,
            shown,
            live_config,
            current,
            opening: BTreeMap::new(),
        }
    }

    /// Takes over the image that is there at the start. Logs are recovered in the background.
    pub(crate) async fn start(&mut self) -> Result<(), String> {
        self.opening = self.follow().await?;
        self.shown.publish(Arc::clone(&self.current));
        let all: Vec<Opening> = self.opening.values().flatten().cloned().collect();
        let log_dir = self.broker.log_dir.clone();
        self.broker
            .runtime
            .tasks
            .spawn(TaskKind::Housekeeping, "stray folders", async move {
                join_all(all).await;
                for partition in log_dir.unopened() {
                    tracing::warn!(
                        folder = %log_dir.path().join(partition.to_string()).display(),
                        "no topic has this partition; the folder is left as it is"
                    );
                }
                Ok::<(), String>(())
            });
        Ok(())
    }

    /// Takes over the newest image and shows it.
    async fn catch_up(&mut self) -> Result<(), String> {
        let opening = self.follow().await?;
        // New logs are empty and open at once: nobody shall hear of a topic before that.
        join_all(opening.into_values().flatten()).await;
        self.shown.publish(Arc::clone(&self.current));
        Ok(())
    }

    /// Brings the partitions in line with the newest image; returns the logs that are being opened.
    async fn follow(&mut self) -> Result<BTreeMap<TopicId, Vec<Opening>>, String> {
        let image = self.metadata.get();
        let delta = image.diff(&self.current);
        if delta.client_metrics_changed() {
            self.broker.telemetry.follow(&image);
        }
        if delta.broker_configs_changed() {
            self.live_config.follow(&image);
            self.broker.follow_throttles();
            // What topics inherit may have changed. Those that are new or gone find nothing here.
            image.topics().for_each(|topic| self.configure(topic));
        }
        for topic in &delta.deleted {
            self.delete(topic).await?;
        }
        if !delta.deleted.is_empty() {
            let deleted = delta
                .deleted
                .iter()
                .map(|t| (Arc::from(t.name.as_str()), t.id));
            self.broker.groups.topics_deleted(deleted.collect()).await;
        }
        if delta.client_quotas_changed {
            self.broker.quotas.follow(image.client_quotas());
            self.live_config.follow_quotas(image.client_quotas());
        }
        let mut opening = BTreeMap::new();
        for topic in &delta.created {
            opening.insert(topic.id, self.create(topic));
        }
        for change in &delta.changed {
            if change.configs_changed() {
                self.configure(&change.new);
            }
            let opened = self.change(change).await?;
            if !opened.is_empty() {
                opening.insert(change.new.id, opened);
            }
        }
        self.current = image;
        Ok(opening)
    }

    /// Follows the metadata until the end.
    pub(crate) async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        loop {
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                alive = self.metadata.changed() => if !alive {
                    return Ok(());
                },
            }
            self.catch_up().await?;
        }
    }

    /// Makes a topic's partitions known and opens the logs of those that are here.
    fn create(&self, image: &TopicImage) -> Vec<Opening> {
        let config = Arc::new(self.broker.topic_config(image));
        let mut opening = Vec::new();
        let partitions = (0..).zip(&image.partitions).map(|(index, assigned)| {
            let partition = self.partition(image, index, assigned, &config);
            opening.extend(partition.clone());
            partition
        });
        let topic = LocalTopic {
            name: image.name.clone(),
            id: image.id,
            partitions: partitions.collect(),
        };
        self.broker.partitions.insert(topic);
        opening
            .into_iter()
            .map(|partition| self.open(partition, &config))
            .collect()
    }

    /// A partition, if this broker holds it.
    fn partition(
        &self,
        topic: &TopicImage,
        index: PartitionIndex,
        assigned: &Arc<PartitionImage>,
        config: &Arc<TopicConfig>,
    ) -> Option<Arc<Partition>> {
        let is_here = assigned.replicas.contains(&self.broker.node_id);
        is_here.then(|| {
            Arc::new(Partition::new(
                (topic.name.clone(), topic.id, index),
                self.broker.node_id,
                self.broker.runtime.clock.clone(),
                Arc::clone(assigned),
                Arc::clone(config),
            ))
        })
    }

    /// Follows what has changed of a topic's partitions: new ones, other leaders, other replicas.
    async fn change(&mut self, change: &TopicChange) -> Result<Vec<Opening>, String> {
        let image = &change.new;
        let Some(before) = self.broker.partitions.topic(image.id) else {
            return Ok(Vec::new());
        };
        let config = Arc::new(self.broker.topic_config(image));
        let mut partitions = before.partitions.clone();
        partitions.resize(image.partitions.len(), None);
        let (mut coming, mut going, mut staying) = (Vec::new(), Vec::new(), Vec::new());
        for index in change.changed_partitions().chain(change.added_partitions()) {
            let slot = usize::try_from(index).ok();
            let slot =
                slot.and_then(|slot| Some((partitions.get_mut(slot)?, image.partition(index)?)));
            let Some((slot, assigned)) = slot else {
                continue;
            };
            let is_here = assigned.replicas.contains(&self.broker.node_id);
            match (slot.clone(), is_here) {
                (Some(partition), true) => staying.push((partition, Arc::clone(assigned))),
                (Some(partition), false) => {
                    *slot = None;
                    going.push(partition);
                }
                (None, true) => {
                    *slot = self.partition(image, index, assigned, &config);
                    coming.extend(slot.clone());
                }
                (None, false) => {}
            }
        }
        if !(coming.is_empty() && going.is_empty()) || partitions.len() > before.partitions.len() {
            self.broker.partitions.insert(LocalTopic {
                name: image.name.clone(),
                id: image.id,
                partitions,
            });
        }
        self.turn(&staying);
        if !going.is_empty() {
            self.drop_replicas(image, going).await?;
        }
        Ok(coming
            .into_iter()
            .map(|partition| self.open(partition, &config))
            .collect())
    }

    /// Lets partitions take over the controller's word, and does what follows from it.
    fn turn(&self, partitions: &[(Arc<Partition>, Arc<PartitionImage>)]) {
        let epoch = self.broker.epoch();
        let turns = partitions.iter().map(|(partition, image)| {
            (Arc::clone(partition), partition.follow(Some(image), epoch))
        });
        take_turns(&self.broker, &turns.collect::<Vec<_>>());
    }

    /// Gives up replicas that a reassignment has taken away, with their data.
    async fn drop_replicas(
        &mut self,
        image: &TopicImage,
        going: Vec<Arc<Partition>>,
    ) -> Result<(), String> {
        // A folder is not taken away under the feet of its recovery.
        join_all(self.opening.remove(&image.id).unwrap_or_default()).await;
        let mut names = Vec::with_capacity(going.len());
        for partition in going {
            tracing::info!(partition = %format_args!("{}-{}", partition.topic, partition.index), "the replica has moved away");
            self.broker.fetchers.forget(&self.broker, &partition);
            partition.retire();
            resign(&self.broker, &partition);
            names.push(TopicPartition::new(
                partition.topic.clone(),
                partition.index,
            ));
        }
        let deleting = self.broker.log_dir.delete_logs(names);
        deleting.await.map_err(|e| e.to_string())
    }

    /// Recovers a log in the background; the partition is served as soon as it is there.
    fn open(&self, partition: Arc<Partition>, config: &TopicConfig) -> Opening {
        let (done, opened) = oneshot::channel::<()>();
        let broker = Arc::clone(&self.broker);
        let name = TopicPartition::new(partition.topic.clone(), partition.index);
        let config = log_config(config);
        let tasks = broker.runtime.tasks.clone();
        let open = async move {
            let opening = broker
                .log_dir
                .open_replica(name, partition.topic_id, config);
            let log = opening.await.map_err(|e| e.to_string())?;
            partition.ready(log.clone());
            // The configuration may have changed while the log was being recovered.
            log.update_config(log_config(&partition.config()));
            let turn = partition.follow(None, broker.epoch());
            take_turns(&broker, &[(partition, turn)]);
            // Nobody may be waiting any more.
            done.send(()).ok();
            Ok::<(), String>(())
        };
        tasks.spawn(TaskKind::Service, "opening a log", open);
        opened.map(drop).boxed().shared()
    }

    fn configure(&self, image: &TopicImage) {
        let config = Arc::new(self.broker.topic_config(image));
        let Some(topic) = self.broker.partitions.topic(image.id) else {
            return;
        };
        for partition in topic.partitions.iter().flatten() {
            partition.set_config(Arc::clone(&config));
            if let Some(log) = partition.log() {
                log.update_config(log_config(&config));
            }
        }
    }

    async fn delete(&mut self, image: &TopicImage) -> Result<(), String> {
        let Some(topic) = self.broker.partitions.remove(image.id) else {
            return Ok(());
        };
        if holds_groups(&topic.name) {
            self.broker.groups.stop_all();
        }
        if holds_transactions(&topic.name) {
            self.broker.transactions.stop_all();
        }
        // A folder is not taken away under the feet of its recovery.
        join_all(self.opening.remove(&image.id).unwrap_or_default()).await;
        for partition in topic.partitions.iter().flatten() {
            self.broker.fetchers.forget(&self.broker, partition);
            partition.retire();
        }
        let held = topic.partitions.iter().flatten();
        let names = held.map(|p| TopicPartition::new(p.topic.clone(), p.index));
        let deleting = self.broker.log_dir.delete_logs(names.collect());
        deleting.await.map_err(|e| e.to_string())
    }
}

/// Does what follows from the controller's word: fetches, leads, coordinates.
fn take_turns(broker: &Arc<Broker>, turns: &[(Arc<Partition>, Turn)]) {
    broker.fetchers.assign(broker, turns);
    for (partition, turn) in turns {
        match turn {
            Turn::Same => {}
            Turn::Leads(epoch) => lead(broker, partition, *epoch),
            Turn::Follows(..) | Turn::Waits => resign(broker, partition),
        }
    }
}

/// Begins a term as the leader.
fn lead(broker: &Arc<Broker>, partition: &Arc<Partition>, epoch: LeaderEpoch) {
    let Some(log) = partition.log() else { return };
    let beginning = log.begin_epoch(epoch);
    let (begun, tasks) = (Arc::clone(partition), broker.runtime.tasks.clone());
    tasks.spawn(TaskKind::Housekeeping, "a leader's term", async move {
        let start = beginning.await.map_err(|e| e.to_string())?;
        begun.term_began(epoch, start);
        Ok::<(), String>(())
    });
    if holds_groups(&partition.topic) {
        broker.groups.start(broker, partition, epoch);
    }
    if holds_transactions(&partition.topic) {
        broker.transactions.start(broker, partition, epoch);
    }
}

/// Ends what only a leader does.
fn resign(broker: &Broker, partition: &Partition) {
    if holds_groups(&partition.topic) {
        broker.groups.resign(partition);
    }
    if holds_transactions(&partition.topic) {
        broker.transactions.resign(partition);
    }
}

/// The part of a topic's configuration that its logs follow.
fn log_config(config: &TopicConfig) -> LogConfig {
    LogConfig {
        wait_for_disk: config.acks_wait_for_disk,
        flush_messages: config.flush_messages,
        flush_ms: config.flush_ms,
        segment_bytes: u64::try_from(config.segment_bytes).unwrap_or(0),
        segment_ms: config.segment_ms,
        segment_jitter_ms: config.segment_jitter_ms,
        preallocate: config.preallocate,
        segment_index_bytes: u64::try_from(config.segment_index_bytes).unwrap_or(0),
        index_interval_bytes: u64::try_from(config.index_interval_bytes).unwrap_or(0),
        compact: config.cleanup_policy.compact,
        delete: config.cleanup_policy.delete,
        retention_ms: config.retention_ms,
        retention_bytes: config.retention_bytes,
        delete_retention_ms: config.delete_retention_ms,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
        max_compaction_lag_ms: config.max_compaction_lag_ms,
        min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
        file_delete_delay_ms: config.file_delete_delay_ms,
    }
}
