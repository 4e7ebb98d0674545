use proptest::prelude::*;

use crate::fixture::{Cluster, topic};
use crate::*;
use ottla_model::{BrokerId, QuotaValue, TopicName, Uuid};

/// A random life of a cluster: commands that may succeed or be refused.
fn command() -> impl Strategy<Value = Command> {
    let name = (0u8..12).prop_map(|i| format!("topic.{i}"));
    let create =
        (name.clone(), 1..4i32, prop::option::of("[a-c]{1}")).prop_map(|(name, n, key)| {
            let mut new = topic(&name, n);
            new.configs
                .extend(key.map(|key| (key, Some("1".to_owned()))));
            Command::CreateTopics(CreateTopics {
                topics: vec![new],
                ..CreateTopics::default()
            })
        });
    let delete = name.clone().prop_map(|name| {
        Command::DeleteTopics(DeleteTopics {
            topics: vec![TopicSelector::by_name(name)],
            ..DeleteTopics::default()
        })
    });
    let grow = (name.clone(), 1..8i32).prop_map(|(name, count)| {
        let topics = vec![NewPartitions {
            name,
            count,
            assignments: None,
        }];
        Command::CreatePartitions(CreatePartitions {
            topics,
            ..CreatePartitions::default()
        })
    });
    let resource = prop_oneof![
        name.prop_map(|name| ConfigResource::Topic(TopicName::new(&name).unwrap())),
        Just(ConfigResource::Broker(BrokerId(1))),
        Just(ConfigResource::DefaultBroker),
        "[ab]".prop_map(ConfigResource::Group),
        Just(ConfigResource::ClientMetrics("a".into())),
    ];
    let alter = (resource, "[a-c]{1}", prop::option::of("[0-9]")).prop_map(|(resource, k, v)| {
        let resources = vec![AlterConfig {
            resource,
            change: ConfigChange::Incremental(vec![(k, v.map_or(ConfigOp::Delete, ConfigOp::Set))]),
        }];
        Command::AlterConfigs(AlterConfigs {
            resources,
            validate_only: false,
        })
    });
    let ids = Just(Command::AllocateProducerIds(AllocateProducerIds {
        broker_id: BrokerId(1),
        broker_epoch: Cluster::with_brokers(&[1]).epoch(1),
    }));
    let limit = ("[a-b]{1}", prop::option::of(1..5u8)).prop_map(|(user, rate)| {
        let rate = rate.map(|rate| QuotaValue(rate.into()));
        let entry = AlterClientQuota {
            entity: vec![("user".to_owned(), Some(user))],
            ops: vec![("request_percentage".to_owned(), rate)],
        };
        Command::AlterClientQuotas(AlterClientQuotas {
            entries: vec![entry],
            validate_only: false,
        })
    });
    prop_oneof![4 => create, 2 => delete, 2 => grow, 3 => alter, 1 => ids, 2 => limit]
}

