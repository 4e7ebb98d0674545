use ottla_model::{BrokerId, ClusterId, ErrorCode, TopicName, Uuid};

use super::*;
use crate::fixture::{Cluster, topic};
use crate::*;

/// The error code of each result, `None` where it succeeded.
fn codes(results: &[CreateTopicResult]) -> Vec<ErrorCode> {
    results.iter().map(|r| code(&r.outcome)).collect()
}

fn code<T>(outcome: &Result<T, Refusal>) -> ErrorCode {
    match outcome {
        Ok(_) => ErrorCode::None,
        Err(refusal) => {
            assert!(!refusal.message.is_empty());
            refusal.code
        }
    }
}

fn assignment(partition: i32, ids: &[i32]) -> ManualAssignment {
    ManualAssignment {
        partition,
        broker_ids: ids.iter().copied().map(BrokerId).collect(),
    }
}

fn manual(name: &str, assignments: Vec<ManualAssignment>) -> NewTopic {
    NewTopic {
        assignments,
        ..NewTopic::with_defaults(name)
    }
}

fn delete(cluster: &mut Cluster, topics: Vec<TopicSelector>) -> Vec<DeleteTopicResult> {
    match cluster
        .run(&Command::DeleteTopics(DeleteTopics {
            topics,
            ..DeleteTopics::default()
        }))
        .unwrap()
    {
        Reply::DeleteTopics(results) => results,
        other => panic!("{other:?}"),
    }
}

fn grow(cluster: &mut Cluster, topics: Vec<NewPartitions>) -> Vec<CreatePartitionsResult> {
    let command = CreatePartitions {
        topics,
        ..CreatePartitions::default()
    };
    match cluster.run(&Command::CreatePartitions(command)).unwrap() {
        Reply::CreatePartitions(results) => results,
        other => panic!("{other:?}"),
    }
}

fn to_count(name: &str, count: i32) -> NewPartitions {
    NewPartitions {
        name: name.into(),
        count,
        assignments: None,
    }
}

#[test]
fn a_topic_takes_the_defaults_where_the_request_says_minus_one() {
    let mut cluster = Cluster::with_brokers(&[1]);
    cluster.defaults.num_partitions = 3;
    let results = cluster.create(&[NewTopic::with_defaults("a")]);
    let created = results[0].outcome.as_ref().unwrap();
    assert_eq!((created.num_partitions, created.replication_factor), (3, 1));
    let topic = cluster.image.topic("a").unwrap();
    assert_eq!(topic.id, created.topic_id);
    assert_eq!(topic.partition_count(), 3);
    assert_eq!(cluster.image.topic_by_id(created.topic_id).unwrap(), topic);
    for partition in &topic.partitions {
        assert_eq!(partition.replicas, [BrokerId(1)]);
        assert_eq!(partition.isr, [BrokerId(1)]);
        assert_eq!(partition.leader, Some(BrokerId(1)));
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (0, 0));
    }
}

#[test]
fn validate_only_answers_in_full_and_leaves_no_records() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let command = CreateTopics {
        topics: vec![topic("a", 2), topic("b", 0)],
        validate_only: true,
        ..CreateTopics::default()
    };
    let (records, reply) = cluster.decide(&Command::CreateTopics(command)).unwrap();
    assert_eq!(records, []);
    let Reply::CreateTopics(results) = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(
        codes(&results),
        [ErrorCode::None, ErrorCode::InvalidPartitions]
    );
    assert_eq!(results[0].outcome.as_ref().unwrap().num_partitions, 2);
}

#[test]
fn counts_out_of_bounds_are_refused_one_by_one() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let with_factor = |name: &str, replication_factor| NewTopic {
        replication_factor,
        ..NewTopic::with_defaults(name)
    };
    let results = cluster.create(&[
        topic("zero", 0),
        topic("negative", -2),
        with_factor("factor-zero", 0),
        with_factor("factor-negative", -2),
        with_factor("factor-two", 2),
        topic("fine", 1),
    ]);
    assert_eq!(
        codes(&results),
        [
            ErrorCode::InvalidPartitions,
            ErrorCode::InvalidPartitions,
            ErrorCode::InvalidReplicationFactor,
            ErrorCode::InvalidReplicationFactor,
            ErrorCode::InvalidReplicationFactor,
            ErrorCode::None,
        ]
    );
    assert_eq!(cluster.image.topic_count(), 1);
}

