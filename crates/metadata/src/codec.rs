//! Records as bytes.
//!
//! ```text
//! frame version  uvarint (1)
//! kind           uvarint    the number in the schema
//! version        uvarint    the version of the kind's fields
//! fields         as the schema says (crates/wire/schema/metadata)
//! ```
//!
//! This is Kafka's frame around metadata records. A kind or version that this build does not know is
//! an error: whoever skips a fact about the cluster has another cluster in mind from then on.

use bytes::Bytes;
use ottla_model::{
    BrokerId, ClientQuotaEntity, ClusterId, Offset, QuotaKey, QuotaValue, TopicName,
};
use ottla_wire::{DecodeError, MetadataRecord, Reader, Text, Writer, messages as wire};

use crate::error::Error;
use crate::record::{
    BrokerChangeRecord, ClientQuotaRecord, ClusterRecord, ConfigRecord, ConfigResource, Endpoint,
    FeatureLevelRecord, PartitionRecord, ProducerIdsRecord, Record, RegisterBrokerRecord,
    RemoveTopicRecord, TopicRecord, UnregisterBrokerRecord,
};

const FRAME_VERSION: u32 = 1;
/// Kafka's numbers of configuration resources.
const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;
const CLIENT_METRICS_RESOURCE: i8 = 16;
const GROUP_RESOURCE: i8 = 32;
/// "No leader" in partition records.
const NO_LEADER: i32 = -1;

impl Record {
    /// The record as bytes: the value of a record in the metadata log.
    pub fn encode(&self) -> Result<Bytes, Error> {
        let fields = self.to_wire();
        let version = fields.max_version();
        let mut writer = Writer::new();
        writer.uvarint(FRAME_VERSION);
        // Kinds and versions are small and not negative: the schema says so.
        writer.uvarint(fields.record_id().unsigned_abs().into());
        writer.uvarint(version.unsigned_abs().into());
        fields
            .encode(version, &mut writer)
            .map_err(|error| Error::Unencodable {
                kind: self.kind(),
                reason: error.to_string(),
            })?;
        Ok(writer.into_bytes())
    }

    /// Reads what [`Record::encode`] has written; `offset` is for the error's message.
    pub fn decode(bytes: Bytes, offset: Offset) -> Result<Record, Error> {
        let corrupt = |reason: String| Error::Corrupt { offset, reason };
        let mut reader = Reader::new(bytes);
        let mut number = || reader.uvarint().map_err(|error| corrupt(error.to_string()));
        let frame_version = number()?;
        if frame_version != FRAME_VERSION {
            let (version, known) = (frame_version, FRAME_VERSION);
            return Err(Error::UnknownFrame {
                offset,
                version,
                known,
            });
        }
        let (kind, version) = (number()?, number()?);
        let id = i16::try_from(kind).map_err(|_| Error::UnknownKind { offset, kind })?;
        // What is no i16 is no version of ours; -1 is none either.
        let wanted = i16::try_from(version).unwrap_or(-1);
        let fields =
            MetadataRecord::decode(id, wanted, &mut reader).map_err(|error| match error {
                DecodeError::UnknownRecord { .. } => Error::UnknownKind { offset, kind },
                DecodeError::UnsupportedVersion { message, .. } => Error::UnknownVersion {
                    offset,
                    kind: message,
                    version,
                },
                other => corrupt(other.to_string()),
            })?;
        reader
            .finish()
            .map_err(|error| corrupt(error.to_string()))?;
        Record::from_wire(fields).map_err(corrupt)
    }

    fn to_wire(&self) -> MetadataRecord {
        match self {
            Record::Cluster(record) => wire::ClusterRecord {
                cluster_id: text(&record.cluster_id.0),
                ..Default::default()
            }
            .into(),
            Record::RegisterBroker(record) => register_broker_to_wire(record).into(),
            Record::BrokerChange(record) => wire::BrokerChangeRecord {
                broker_id: record.broker_id.0,
                broker_epoch: record.broker_epoch,
                fenced: record.fenced,
                in_controlled_shutdown: record.in_controlled_shutdown,
                ..Default::default()
            }
            .into(),
            Record::UnregisterBroker(record) => wire::UnregisterBrokerRecord {
                broker_id: record.broker_id.0,
                broker_epoch: record.broker_epoch,
                ..Default::default()
            }
            .into(),
            Record::FeatureLevel(record) => wire::FeatureLevelRecord {
                name: text(&record.name),
                feature_level: record.level,
                ..Default::default()
            }
            .into(),
            Record::Topic(record) => wire::TopicRecord {
                name: text(record.name.as_str()),
                topic_id: record.topic_id,
                ..Default::default()
            }
            .into(),
            Record::Partition(record) => partition_to_wire(record).into(),
            Record::RemoveTopic(record) => wire::RemoveTopicRecord {
                topic_id: record.topic_id,
                ..Default::default()
            }
            .into(),
            Record::Config(record) => config_to_wire(record).into(),
            Record::ProducerIds(record) => wire::ProducerIdsRecord {
                broker_id: record.broker_id.0,
                broker_epoch: record.broker_epoch,
                next_producer_id: record.next_producer_id,
                ..Default::default()
            }
            .into(),
            Record::ClientQuota(record) => client_quota_to_wire(record).into(),
        }
    }

