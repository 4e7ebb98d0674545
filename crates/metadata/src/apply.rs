//! How a record changes the image. Replay and live operation go through this one door.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{BrokerId, Offset};

use crate::error::Error;
use crate::image::{BrokerImage, Image, Overrides, PartitionImage, TopicImage, fold};
use crate::record::{
    BrokerChangeRecord, ClientQuotaRecord, ClusterRecord, ConfigRecord, ConfigResource,
    FeatureLevelRecord, PartitionRecord, ProducerIdsRecord, Record, RegisterBrokerRecord,
    RemoveTopicRecord, TopicRecord, UnregisterBrokerRecord,
};

impl Image {
    /// Applies the record that stands at `offset` of the log.
    ///
    /// On an error the image must not be used any further: the log contradicts itself, which is a
    /// reason to stop the node.
    pub fn apply(&mut self, record: &Record, offset: Offset) -> Result<(), Error> {
        self.change(record, offset)
            .map_err(|reason| Error::Impossible {
                offset,
                kind: record.kind(),
                reason,
            })?;
        self.metadata_offset = offset;
        Ok(())
    }

    /// Says that the image stands for the log up to `offset`, as a snapshot's name tells.
    #[must_use]
    pub fn at_offset(mut self, offset: Offset) -> Self {
        self.metadata_offset = offset;
        self
    }

    fn change(&mut self, record: &Record, offset: Offset) -> Result<(), String> {
        match record {
            Record::Cluster(record) => self.apply_cluster(record),
            Record::RegisterBroker(record) => self.apply_register_broker(record, offset),
            Record::BrokerChange(record) => self.apply_broker_change(record, offset),
            Record::UnregisterBroker(record) => self.apply_unregister_broker(record),
            Record::FeatureLevel(record) => self.apply_feature_level(record),
            Record::Topic(record) => self.apply_topic(record),
            Record::Partition(record) => self.apply_partition(record),
            Record::RemoveTopic(record) => self.apply_remove_topic(record),
            Record::Config(record) => self.apply_config(record),
            Record::ProducerIds(record) => self.apply_producer_ids(record),
            Record::ClientQuota(record) => self.apply_client_quota(record),
        }
    }

    fn apply_cluster(&mut self, record: &ClusterRecord) -> Result<(), String> {
        match &self.cluster_id {
            Some(known) if *known != record.cluster_id => Err(format!(
                "it names the cluster {}, but the metadata so far is that of {known}",
                record.cluster_id
            )),
            _ => {
                self.cluster_id = Some(record.cluster_id.clone());
                Ok(())
            }
        }
    }

    fn apply_register_broker(
        &mut self,
        record: &RegisterBrokerRecord,
        offset: Offset,
    ) -> Result<(), String> {
        if let Some(known) = self.broker(record.broker_id)
            && known.epoch >= record.broker_epoch
        {
            return Err(format!(
                "broker {} is registered with epoch {}, and {} is not above it",
                record.broker_id, known.epoch, record.broker_epoch
            ));
        }
        let endpoints: BTreeMap<_, _> = record
            .endpoints
            .iter()
            .map(|e| (e.listener.clone(), e.clone()))
            .collect();
        if endpoints.len() != record.endpoints.len() {
            return Err(format!(
                "broker {} names a listener twice",
                record.broker_id
            ));
        }
        let broker = BrokerImage {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            rack: record.rack.clone(),
            endpoints,
            fenced: record.fenced,
            directory_id: record.directory_id,
            in_controlled_shutdown: record.in_controlled_shutdown,
            features: record.features.clone(),
            changed_at: record.changed_at.unwrap_or(offset),
        };
        Arc::make_mut(&mut self.brokers).insert(record.broker_id, Arc::new(broker));
        Ok(())
    }

    fn apply_broker_change(
        &mut self,
        record: &BrokerChangeRecord,
        offset: Offset,
    ) -> Result<(), String> {
        self.check_registration(record.broker_id, record.broker_epoch)?;
        if let Some(broker) = Arc::make_mut(&mut self.brokers).get_mut(&record.broker_id) {
            let broker = Arc::make_mut(broker);
            broker.fenced = record.fenced;
            broker.in_controlled_shutdown = record.in_controlled_shutdown;
            broker.changed_at = offset;
        }
        Ok(())
    }

    fn apply_unregister_broker(&mut self, record: &UnregisterBrokerRecord) -> Result<(), String> {
        self.check_registration(record.broker_id, record.broker_epoch)?;
        Arc::make_mut(&mut self.brokers).remove(&record.broker_id);
        Ok(())
    }

    fn check_registration(&self, id: BrokerId, epoch: i64) -> Result<(), String> {
        match self.broker(id) {
            Some(broker) if broker.epoch == epoch => Ok(()),
            Some(broker) => Err(format!(
                "broker {id} is registered with epoch {}, not {epoch}",
                broker.epoch
            )),
            None => Err(format!("broker {id} is not registered")),
        }
    }