#[test]
fn names_are_refused_when_invalid_taken_colliding_internal_or_double() {
    let mut cluster = Cluster::with_brokers(&[1]);
    cluster.create(&[topic("taken.name", 1)]);
    let results = cluster.create(&[
        topic("", 1),
        topic("no spaces", 1),
        topic("taken.name", 1),
        topic("taken_name", 1),
        topic("new.one", 1),
        topic("new_one", 1),
        topic(CLUSTER_METADATA_TOPIC, 1),
        topic("twice", 1),
        topic("twice", 1),
        topic("__consumer_offsets", 1),
    ]);
    let names: Vec<_> = results.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names.iter().filter(|&&n| n == "twice").count(), 1);
    assert_eq!(
        codes(&results),
        [
            ErrorCode::InvalidTopicException,
            ErrorCode::InvalidTopicException,
            ErrorCode::TopicAlreadyExists,
            ErrorCode::InvalidTopicException,
            ErrorCode::None,
            ErrorCode::InvalidTopicException,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::None,
        ]
    );
    assert!(
        cluster
            .image
            .topic("__consumer_offsets")
            .unwrap()
            .is_internal()
    );
}

#[test]
fn a_name_is_free_again_after_deletion() {
    let mut cluster = Cluster::with_brokers(&[1]);
    cluster.create(&[topic("a.b", 1)]);
    let first = cluster.image.topic("a.b").unwrap().id;
    delete(&mut cluster, vec![TopicSelector::by_name("a.b")]);
    assert_eq!(
        codes(&cluster.create(&[topic("a_b", 1)])),
        [ErrorCode::None]
    );
    assert_ne!(cluster.image.topic("a_b").unwrap().id, first);
}

#[test]
fn configs_of_new_topics_are_judged_by_the_rules() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let with = |name: &str, configs: &[(&str, Option<&str>)]| NewTopic {
        configs: configs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned)))
            .collect(),
        ..NewTopic::with_defaults(name)
    };
    let results = cluster.create(&[
        with(
            "good",
            &[("retention.ms", Some("5")), ("retention.ms", Some("7"))],
        ),
        with("unknown", &[("unknown", Some("1"))]),
        with("bad", &[("retention.ms", Some("bad"))]),
        with("null", &[("retention.ms", None)]),
    ]);
    assert_eq!(
        codes(&results),
        [
            ErrorCode::None,
            ErrorCode::InvalidConfig,
            ErrorCode::InvalidConfig,
            ErrorCode::InvalidConfig,
        ]
    );
    assert_eq!(
        cluster.image.topic("good").unwrap().configs["retention.ms"],
        "7"
    );
}

#[test]
fn manual_assignments_are_taken_as_they_are() {
    let mut cluster = Cluster::with_brokers(&[1, 2, 3]);
    let results = cluster.create(&[manual(
        "a",
        vec![assignment(1, &[3, 1]), assignment(0, &[2, 3])],
    )]);
    let created = results[0].outcome.as_ref().unwrap();
    assert_eq!((created.num_partitions, created.replication_factor), (2, 2));
    let partition = cluster.image.partition("a", 1).unwrap();
    assert_eq!(partition.replicas, [BrokerId(3), BrokerId(1)]);
    assert_eq!(partition.leader, Some(BrokerId(3)));
}

#[test]
fn a_fenced_broker_of_a_manual_assignment_is_not_in_sync() {
    let mut cluster = Cluster::with_brokers(&[1, 2]);
    cluster.register(1, true);
    let results = cluster.create(&[
        manual("a", vec![assignment(0, &[1, 2])]),
        manual("b", vec![assignment(0, &[1])]),
    ]);
    assert_eq!(
        codes(&results),
        [ErrorCode::None, ErrorCode::InvalidReplicaAssignment]
    );
    let partition = cluster.image.partition("a", 0).unwrap();
    assert_eq!(partition.isr, [BrokerId(2)]);
    assert_eq!(partition.leader, Some(BrokerId(2)));
}