    fn from_wire(fields: MetadataRecord) -> Result<Record, String> {
        Ok(match fields {
            MetadataRecord::Cluster(record) => Record::Cluster(ClusterRecord {
                cluster_id: ClusterId(record.cluster_id.as_str().to_owned()),
            }),
            MetadataRecord::RegisterBroker(record) => {
                Record::RegisterBroker(register_broker_from_wire(record))
            }
            MetadataRecord::BrokerChange(record) => Record::BrokerChange(BrokerChangeRecord {
                broker_id: BrokerId(record.broker_id),
                broker_epoch: record.broker_epoch,
                fenced: record.fenced,
                in_controlled_shutdown: record.in_controlled_shutdown,
            }),
            MetadataRecord::UnregisterBroker(record) => {
                Record::UnregisterBroker(UnregisterBrokerRecord {
                    broker_id: BrokerId(record.broker_id),
                    broker_epoch: record.broker_epoch,
                })
            }
            MetadataRecord::FeatureLevel(record) => Record::FeatureLevel(FeatureLevelRecord {
                name: record.name.as_str().to_owned(),
                level: record.feature_level,
            }),
            MetadataRecord::Topic(record) => Record::Topic(TopicRecord {
                name: topic_name(&record.name)?,
                topic_id: record.topic_id,
            }),
            MetadataRecord::Partition(record) => Record::Partition(partition_from_wire(record)),
            MetadataRecord::RemoveTopic(record) => Record::RemoveTopic(RemoveTopicRecord {
                topic_id: record.topic_id,
            }),
            MetadataRecord::Config(record) => Record::Config(config_from_wire(&record)?),
            MetadataRecord::ProducerIds(record) => Record::ProducerIds(ProducerIdsRecord {
                broker_id: BrokerId(record.broker_id),
                broker_epoch: record.broker_epoch,
                next_producer_id: record.next_producer_id,
            }),
            MetadataRecord::ClientQuota(record) => {
                Record::ClientQuota(client_quota_from_wire(&record)?)
            }
        })
    }
}

fn register_broker_to_wire(record: &RegisterBrokerRecord) -> wire::RegisterBrokerRecord {
    let endpoint = |endpoint: &Endpoint| wire::register_broker_record::BrokerEndpoint {
        listener: text(&endpoint.listener),
        host: text(&endpoint.host),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
        ..Default::default()
    };
    let feature = |(name, &(min_version, max_version)): (&String, &(i16, i16))| {
        wire::register_broker_record::BrokerFeature {
            name: text(name),
            min_version,
            max_version,
            ..Default::default()
        }
    };
    wire::RegisterBrokerRecord {
        broker_id: record.broker_id.0,
        broker_epoch: record.broker_epoch,
        incarnation_id: record.incarnation_id,
        rack: record.rack.as_deref().map(text),
        endpoints: record.endpoints.iter().map(endpoint).collect(),
        fenced: record.fenced,
        directory_id: record.directory_id,
        in_controlled_shutdown: record.in_controlled_shutdown,
        features: record.features.iter().map(feature).collect(),
        changed_at: record.changed_at.unwrap_or(-1),
        ..Default::default()
    }
}

fn register_broker_from_wire(record: wire::RegisterBrokerRecord) -> RegisterBrokerRecord {
    let endpoint = |endpoint: wire::register_broker_record::BrokerEndpoint| Endpoint {
        listener: endpoint.listener.as_str().to_owned(),
        host: endpoint.host.as_str().to_owned(),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    };
    RegisterBrokerRecord {
        broker_id: BrokerId(record.broker_id),
        broker_epoch: record.broker_epoch,
        incarnation_id: record.incarnation_id,
        rack: record.rack.map(|rack| rack.as_str().to_owned()),
        endpoints: record.endpoints.into_iter().map(endpoint).collect(),
        fenced: record.fenced,
        directory_id: record.directory_id,
        in_controlled_shutdown: record.in_controlled_shutdown,
        features: record
            .features
            .into_iter()
            .map(|f| (f.name.as_str().to_owned(), (f.min_version, f.max_version)))
            .collect(),
        changed_at: (record.changed_at >= 0).then_some(record.changed_at),
    }
}

