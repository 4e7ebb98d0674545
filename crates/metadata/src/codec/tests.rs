use ottla_model::{EntityName, Uuid};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

fn record() -> impl Strategy<Value = Record> {
    let id = || any::<[u8; 16]>().prop_map(Uuid);
    let name = || "[a-zA-Z0-9._-]{1,40}x".prop_map(|name| TopicName::new(&name).unwrap());
    let brokers = || vec(any::<i32>().prop_map(BrokerId), 0..5);
    let endpoint = (".{0,9}", ".{0,9}", any::<u16>(), any::<i16>()).prop_map(
        |(listener, host, port, security_protocol)| Endpoint {
            listener,
            host,
            port,
            security_protocol,
        },
    );
    let cluster = ".{0,30}".prop_map(|id| {
        Record::Cluster(ClusterRecord {
            cluster_id: ClusterId(id),
        })
    });
    let broker = (
        any::<(i32, i64, bool, bool)>(),
        (id(), id()),
        option::of(".{0,9}"),
        vec(endpoint, 0..4),
        (
            btree_map("[a-z.]{1,9}", any::<(i16, i16)>(), 0..3),
            option::of(0..i64::MAX),
        ),
    )
        .prop_map(
            |(
                (broker_id, broker_epoch, fenced, in_controlled_shutdown),
                (incarnation_id, directory_id),
                rack,
                endpoints,
                (features, changed_at),
            )| {
                Record::RegisterBroker(RegisterBrokerRecord {
                    broker_id: BrokerId(broker_id),
                    broker_epoch,
                    incarnation_id,
                    rack,
                    endpoints,
                    fenced,
                    directory_id,
                    in_controlled_shutdown,
                    features,
                    changed_at,
                })
            },
        );
    let change = any::<(i32, i64, bool, bool)>().prop_map(
        |(broker_id, broker_epoch, fenced, in_controlled_shutdown)| {
            Record::BrokerChange(BrokerChangeRecord {
                broker_id: BrokerId(broker_id),
                broker_epoch,
                fenced,
                in_controlled_shutdown,
            })
        },
    );
    let unregister = any::<(i32, i64)>().prop_map(|(broker_id, broker_epoch)| {
        Record::UnregisterBroker(UnregisterBrokerRecord {
            broker_id: BrokerId(broker_id),
            broker_epoch,
        })
    });
    let feature = ("[a-z.]{1,9}", any::<i16>())
        .prop_map(|(name, level)| Record::FeatureLevel(FeatureLevelRecord { name, level }));
    let topic =
        (name(), id()).prop_map(|(name, topic_id)| Record::Topic(TopicRecord { name, topic_id }));
    let leader = option::of((0..i32::MAX).prop_map(BrokerId));
    let partition = (
        id(),
        any::<(i32, i32, i32, bool)>(),
        [
            brokers(),
            brokers(),
            brokers(),
            brokers(),
            brokers(),
            brokers(),
        ],
        leader,
    )
        .prop_map(|(topic_id, numbers, lists, leader)| {
            let (partition, leader_epoch, partition_epoch, recovering) = numbers;
            let [
                replicas,
                isr,
                adding_replicas,
                removing_replicas,
                elr,
                last_known_elr,
            ] = lists;
            Record::Partition(PartitionRecord {
                topic_id,
                partition,
                replicas,
                isr,
                leader,
                leader_epoch,
                partition_epoch,
                recovering,
                adding_replicas,
                removing_replicas,
                elr,
                last_known_elr,
            })
        });
    let remove = id().prop_map(|topic_id| Record::RemoveTopic(RemoveTopicRecord { topic_id }));
    let resource = prop_oneof![
        name().prop_map(ConfigResource::Topic),
        any::<i32>().prop_map(|id| ConfigResource::Broker(BrokerId(id))),
        Just(ConfigResource::DefaultBroker),
    ];
    let config = (resource, ".{0,9}", option::of(".{0,9}")).prop_map(|(resource, key, value)| {
        Record::Config(ConfigRecord {
            resource,
            key,
            value,
        })
    });
    let ids = any::<(i32, i64, i64)>().prop_map(|(id, broker_epoch, next_producer_id)| {
        Record::ProducerIds(ProducerIdsRecord {
            broker_id: BrokerId(id),
            broker_epoch,
            next_producer_id,
        })
    });
    let name = || {
        prop_oneof![
            Just(EntityName::Default),
            ".{1,9}".prop_map(EntityName::Named)
        ]
    };
    let entity = prop_oneof![
        name().prop_map(ClientQuotaEntity::User),
        name().prop_map(ClientQuotaEntity::ClientId),
        (name(), name()).prop_map(|(user, id)| ClientQuotaEntity::UserClientId(user, id)),
        Just(ClientQuotaEntity::Ip(EntityName::Default)),
        any::<std::net::IpAddr>()
            .prop_map(|ip| ClientQuotaEntity::Ip(EntityName::Named(ip.to_string()))),
    ];
    let value = option::of(any::<f64>().prop_map(QuotaValue));
    let quota =
        (entity, prop::sample::select(&QuotaKey::ALL), value).prop_map(|(entity, key, value)| {
            Record::ClientQuota(ClientQuotaRecord { entity, key, value })
        });
    prop_oneof![
        cluster, broker, change, unregister, feature, topic, partition, remove, config, ids, quota
    ]
}

