//! The image as records: what a snapshot holds.

use crate::image::{Image, Overrides, TopicImage};
use crate::record::{
    ClientQuotaRecord, ClusterRecord, ConfigRecord, ConfigResource, FeatureLevelRecord,
    ProducerIdsRecord, Record, RegisterBrokerRecord, TopicRecord,
};

impl Image {
    /// Records that build this very image when they are applied to an empty one, except for
    /// [`Image::metadata_offset`], which the snapshot's name carries.
    pub fn to_records(&self) -> impl Iterator<Item = Record> + '_ {
        let cluster = self.cluster_id.iter().map(|id| {
            Record::Cluster(ClusterRecord {
                cluster_id: id.clone(),
            })
        });
        let brokers = self.brokers.values().map(|broker| {
            Record::RegisterBroker(RegisterBrokerRecord {
                broker_id: broker.id,
                broker_epoch: broker.epoch,
                incarnation_id: broker.incarnation_id,
                rack: broker.rack.clone(),
                endpoints: broker.endpoints.values().cloned().collect(),
                fenced: broker.fenced,
                directory_id: broker.directory_id,
                in_controlled_shutdown: broker.in_controlled_shutdown,
                features: broker.features.clone(),
                changed_at: Some(broker.changed_at),
            })
        });
        let features = self.features.iter().map(|(name, &level)| {
            Record::FeatureLevel(FeatureLevelRecord {
                name: name.clone(),
                level,
            })
        });
        let configs = self.configs.iter();
        let configs =
            configs.flat_map(|(resource, overrides)| config_records(resource.clone(), overrides));
        let producer_ids = self
            .last_producer_ids
            .iter()
            .map(|&(broker_id, broker_epoch)| {
                Record::ProducerIds(ProducerIdsRecord {
                    broker_id,
                    broker_epoch,
                    next_producer_id: self.next_producer_id,
                })
            });
        let quotas = self.client_quotas.iter().flat_map(|(entity, values)| {
            values.iter().map(|(key, value)| {
                Record::ClientQuota(ClientQuotaRecord {
                    entity: entity.clone(),
                    key: *key,
                    value: Some(*value),
                })
            })
        });
        let topics = self.topics().flat_map(|topic| topic_records(topic));
        cluster
            .chain(features)
            .chain(brokers)
            .chain(configs)
            .chain(producer_ids)
            .chain(quotas)
            .chain(topics)
    }
}

fn topic_records(topic: &TopicImage) -> impl Iterator<Item = Record> + '_ {
    let head = Record::Topic(TopicRecord {
        name: topic.name.clone(),
        topic_id: topic.id,
    });
    let configs = config_records(ConfigResource::Topic(topic.name.clone()), &topic.configs);
    let partitions = (0..)
        .zip(&topic.partitions)
        .map(|(partition, image)| Record::Partition(image.to_record(topic.id, partition)));
    std::iter::once(head).chain(configs).chain(partitions)
}

fn config_records(
    resource: ConfigResource,
    overrides: &Overrides,
) -> impl Iterator<Item = Record> + '_ {
    overrides.iter().map(move |(key, value)| {
        Record::Config(ConfigRecord {
            resource: resource.clone(),
            key: key.clone(),
            value: Some(value.clone()),
        })
    })
}