#[test]
fn wrong_manual_assignments_are_refused() {
    let mut cluster = Cluster::with_brokers(&[1, 2]);
    let cases = [
        (
            vec![assignment(0, &[])],
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            vec![assignment(0, &[9])],
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            vec![assignment(0, &[1, 1])],
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            vec![assignment(0, &[1]), assignment(0, &[2])],
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            vec![assignment(0, &[1]), assignment(1, &[1, 2])],
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            vec![assignment(1, &[1])],
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            vec![assignment(-1, &[1])],
            ErrorCode::InvalidReplicaAssignment,
        ),
    ];
    for (assignments, expected) in cases {
        let results = cluster.create(&[manual("a", assignments.clone())]);
        assert_eq!(codes(&results), [expected], "{assignments:?}");
    }
    let mut both = manual("a", vec![assignment(0, &[1])]);
    both.num_partitions = 1;
    assert_eq!(codes(&cluster.create(&[both])), [ErrorCode::InvalidRequest]);
    let mut both = manual("a", vec![assignment(0, &[1])]);
    both.replication_factor = 1;
    assert_eq!(codes(&cluster.create(&[both])), [ErrorCode::InvalidRequest]);
}

#[test]
fn too_many_partitions_in_one_request_are_refused_before_memory_is_spent() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let topics = vec![topic("a", i32::MAX), topic("b", i32::MAX)];
    let command = Command::CreateTopics(CreateTopics {
        topics,
        validate_only: true,
        ..CreateTopics::default()
    });
    assert_eq!(
        cluster.decide(&command).unwrap_err().code,
        ErrorCode::PolicyViolation
    );
    cluster.create(&[topic("c", 1)]);
    let topics = vec![to_count("c", i32::MAX)];
    let command = Command::CreatePartitions(CreatePartitions {
        topics,
        ..CreatePartitions::default()
    });
    assert_eq!(
        cluster.decide(&command).unwrap_err().code,
        ErrorCode::PolicyViolation
    );
}

#[test]
fn without_a_live_broker_no_topic_is_created() {
    let mut cluster = Cluster::with_brokers(&[]);
    assert_eq!(
        codes(&cluster.create(&[topic("a", 1)])),
        [ErrorCode::InvalidReplicationFactor]
    );
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let mut cluster = Cluster::with_brokers(&[1]);
    cluster.create(&[topic("a", 1), topic("b", 2), topic("c", 1)]);
    let b = cluster.image.topic("b").unwrap().id;
    let results = delete(
        &mut cluster,
        vec![
            TopicSelector::by_name("a"),
            TopicSelector::by_id(b),
            TopicSelector::by_name("none"),
            TopicSelector::by_id(Uuid([9; 16])),
        ],
    );
    let got: Vec<_> = results.iter().map(|r| code(&r.outcome)).collect();
    assert_eq!(
        got,
        [
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicId,
        ]
    );
    assert_eq!(results[1].name.as_deref(), Some("b"));
    let left: Vec<_> = cluster.image.topics().map(|t| t.name.as_str()).collect();
    assert_eq!(left, ["c"]);
    assert_eq!(cluster.image.partition_count(), 1);
}

#[test]
fn doubtful_selections_delete_nothing() {
    let mut cluster = Cluster::with_brokers(&[1]);
    cluster.create(&[topic("a", 1), topic("b", 1), topic("c", 1)]);
    let id = |name: &str| cluster.image.topic(name).unwrap().id;
    let (a, b) = (id("a"), id("b"));
    let selections = vec![
        TopicSelector::by_name("a"),
        TopicSelector::by_id(a),
        TopicSelector::by_id(b),
        TopicSelector::by_id(b),
        TopicSelector::by_name("c"),
        TopicSelector::by_name("c"),
        TopicSelector {
            name: None,
            topic_id: Uuid::ZERO,
        },
        TopicSelector {
            name: Some("a".into()),
            topic_id: a,
        },
    ];
    let results = delete(&mut cluster, selections);
    // The doubled ones are answered once.
    assert_eq!(results.len(), 6);
    assert!(
        results
            .iter()
            .all(|r| code(&r.outcome) == ErrorCode::InvalidRequest)
    );
    assert_eq!(cluster.image.topic_count(), 3);
}