proptest! {
    #[test]
    fn records_come_back_as_they_were_written(record in record()) {
        let bytes = record.encode().unwrap();
        prop_assert_eq!(Record::decode(bytes, 7).unwrap(), record);
    }

    #[test]
    fn cut_or_lengthened_records_are_errors(record in record(), cut in any::<prop::sample::Index>()) {
        let bytes = record.encode().unwrap();
        let shorter = bytes.slice(..cut.index(bytes.len()));
        prop_assert!(Record::decode(shorter, 7).is_err());
        let mut longer = bytes.to_vec();
        longer.push(0);
        prop_assert!(Record::decode(longer.into(), 7).is_err());
    }

    #[test]
    fn hostile_bytes_end_in_an_error_or_a_record(
        kind in 0u8..20,
        tail in vec(any::<u8>(), 0..60),
    ) {
        let mut bytes = vec![1, kind, 0];
        bytes.extend(tail);
        // Whatever is accepted must be a record that can be written again.
        if let Ok(record) = Record::decode(bytes.into(), 7) {
            prop_assert_eq!(Record::decode(record.encode().unwrap(), 7).unwrap(), record);
        }
    }
}

#[test]
fn a_client_quota_has_the_bytes_of_kafkas_own_record() {
    let record = Record::ClientQuota(ClientQuotaRecord {
        entity: ClientQuotaEntity::UserClientId(
            EntityName::Named("al".to_owned()),
            EntityName::Default,
        ),
        key: QuotaKey::ProducerByteRate,
        value: Some(QuotaValue(1.0)),
    });
    let mut expected = vec![1, 14, 0, 3, 5];
    expected.extend(b"user");
    expected.extend([3, b'a', b'l', 0, 10]);
    expected.extend(b"client-id");
    expected.extend([0, 0, 19]);
    expected.extend(b"producer_byte_rate");
    expected.extend(1f64.to_be_bytes());
    expected.extend([0, 0]);
    assert_eq!(record.encode().unwrap(), expected);
}

#[test]
fn the_bytes_are_what_an_older_build_has_written() {
    let record = Record::Topic(TopicRecord {
        name: TopicName::new("ab").unwrap(),
        topic_id: Uuid([5; 16]),
    });
    let mut expected = vec![1, 3, 0, 3, b'a', b'b'];
    expected.extend([5; 16]);
    expected.push(0);
    assert_eq!(record.encode().unwrap(), expected);
}

#[test]
fn what_a_newer_build_wrote_is_named_with_its_offset() {
    let decode = |bytes: &[u8]| Record::decode(Bytes::copy_from_slice(bytes), 42).unwrap_err();
    assert_eq!(
        decode(&[2, 1, 0]),
        Error::UnknownFrame {
            offset: 42,
            version: 2,
            known: 1
        }
    );
    assert_eq!(
        decode(&[1, 99, 0]),
        Error::UnknownKind {
            offset: 42,
            kind: 99
        }
    );
    let kind = 1 << 20;
    assert_eq!(
        decode(&[1, 0x80, 0x80, 0x40, 0]),
        Error::UnknownKind { offset: 42, kind }
    );
    let error = decode(&[1, 3, 9]);
    assert_eq!(
        error,
        Error::UnknownVersion {
            offset: 42,
            kind: "TopicRecord",
            version: 9
        }
    );
    assert!(error.to_string().contains("42"));
    assert!(matches!(decode(&[]), Error::Corrupt { offset: 42, .. }));
}