    fn apply_feature_level(&mut self, record: &FeatureLevelRecord) -> Result<(), String> {
        if record.name.is_empty() || record.level < 0 {
            return Err(format!(
                "'{}' cannot be a feature with level {}",
                record.name, record.level
            ));
        }
        let features = Arc::make_mut(&mut self.features);
        // Off and absent are the same image, so that snapshots compare equal.
        if record.level == 0 {
            features.remove(&record.name);
        } else {
            features.insert(record.name.clone(), record.level);
        }
        Ok(())
    }

    fn apply_topic(&mut self, record: &TopicRecord) -> Result<(), String> {
        if self.topic(record.name.as_str()).is_some() {
            return Err(format!("a topic '{}' exists already", record.name));
        }
        if let Some(other) = self.names_by_id.get(&record.topic_id) {
            return Err(format!(
                "the topic '{other}' has the id {} already",
                record.topic_id
            ));
        }
        let topic = TopicImage {
            name: record.name.clone(),
            id: record.topic_id,
            partitions: Vec::new(),
            configs: Overrides::new(),
        };
        self.topics.insert(record.name.clone(), Arc::new(topic));
        self.names_by_id
            .insert(record.topic_id, record.name.clone());
        if let Some(folded) = fold(record.name.as_str()) {
            self.names_by_folded.insert(folded, record.name.clone());
        }
        Ok(())
    }

    fn apply_partition(&mut self, record: &PartitionRecord) -> Result<(), String> {
        let unknown = || format!("there is no topic with the id {}", record.topic_id);
        let name = self.names_by_id.get(&record.topic_id).ok_or_else(unknown)?;
        let topic = Arc::make_mut(self.topics.get_mut(name.as_str()).ok_or_else(unknown)?);
        if record.replicas.is_empty() {
            return Err(format!(
                "partition {name}-{} has no replicas",
                record.partition
            ));
        }
        let partition = Arc::new(PartitionImage::from(record));
        let count = topic.partitions.len();
        let is_leaderless =
            |partition: &Arc<PartitionImage>| usize::from(partition.leader.is_none());
        let (now, mut before) = (is_leaderless(&partition), 0);
        match usize::try_from(record.partition) {
            Ok(index) if index == count => {
                topic.partitions.push(partition);
                self.partition_count += 1;
            }
            Ok(index) if index < count => {
                before = is_leaderless(&topic.partitions[index]);
                topic.partitions[index] = partition;
            }
            _ => {
                return Err(format!(
                    "partition {name}-{} comes after {count} partition(s)",
                    record.partition
                ));
            }
        }
        self.leaderless_count = self.leaderless_count + now - before;
        Ok(())
    }

    fn apply_remove_topic(&mut self, record: &RemoveTopicRecord) -> Result<(), String> {
        let unknown = || format!("there is no topic with the id {}", record.topic_id);
        let name = self
            .names_by_id
            .remove(&record.topic_id)
            .ok_or_else(unknown)?;
        let topic = self.topics.remove(name.as_str()).ok_or_else(unknown)?;
        self.partition_count -= topic.partitions.len();
        let leaderless = topic.partitions.iter().filter(|p| p.leader.is_none());
        self.leaderless_count -= leaderless.count();
        if let Some(folded) = fold(name.as_str()) {
            self.names_by_folded.remove(folded.as_str());
        }
        Ok(())
    }

    fn apply_config(&mut self, record: &ConfigRecord) -> Result<(), String> {
        match &record.resource {
            ConfigResource::Topic(name) => {
                let topic = self
                    .topics
                    .get_mut(name.as_str())
                    .ok_or_else(|| format!("there is no topic '{name}'"))?;
                set_override(&mut Arc::make_mut(topic).configs, record);
            }
            other => {
                let mut overrides = self.configs(other).cloned().unwrap_or_default();
                set_override(&mut overrides, record);
                // No override and no entry are the same image, so that snapshots compare equal.
                if overrides.is_empty() {
                    self.configs.remove(other);
                } else {
                    self.configs.insert(other.clone(), Arc::new(overrides));
                }
            }
        }
        Ok(())
    }

    fn apply_producer_ids(&mut self, record: &ProducerIdsRecord) -> Result<(), String> {
        if record.next_producer_id <= self.next_producer_id {
            return Err(format!(
                "the next producer id would be {}, but {} has been reached already",
                record.next_producer_id, self.next_producer_id
            ));
        }
        self.next_producer_id = record.next_producer_id;
        self.last_producer_ids = Some((record.broker_id, record.broker_epoch));
        Ok(())
    }

    fn apply_client_quota(&mut self, record: &ClientQuotaRecord) -> Result<(), String> {
        let (key, entity) = (record.key.name(), &record.entity);
        if !record.key.applies_to(entity) {
            return Err(format!("{entity} cannot have the quota {key}"));
        }
        if let Some(value) = record.value {
            record.key.check(value)?;
        }
        Arc::make_mut(&mut self.client_quotas).set(entity, record.key, record.value);
        Ok(())
    }
}

fn set_override(overrides: &mut Overrides, record: &ConfigRecord) {
    match &record.value {
        Some(value) => overrides.insert(record.key.clone(), value.clone()),
        None => overrides.remove(&record.key),
    };
}