#[test]
fn deletion_can_be_disabled() {
    let mut cluster = Cluster::with_brokers(&[1]);
    cluster.create(&[topic("a", 1)]);
    cluster.defaults.delete_topic_enable = false;
    let topics = vec![TopicSelector::by_name("a")];
    let refusal = cluster
        .run(&Command::DeleteTopics(DeleteTopics {
            topics,
            ..DeleteTopics::default()
        }))
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::TopicDeletionDisabled);
}

#[test]
fn topics_grow_and_never_shrink() {
    let mut cluster = Cluster::with_brokers(&[1, 2]);
    cluster.create(&[topic("a", 2), topic("b", 1)]);
    let id = cluster.image.topic("a").unwrap().id;
    let manual = |name: &str, count, lists: &[&[i32]]| NewPartitions {
        name: name.into(),
        count,
        assignments: Some(
            lists
                .iter()
                .map(|l| l.iter().copied().map(BrokerId).collect())
                .collect(),
        ),
    };
    let results = grow(
        &mut cluster,
        vec![
            to_count("a", 5),
            manual("b", 3, &[&[2], &[1]]),
            to_count("none", 3),
            to_count("twice", 3),
            to_count("twice", 3),
        ],
    );
    let got: Vec<_> = results.iter().map(|r| code(&r.outcome)).collect();
    assert_eq!(
        got,
        [
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::InvalidRequest,
        ]
    );
    assert_eq!(cluster.image.topic("a").unwrap().partition_count(), 5);
    assert_eq!(cluster.image.topic("a").unwrap().id, id);
    assert_eq!(
        cluster.image.partition("b", 1).unwrap().replicas,
        [BrokerId(2)]
    );
    for (wanted, expected) in [
        (to_count("a", 5), ErrorCode::InvalidPartitions),
        (to_count("a", 4), ErrorCode::InvalidPartitions),
        (to_count("a", -1), ErrorCode::InvalidPartitions),
        (manual("a", 7, &[&[1]]), ErrorCode::InvalidReplicaAssignment),
        (
            manual("a", 6, &[&[1, 2]]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (manual("a", 6, &[&[9]]), ErrorCode::InvalidReplicaAssignment),
        (manual("a", 6, &[&[]]), ErrorCode::InvalidReplicaAssignment),
    ] {
        let results = grow(&mut cluster, vec![wanted.clone()]);
        assert_eq!(code(&results[0].outcome), expected, "{wanted:?}");
    }
    assert_eq!(cluster.image.topic("a").unwrap().partition_count(), 5);
}

#[test]
fn growth_can_be_tried_without_doing_it() {
    let mut cluster = Cluster::with_brokers(&[1]);
    cluster.create(&[topic("a", 1)]);
    let command = CreatePartitions {
        topics: vec![to_count("a", 4)],
        validate_only: true,
        ..CreatePartitions::default()
    };
    let (records, reply) = cluster.decide(&Command::CreatePartitions(command)).unwrap();
    assert_eq!(records, []);
    let Reply::CreatePartitions(results) = reply else {
        panic!("{reply:?}")
    };
    assert!(results[0].outcome.is_ok());
}

#[test]
fn blocks_of_producer_ids_never_overlap() {
    let mut cluster = Cluster::with_brokers(&[1, 2]);
    let epoch = cluster.image.broker(BrokerId(1)).unwrap().epoch;
    let ask = |broker_epoch| {
        Command::AllocateProducerIds(AllocateProducerIds {
            broker_id: BrokerId(1),
            broker_epoch,
        })
    };
    for expected in [0, 1000, 2000] {
        let reply = cluster.run(&ask(epoch)).unwrap();
        let block = ProducerIdBlock {
            first: expected,
            len: 1000,
        };
        assert_eq!(reply, Reply::AllocateProducerIds(block));
    }
    let newer = cluster.register(1, false);
    assert!(newer > epoch);
    assert_eq!(
        cluster.run(&ask(epoch)).unwrap_err().code,
        ErrorCode::StaleBrokerEpoch
    );
    assert!(cluster.run(&ask(newer)).is_ok());
    let stranger = AllocateProducerIds {
        broker_id: BrokerId(9),
        broker_epoch: 0,
    };
    let refusal = cluster
        .run(&Command::AllocateProducerIds(stranger))
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::StaleBrokerEpoch);
    cluster.image.next_producer_id = i64::MAX - 5;
    assert_eq!(
        cluster.run(&ask(newer)).unwrap_err().code,
        ErrorCode::UnknownServerError
    );
}

#[test]
fn brokers_of_another_cluster_and_double_listeners_are_refused() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let good = RegisterBroker {
        broker_id: BrokerId(2),
        cluster_id: ClusterId("test".into()),
        incarnation_id: Uuid([1; 16]),
        rack: None,
        endpoints: vec![],
        fenced: false,
        directory_id: Uuid([2; 16]),
        features: std::collections::BTreeMap::new(),
        data_may_be_lost: false,
    };
    let mut other = good.clone();
    other.cluster_id = ClusterId("other".into());
    let refusal = cluster.run(&Command::RegisterBroker(other)).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InconsistentClusterId);
    assert!(refusal.message.contains("test") && refusal.message.contains("other"));
    let mut double = good.clone();
    let endpoint = cluster.image.broker(BrokerId(1)).unwrap().endpoints["PLAINTEXT"].clone();
    double.endpoints = vec![endpoint.clone(), endpoint];
    let refusal = cluster.run(&Command::RegisterBroker(double)).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidRegistration);
    let mut negative = good;
    negative.broker_id = BrokerId(-1);
    let refusal = cluster.run(&Command::RegisterBroker(negative)).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidRequest);
    let renamed = cluster.run(&Command::NameCluster(ClusterId("other".into())));
    assert_eq!(renamed.unwrap_err().code, ErrorCode::InconsistentClusterId);
    assert!(
        cluster
            .run(&Command::NameCluster(ClusterId("test".into())))
            .is_ok()
    );
}