fn partition_to_wire(record: &PartitionRecord) -> wire::PartitionRecord {
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
    wire::PartitionRecord {
        topic_id: record.topic_id,
        partition: record.partition,
        replicas: ids(&record.replicas),
        isr: ids(&record.isr),
        leader: record.leader.map_or(NO_LEADER, |id| id.0),
        leader_epoch: record.leader_epoch,
        partition_epoch: record.partition_epoch,
        recovering: record.recovering,
        removing_replicas: ids(&record.removing_replicas),
        adding_replicas: ids(&record.adding_replicas),
        elr: ids(&record.elr),
        last_known_elr: ids(&record.last_known_elr),
        ..Default::default()
    }
}

fn partition_from_wire(record: wire::PartitionRecord) -> PartitionRecord {
    let ids = |ids: Vec<i32>| ids.into_iter().map(BrokerId).collect();
    PartitionRecord {
        topic_id: record.topic_id,
        partition: record.partition,
        replicas: ids(record.replicas),
        isr: ids(record.isr),
        leader: (record.leader != NO_LEADER).then_some(BrokerId(record.leader)),
        leader_epoch: record.leader_epoch,
        partition_epoch: record.partition_epoch,
        recovering: record.recovering,
        adding_replicas: ids(record.adding_replicas),
        removing_replicas: ids(record.removing_replicas),
        elr: ids(record.elr),
        last_known_elr: ids(record.last_known_elr),
    }
}

fn config_to_wire(record: &ConfigRecord) -> wire::ConfigRecord {
    let (resource_type, resource_name) = match &record.resource {
        ConfigResource::Topic(name) => (TOPIC_RESOURCE, text(name.as_str())),
        ConfigResource::Broker(id) => (BROKER_RESOURCE, text(&id.to_string())),
        ConfigResource::DefaultBroker => (BROKER_RESOURCE, Text::new()),
        ConfigResource::Group(group) => (GROUP_RESOURCE, text(group)),
        ConfigResource::ClientMetrics(name) => (CLIENT_METRICS_RESOURCE, text(name)),
    };
    wire::ConfigRecord {
        resource_type,
        resource_name,
        key: text(&record.key),
        value: record.value.as_deref().map(text),
        ..Default::default()
    }
}

fn config_from_wire(record: &wire::ConfigRecord) -> Result<ConfigRecord, String> {
    let name = record.resource_name.as_str();
    let resource = match (record.resource_type, name) {
        (TOPIC_RESOURCE, _) => ConfigResource::Topic(topic_name(&record.resource_name)?),
        (BROKER_RESOURCE, "") => ConfigResource::DefaultBroker,
        (BROKER_RESOURCE, id) => match id.parse() {
            Ok(id) => ConfigResource::Broker(BrokerId(id)),
            Err(_) => return Err(format!("'{id}' is no broker id")),
        },
        (GROUP_RESOURCE | CLIENT_METRICS_RESOURCE, "") => {
            return Err("a group or a client-metrics subscription without a name".to_owned());
        }
        (GROUP_RESOURCE, group) => ConfigResource::Group(group.to_owned()),
        (CLIENT_METRICS_RESOURCE, name) => ConfigResource::ClientMetrics(name.to_owned()),
        (other, _) => return Err(format!("{other} is no configuration resource")),
    };
    Ok(ConfigRecord {
        resource,
        key: record.key.as_str().to_owned(),
        value: record.value.as_ref().map(|value| value.as_str().to_owned()),
    })
}

fn client_quota_to_wire(record: &ClientQuotaRecord) -> wire::ClientQuotaRecord {
    let part = |(kind, name): (&str, Option<&str>)| wire::client_quota_record::EntityData {
        entity_type: text(kind),
        entity_name: name.map(text),
        ..Default::default()
    };
    wire::ClientQuotaRecord {
        entity: record.entity.parts().map(part).collect(),
        key: text(record.key.name()),
        value: record.value.map_or(0.0, |value| value.0),
        remove: record.value.is_none(),
        ..Default::default()
    }
}

fn client_quota_from_wire(record: &wire::ClientQuotaRecord) -> Result<ClientQuotaRecord, String> {
    let parts = record.entity.iter();
    let parts = parts.map(|p| (p.entity_type.as_str(), p.entity_name.as_deref()));
    let key = record.key.as_str();
    Ok(ClientQuotaRecord {
        entity: ClientQuotaEntity::from_parts(parts).map_err(|error| error.to_string())?,
        key: QuotaKey::parse(key).ok_or_else(|| format!("'{key}' is no quota"))?,
        value: (!record.remove).then_some(QuotaValue(record.value)),
    })
}

fn topic_name(name: &Text) -> Result<TopicName, String> {
    TopicName::new(name.as_str()).map_err(|error| error.to_string())
}

fn text(value: &str) -> Text {
    Text::from(value)
}

#[cfg(test)]
mod tests;
