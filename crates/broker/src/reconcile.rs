//! Brings this broker's partitions in line with the metadata: opens the logs of new partitions,
//! deletes those of topics that are gone, and passes on changed configuration.
//!
//! An image is shown to the handlers only when this is done for it: whoever creates a topic and
//! hears that it exists can write to it at once.

use std::sync::Arc;

use ottla_config::TopicConfig;
use ottla_log::LogConfig;
use ottla_metadata::{Image, TopicImage};
use ottla_model::{PartitionIndex, TopicPartition};
use ottla_runtime::published::{Published, Publisher};
use ottla_runtime::{Shutdown, TaskKind};

use crate::Broker;
use crate::groups::holds_groups;
use crate::partitions::{LocalTopic, Partition};

/// The backend of the partition table: the one task that changes it.
pub(crate) struct Reconciler {
    pub(crate) broker: Arc<Broker>,
    pub(crate) metadata: Published<Image>,
    pub(crate) shown: Publisher<Image>,
    pub(crate) current: Arc<Image>,
}

impl Reconciler {
    /// Takes over the newest image.
    pub(crate) async fn catch_up(&mut self) -> Result<(), String> {
        let image = self.metadata.get();
        let delta = image.diff(&self.current);
        for topic in &delta.deleted {
            self.delete(topic).await?;
        }
        for topic in &delta.created {
            self.create(topic, 0)?;
        }
        for change in &delta.changed {
            if change.configs_changed() {
                self.configure(&change.new);
            }
            let added = change.added_partitions();
            if !added.is_empty() {
                self.create(&change.new, added.start)?;
            }
        }
        self.current = Arc::clone(&image);
        self.shown.publish(image);
        Ok(())
    }

    /// Follows the metadata until the end.
    pub(crate) async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        loop {
            tokio::select! {
                alive = self.metadata.changed() => if !alive {
                    return Ok(());
                },
                () = shutdown.announced() => return Ok(()),
            }
            self.catch_up().await?;
        }
    }

    /// Makes the partitions from `first` on known and opens their logs.
    fn create(&self, image: &TopicImage, first: PartitionIndex) -> Result<(), String> {
        let config = Arc::new(self.broker.topic_config(image));
        let before = self.broker.partitions.topic(image.id);
        let mut partitions =
            before.map(|t| t.partitions.iter().cloned().collect::<Vec<_>>()).unwrap_or_default();
        let mut opening = Vec::new();
        for (index, assigned) in (0..).zip(&image.partitions).skip(partitions.len()) {
            let is_here = assigned.replicas.contains(&self.broker.node_id);
            let partition = is_here.then(|| {
                Arc::new(Partition::new(
                    image.name.clone(),
                    image.id,
                    index,
                    assigned.leader_epoch,
                    Arc::clone(&config),
                ))
            });
            opening.extend(partition.clone());
            partitions.push(partition);
        }
        debug_assert!(opening.iter().all(|p| p.index >= first));
        let topic = LocalTopic { name: image.name.clone(), id: image.id, partitions };
        self.broker.partitions.insert(topic);
        for partition in opening {
            self.open(partition, &config);
        }
        Ok(())
    }

    /// Recovers a log in the background; the partition is served as soon as it is there.
    fn open(&self, partition: Arc<Partition>, config: &TopicConfig) {
        let broker = Arc::clone(&self.broker);
        let name = TopicPartition::new(partition.topic.clone(), partition.index);
        let config = log_config(config);
        let tasks = broker.runtime.tasks.clone();
        let opened = async move {
            let opening = broker.log_dir.open_log(name, partition.topic_id, config);
            let log = opening.await.map_err(|e| e.to_string())?;
            partition.ready(log);
            if holds_groups(&partition.topic) {
                broker.groups.start(&broker, &partition);
            }
            Ok::<(), String>(())
        };
        tasks.spawn(TaskKind::Service, "opening a log", opened);
    }

    fn configure(&self, image: &TopicImage) {
        let config = Arc::new(self.broker.topic_config(image));
        let Some(topic) = self.broker.partitions.topic(image.id) else { return };
        for partition in topic.partitions.iter().flatten() {
            partition.set_config(Arc::clone(&config));
            if let Some(log) = partition.log() {
                log.update_config(log_config(&config));
            }
        }
    }

    async fn delete(&self, image: &TopicImage) -> Result<(), String> {
        let Some(topic) = self.broker.partitions.remove(image.id) else { return Ok(()) };
        if holds_groups(&topic.name) {
            self.broker.groups.stop_all();
        }
        for partition in topic.partitions.iter().flatten() {
            let name = TopicPartition::new(partition.topic.clone(), partition.index);
            self.broker.log_dir.delete_log(&name).await.map_err(|e| e.to_string())?;
        }
        Ok(())
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
        segment_index_bytes: u64::try_from(config.segment_index_bytes).unwrap_or(0),
        index_interval_bytes: u64::try_from(config.index_interval_bytes).unwrap_or(0),
        compact: config.cleanup_policy.compact,
        delete: config.cleanup_policy.delete,
        retention_ms: config.retention_ms,
        retention_bytes: config.retention_bytes,
    }
}