#[test]
fn overrides_are_set_and_taken_away_all_or_none_for_each_resource() {
    let mut cluster = Cluster::with_brokers(&[1]);
    cluster.create(&[topic("a", 1)]);
    let resource = |name: &str| ConfigResource::Topic(TopicName::new(name).unwrap());
    let change = |resource, entries: &[(&str, Option<&str>)]| AlterConfig {
        resource,
        change: ConfigChange::Incremental(
            entries
                .iter()
                .map(|(k, v)| {
                    let op = v.map_or(ConfigOp::Delete, |v| ConfigOp::Set(v.to_owned()));
                    ((*k).to_owned(), op)
                })
                .collect(),
        ),
    };
    let mut alter = |resources: Vec<AlterConfig>| {
        let command = AlterConfigs {
            resources,
            validate_only: false,
        };
        match cluster.run(&Command::AlterConfigs(command)).unwrap() {
            Reply::AlterConfigs(results) => {
                results.iter().map(|r| code(&r.outcome)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    let got = alter(vec![
        change(resource("a"), &[("x", Some("1")), ("y", Some("2"))]),
        change(ConfigResource::DefaultBroker, &[("z", Some("3"))]),
        change(ConfigResource::Broker(BrokerId(1)), &[("z", Some("4"))]),
        change(ConfigResource::Broker(BrokerId(9)), &[("z", Some("4"))]),
        change(resource("none"), &[]),
    ]);
    assert_eq!(
        got,
        [
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::BrokerIdNotRegistered,
            ErrorCode::UnknownTopicOrPartition,
        ]
    );
    let got = alter(vec![change(
        resource("a"),
        &[("x", None), ("y", Some("bad"))],
    )]);
    assert_eq!(got, [ErrorCode::InvalidConfig]);
    let got = alter(vec![change(
        resource("a"),
        &[("x", None), ("x", Some("1"))],
    )]);
    assert_eq!(got, [ErrorCode::InvalidRequest]);
    let twice = change(resource("a"), &[("x", None)]);
    assert_eq!(
        alter(vec![twice.clone(), twice]),
        [ErrorCode::InvalidRequest]
    );
    assert_eq!(cluster.image.topic("a").unwrap().configs.len(), 2);
    assert_eq!(cluster.image.broker_configs(BrokerId(1)).unwrap()["z"], "4");
    assert_eq!(cluster.image.default_broker_configs().unwrap()["z"], "3");
    let command = AlterConfigs {
        resources: vec![change(resource("a"), &[("x", None), ("y", Some("2"))])],
        validate_only: false,
    };
    let (records, _) = cluster.decide(&Command::AlterConfigs(command)).unwrap();
    assert_eq!(records.len(), 1, "a value that stays needs no record");
}

/// Alters one resource and returns what became of it.
fn alter(cluster: &mut Cluster, resource: &ConfigResource, change: ConfigChange) -> ErrorCode {
    let command = AlterConfigs {
        resources: vec![AlterConfig {
            resource: resource.clone(),
            change,
        }],
        validate_only: false,
    };
    match cluster.run(&Command::AlterConfigs(command)).unwrap() {
        Reply::AlterConfigs(results) => code(&results[0].outcome),
        other => panic!("{other:?}"),
    }
}

fn op(key: &str, op: ConfigOp) -> ConfigChange {
    ConfigChange::Incremental(vec![(key.to_owned(), op)])
}

#[test]
fn entries_are_appended_to_and_subtracted_from_lists_only() {
    let mut cluster = Cluster::with_brokers(&[1]);
    cluster.create(&[topic("a", 1)]);
    let resource = ConfigResource::Topic(TopicName::new("a").unwrap());
    let mut steps = Vec::new();
    for change in [
        ConfigOp::Append("c,a".into()),
        ConfigOp::Subtract("b".into()),
        ConfigOp::Append("d".into()),
        ConfigOp::Subtract("a,c,d,e".into()),
        ConfigOp::Append("b".into()),
        ConfigOp::Delete,
        ConfigOp::Subtract("a".into()),
    ] {
        let done = alter(&mut cluster, &resource, op("list", change));
        assert_eq!(done, ErrorCode::None);
        let value = cluster.image.configs(&resource).unwrap().get("list");
        steps.push(value.cloned());
    }
    // Without a setting the default counts, which is a,b.
    let expected = ["a,b,c", "a,c", "a,c,d", "", "b", "-", "b"].map(str::to_owned);
    let steps: Vec<_> = steps
        .into_iter()
        .map(|s| s.unwrap_or_else(|| "-".into()))
        .collect();
    assert_eq!(steps, expected);
    for change in [ConfigOp::Append("x".into()), ConfigOp::Subtract("x".into())] {
        let refused = alter(&mut cluster, &resource, op("number", change));
        assert_eq!(refused, ErrorCode::InvalidConfig);
    }
}

#[test]
fn a_replacement_takes_away_what_it_does_not_name() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let resource = ConfigResource::Group("g".into());
    let replace = |pairs: &[(&str, &str)]| {
        let owned = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        ConfigChange::Replace(owned.collect())
    };
    let first = replace(&[("x", "1"), ("y", "2")]);
    assert_eq!(alter(&mut cluster, &resource, first), ErrorCode::None);
    let second = replace(&[("y", "2"), ("z", "3")]);
    assert_eq!(alter(&mut cluster, &resource, second), ErrorCode::None);
    let names: Vec<_> = cluster
        .image
        .group_configs("g")
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(names, ["y", "z"]);
    assert_eq!(
        alter(&mut cluster, &resource, replace(&[])),
        ErrorCode::None
    );
    assert_eq!(cluster.image.group_configs("g"), None);
    assert_eq!(cluster.image.configured_groups().count(), 0);
}

#[test]
fn groups_and_subscriptions_keep_their_settings_in_records_and_images() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let group = ConfigResource::Group("g".into());
    let metrics = ConfigResource::ClientMetrics("m".into());
    let before = cluster.image.clone();
    for resource in [&group, &metrics] {
        let set = op("x", ConfigOp::Set("1".into()));
        assert_eq!(alter(&mut cluster, resource, set), ErrorCode::None);
    }
    for unnamed in [
        ConfigResource::Group(String::new()),
        ConfigResource::ClientMetrics(String::new()),
    ] {
        let set = op("x", ConfigOp::Set("1".into()));
        assert_eq!(
            alter(&mut cluster, &unnamed, set),
            ErrorCode::InvalidRequest
        );
    }
    let delta = cluster.image.diff(&before);
    assert_eq!(delta.configs_changed, [group, metrics]);
    assert!(delta.client_metrics_changed() && !delta.broker_configs_changed());
    let mut copy = Image::empty();
    for record in cluster.image.to_records() {
        let offset = copy.metadata_offset() + 1;
        let bytes = record.encode().unwrap();
        copy.apply(&Record::decode(bytes, offset).unwrap(), offset)
            .unwrap();
    }
    let copy = copy.at_offset(cluster.image.metadata_offset());
    assert_eq!(copy, cluster.image);
    assert_eq!(
        copy.client_metrics()
            .map(|(name, _)| name)
            .collect::<Vec<_>>(),
        ["m"]
    );
}

#[test]
fn values_and_requests_have_bounds() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let resource = ConfigResource::DefaultBroker;
    let set = |len: usize| op("x", ConfigOp::Set("v".repeat(len)));
    assert_eq!(alter(&mut cluster, &resource, set(32_767)), ErrorCode::None);
    assert_eq!(
        alter(&mut cluster, &resource, set(32_768)),
        ErrorCode::InvalidConfig
    );
    let many = (0..10_001).map(|n| (n.to_string(), ConfigOp::Delete));
    let command = AlterConfigs {
        resources: vec![AlterConfig {
            resource,
            change: ConfigChange::Incremental(many.collect()),
        }],
        validate_only: false,
    };
    let refused = cluster.run(&Command::AlterConfigs(command)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::PolicyViolation);
}

#[test]
fn the_same_inputs_give_the_same_decision() {
    let command = Command::CreateTopics(CreateTopics {
        topics: (0..20).map(|i| topic(&format!("t{i}"), i)).collect(),
        ..CreateTopics::default()
    });
    let mut one = Cluster::with_brokers(&[1, 2, 3]);
    let mut two = Cluster::with_brokers(&[1, 2, 3]);
    assert_eq!(one.decide(&command), two.decide(&command));
}

#[test]
fn an_overdrawn_client_is_refused_topic_by_topic_and_only_where_it_would_change_something() {
    let mut cluster = Cluster::with_brokers(&[1]);
    let allowance = MutationAllowance::of_tokens(2.0);
    let create = CreateTopics {
        topics: vec![topic("a", 2), topic("a.", -5), topic("b", 3), topic("c", 1)],
        allowance,
        ..CreateTopics::default()
    };
    let Ok(Reply::CreateTopics(results)) = cluster.run(&Command::CreateTopics(create)) else {
        panic!("the command is carried out");
    };
    let expected = [
        ErrorCode::None,
        ErrorCode::InvalidPartitions,
        ErrorCode::None,
        ErrorCode::ThrottlingQuotaExceeded,
    ];
    assert_eq!(codes(&results), expected);
    let grow = CreatePartitions {
        topics: vec![to_count("a", 2), to_count("a", 6), to_count("b", 4)],
        allowance: MutationAllowance::of_tokens(-1.0),
        ..CreatePartitions::default()
    };
    let Ok(Reply::CreatePartitions(results)) = cluster.run(&Command::CreatePartitions(grow)) else {
        panic!("the command is carried out");
    };
    let outcomes: Vec<_> = results.iter().map(|r| code(&r.outcome)).collect();
    let expected = [
        ErrorCode::InvalidRequest,
        ErrorCode::ThrottlingQuotaExceeded,
    ];
    assert_eq!(outcomes, expected);
    let delete = DeleteTopics {
        topics: ["b", "x", "a"].map(TopicSelector::by_name).to_vec(),
        allowance,
    };
    let Ok(Reply::DeleteTopics(results)) = cluster.run(&Command::DeleteTopics(delete)) else {
        panic!("the command is carried out");
    };
    let outcomes: Vec<_> = results.iter().map(|r| code(&r.outcome)).collect();
    let expected = [
        ErrorCode::None,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::ThrottlingQuotaExceeded,
    ];
    assert_eq!(outcomes, expected);
    assert!(cluster.image.topic("a").is_some() && cluster.image.topic("b").is_none());
}