fn live(cluster: &mut Cluster, commands: &[Command]) {
    for command in commands {
        cluster.run(command).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_snapshot_rebuilds_the_same_image(commands in prop::collection::vec(command(), 0..60)) {
        let mut cluster = Cluster::with_brokers(&[1, 2, 3]);
        live(&mut cluster, &commands);
        let mut rebuilt = Image::empty();
        for (offset, record) in (0..).zip(cluster.image.to_records()) {
            rebuilt.apply(&record, offset).unwrap();
        }
        prop_assert_eq!(rebuilt.at_offset(cluster.image.metadata_offset()), cluster.image);
    }

    #[test]
    fn the_difference_names_just_what_changed(
        before in prop::collection::vec(command(), 0..40),
        after in prop::collection::vec(command(), 0..10),
    ) {
        let mut cluster = Cluster::with_brokers(&[1]);
        live(&mut cluster, &before);
        let old = cluster.image.clone();
        prop_assert!(old.diff(&old).is_empty());
        live(&mut cluster, &after);
        let new = cluster.image;
        let delta = new.diff(&old);
        let ids = |image: &Image| -> std::collections::BTreeMap<Uuid, _> {
            image.topics().map(|t| (t.id, t.clone())).collect()
        };
        let (old_ids, new_ids) = (ids(&old), ids(&new));
        let created: Vec<_> =
            new.topics().filter(|t| !old_ids.contains_key(&t.id)).cloned().collect();
        let deleted: Vec<_> =
            old.topics().filter(|t| !new_ids.contains_key(&t.id)).cloned().collect();
        prop_assert_eq!(&delta.created, &created);
        prop_assert_eq!(&delta.deleted, &deleted);
        let changed: Vec<_> = old
            .topics()
            .filter_map(|t| Some((t.clone(), new_ids.get(&t.id)?.clone())))
            .filter(|(old, new)| old != new)
            .collect();
        prop_assert_eq!(delta.changed.len(), changed.len());
        for (change, (old, new)) in delta.changed.iter().zip(&changed) {
            prop_assert_eq!(&change.new, new);
            prop_assert_eq!(change.configs_changed(), old.configs != new.configs);
            let added = change.added_partitions().len();
            prop_assert_eq!(added, new.partitions.len() - old.partitions.len());
            prop_assert_eq!(change.changed_partitions().count(), 0);
        }
        let resources = [
            ConfigResource::Broker(BrokerId(1)),
            ConfigResource::DefaultBroker,
            ConfigResource::Group("a".into()),
            ConfigResource::Group("b".into()),
            ConfigResource::ClientMetrics("a".into()),
        ];
        let differs = resources.into_iter().filter(|r| old.configs(r) != new.configs(r));
        prop_assert_eq!(&delta.configs_changed, &differs.collect::<Vec<_>>());
        prop_assert!(!delta.brokers_changed);
    }
}

#[test]
fn readers_keep_the_image_they_have() {
    let mut cluster = Cluster::with_brokers(&[1]);
    cluster.create(&[topic("a", 1)]);
    let old = cluster.image.clone();
    cluster.create(&[topic("b", 1)]);
    assert!(old.topic("b").is_none());
    assert_eq!(old.topic_count(), 1);
    assert_eq!(cluster.image.topic_count(), 2);
}

#[test]
fn a_change_among_ten_thousand_partitions_shares_all_other_topics() {
    let mut cluster = Cluster::with_brokers(&[1]);
    for chunk in 0..10 {
        let topics: Vec<_> = (0..1000)
            .map(|i| topic(&format!("t{}", chunk * 1000 + i), 1))
            .collect();
        cluster.create(&topics);
    }
    assert_eq!(cluster.image.partition_count(), 10_000);
    let old = cluster.image.clone();
    cluster.create(&[topic("one-more", 1)]);
    let shared = old
        .topics()
        .filter(|t| std::sync::Arc::ptr_eq(t, cluster.image.topic(t.name.as_str()).unwrap()))
        .count();
    assert_eq!(shared, 10_000);
    let delta = cluster.image.diff(&old);
    assert_eq!(
        (
            delta.created.len(),
            delta.deleted.len(),
            delta.changed.len()
        ),
        (1, 0, 0)
    );
}

#[test]
fn records_that_contradict_the_image_are_errors_with_their_offset() {
    let mut cluster = Cluster::with_brokers(&[1]);
    cluster.create(&[topic("a", 1)]);
    let id = cluster.image.topic("a").unwrap().id;
    let partition = |topic_id, partition| {
        Record::Partition(PartitionRecord {
            topic_id,
            partition,
            replicas: vec![BrokerId(1)],
            isr: vec![BrokerId(1)],
            leader: Some(BrokerId(1)),
            ..PartitionRecord::default()
        })
    };
    let name = TopicName::new("a").unwrap();
    let other = TopicName::new("b").unwrap();
    let unknown = Uuid([9; 16]);
    let records = [
        Record::Topic(TopicRecord {
            name,
            topic_id: unknown,
        }),
        Record::Topic(TopicRecord {
            name: other.clone(),
            topic_id: id,
        }),
        partition(unknown, 0),
        partition(id, 2),
        partition(id, -1),
        Record::RemoveTopic(RemoveTopicRecord { topic_id: unknown }),
        Record::Config(ConfigRecord {
            resource: ConfigResource::Topic(other),
            key: "x".into(),
            value: None,
        }),
        Record::Cluster(ClusterRecord {
            cluster_id: ottla_model::ClusterId("other".into()),
        }),
        Record::ProducerIds(ProducerIdsRecord {
            broker_id: BrokerId(1),
            broker_epoch: cluster.epoch(1),
            next_producer_id: 0,
        }),
    ];
    for record in records {
        let error = cluster.image.clone().apply(&record, 77).unwrap_err();
        assert!(error.to_string().contains("offset 77"), "{error}");
        assert!(error.to_string().contains(record.kind()), "{error}");
    }
}
