use std::collections::BTreeMap;

use ottla_model::{BrokerId, ClusterId, ErrorCode, QuotaValue, TopicName, Uuid};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::*;

/// One command of each kind, with something in each field.
fn commands() -> Vec<Command> {
    let broker_id = BrokerId(1);
    let allowance = MutationAllowance::of_tokens(7.0);
    let configs = vec![
        ("a".to_owned(), Some("b".to_owned())),
        ("c".to_owned(), None),
    ];
    vec![
        Command::NameCluster(ClusterId("c".into())),
        Command::RegisterBroker(RegisterBroker {
            broker_id,
            cluster_id: ClusterId("c".into()),
            incarnation_id: Uuid([1; 16]),
            directory_id: Uuid([0xff; 16]),
            rack: Some("zone".into()),
            endpoints: vec![Endpoint {
                listener: "PLAINTEXT".into(),
                host: "localhost".into(),
                port: 9092,
                security_protocol: 0,
            }],
            features: supported_features(),
            fenced: true,
            data_may_be_lost: true,
        }),
        Command::BrokerHeartbeat(BrokerHeartbeat {
            broker_id,
            broker_epoch: i64::MAX,
            metadata_offset: -1,
            want_fence: true,
            want_shut_down: false,
        }),
        Command::FenceBroker(FenceBroker {
            broker_id,
            broker_epoch: 5,
        }),
        Command::UnregisterBroker(broker_id),
        Command::AlterPartition(AlterPartition {
            broker_id,
            broker_epoch: 5,
            partitions: vec![AlterPartitionItem {
                topic_id: Uuid([7; 16]),
                partition: 3,
                leader_epoch: 4,
                partition_epoch: 5,
                new_isr: vec![IsrMember {
                    broker_id,
                    broker_epoch: 5,
                }],
                recovering: true,
            }],
        }),
        Command::ElectLeaders(ElectLeaders {
            kind: ElectionKind::Unclean,
            partitions: Some(vec![("t".to_owned(), 1)]),
        }),
        Command::BalanceLeaders,
        Command::AlterPartitionReassignments(AlterPartitionReassignments {
            allow_replication_factor_change: true,
            partitions: [Some(vec![BrokerId(1), BrokerId(2)]), None]
                .map(|replicas| ReassignPartition {
                    topic: "t".into(),
                    partition: 0,
                    replicas,
                })
                .to_vec(),
        }),
        Command::UpdateFeatures(UpdateFeatures {
            updates: vec![FeatureUpdate {
                feature: METADATA_VERSION.into(),
                level: 7,
                upgrade: FeatureUpgrade::SafeDowngrade,
            }],
            validate_only: true,
        }),
        Command::CreateTopics(CreateTopics {
            topics: vec![NewTopic {
                assignments: vec![ManualAssignment {
                    partition: 0,
                    broker_ids: vec![broker_id],
                }],
                configs,
                ..NewTopic::with_defaults("t")
            }],
            validate_only: true,
            allowance,
        }),
        Command::DeleteTopics(DeleteTopics {
            topics: vec![
                TopicSelector::by_name("t"),
                TopicSelector::by_id(Uuid([9; 16])),
            ],
            allowance,
        }),
        Command::CreatePartitions(CreatePartitions {
            topics: vec![NewPartitions {
                name: "t".into(),
                count: 4,
                assignments: Some(vec![vec![broker_id]]),
            }],
            validate_only: false,
            allowance,
        }),
        Command::AllocateProducerIds(AllocateProducerIds {
            broker_id,
            broker_epoch: 5,
        }),
        Command::AlterConfigs(AlterConfigs {
            resources: vec![
                AlterConfig {
                    resource: ConfigResource::Topic(TopicName::new("t").unwrap()),
                    change: ConfigChange::Replace(vec![("k".into(), "v".into())]),
                },
                AlterConfig {
                    resource: ConfigResource::DefaultBroker,
                    change: ConfigChange::Incremental(vec![
                        ("a".into(), ConfigOp::Delete),
                        ("b".into(), ConfigOp::Append("x".into())),
                    ]),
                },
            ],
            validate_only: false,
        }),
        Command::AlterClientQuotas(AlterClientQuotas {
            entries: vec![AlterClientQuota {
                entity: vec![("user".into(), None)],
                ops: vec![("producer_byte_rate".into(), Some(QuotaValue(0.5)))],
            }],
            validate_only: false,
        }),
    ]
}

fn answers() -> Vec<Answer> {
    let refusal = Refusal::new(ErrorCode::UnknownServerError, "why");
    let topic = || "t".to_owned();
    vec![
        Ok(Reply::Done),
        Err(refusal.clone()),
        Ok(Reply::RegisterBroker(RegisteredBroker { broker_epoch: 9 })),
        Ok(Reply::BrokerHeartbeat(BrokerHeartbeatReply {
            is_caught_up: true,
            is_fenced: false,
            should_shut_down: true,
        })),
        Ok(Reply::AlterPartition(vec![
            AlterPartitionResult {
                topic_id: Uuid([3; 16]),
                partition: 1,
                outcome: Err(ErrorCode::FencedLeaderEpoch),
            },
            AlterPartitionResult {
                topic_id: Uuid([3; 16]),
                partition: 2,
                outcome: Ok(PartitionState {
                    leader: Some(BrokerId(1)),
                    leader_epoch: 2,
                    isr: vec![BrokerId(1)],
                    recovering: false,
                    partition_epoch: 3,
                }),
            },
        ])),
        Ok(Reply::ElectLeaders(vec![ElectLeadersResult {
            topic: topic(),
            partition: 0,
            outcome: Err(refusal.clone()),
        }])),
        Ok(Reply::BalanceLeaders {
            elected: 1_000,
            more: true,
        }),
        Ok(Reply::AlterPartitionReassignments(vec![
            ReassignPartitionResult {
                topic: topic(),
                partition: 0,
                outcome: Ok(()),
            },
        ])),
        Ok(Reply::CreateTopics(vec![CreateTopicResult {
            name: topic(),
            outcome: Ok(CreatedTopic {
                topic_id: Uuid([3; 16]),
                num_partitions: 3,
                replication_factor: 2,
                configs: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            }),
        }])),
        Ok(Reply::DeleteTopics(vec![DeleteTopicResult {
            name: None,
            topic_id: Uuid([3; 16]),
            outcome: Err(refusal.clone()),
        }])),
        Ok(Reply::CreatePartitions(vec![CreatePartitionsResult {
            name: topic(),
            outcome: Ok(()),
        }])),
        Ok(Reply::AllocateProducerIds(ProducerIdBlock {
            first: 0,
            len: 9,
        })),
        Ok(Reply::AlterConfigs(vec![AlterConfigResult {
            resource: ConfigResource::Group("g".into()),
            outcome: Ok(()),
        }])),
        Ok(Reply::AlterClientQuotas(vec![Ok(()), Err(refusal)])),
    ]
}

#[test]
fn commands_and_answers_come_back_as_they_were_sent() {
    for command in commands() {
        let bytes = command.encode().unwrap();
        assert_eq!(Command::decode(&bytes).unwrap(), command);
    }
    for answer in answers() {
        let bytes = encode_answer(&answer).unwrap();
        assert_eq!(decode_answer(&bytes).unwrap(), answer);
    }
}

#[test]
fn cut_lengthened_and_foreign_bytes_are_errors() {
    for command in commands() {
        let bytes = command.encode().unwrap();
        for len in 0..bytes.len() {
            assert!(Command::decode(&bytes[..len]).is_err(), "{command:?} {len}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Command::decode(&longer).is_err());
        let mut newer = bytes;
        newer[0] = 2;
        let (version, known) = (2, 1);
        assert_eq!(
            Command::decode(&newer),
            Err(Error::UnknownCommandVersion { version, known })
        );
    }
}

#[test]
fn what_this_build_does_not_know_is_an_error_and_not_left_out() {
    #[derive(serde::Serialize)]
    enum Newer {
        FenceBroker {
            broker_id: i32,
            broker_epoch: i64,
            gently: bool,
        },
        Unheard(i32),
    }
    let with_field = Newer::FenceBroker {
        broker_id: 1,
        broker_epoch: 5,
        gently: true,
    };
    for newer in [with_field, Newer::Unheard(1)] {
        let mut bytes = vec![VERSION];
        rmp_serde::encode::write_named(&mut bytes, &newer).unwrap();
        let error = Command::decode(&bytes).unwrap_err().to_string();
        assert!(
            error.contains("gently") || error.contains("Unheard"),
            "{error}"
        );
    }
}

#[test]
fn a_claimed_length_takes_no_memory() {
    // An array of 2^32 - 1 topics, and a string of as many bytes, of which nothing follows.
    for claim in [
        [0xddu8, 0xff, 0xff, 0xff, 0xff],
        [0xdb, 0xff, 0xff, 0xff, 0xff],
    ] {
        let mut bytes = vec![VERSION, 0x81, 0xac];
        bytes.extend(b"CreateTopics");
        bytes.extend([0x81, 0xa6]);
        bytes.extend(b"topics");
        bytes.extend(claim);
        assert!(Command::decode(&bytes).is_err());
    }
    let deep = [vec![VERSION], vec![0x91; 1 << 20]].concat();
    assert!(Command::decode(&deep).is_err());
    let huge = vec![VERSION; COMMAND_BYTES_MAX + 1];
    assert!(matches!(
        Command::decode(&huge),
        Err(Error::TooLarge { .. })
    ));
}

proptest! {
    #[test]
    fn hostile_bytes_end_in_an_error_or_a_command(
        which in any::<prop::sample::Index>(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        noise in vec(any::<u8>(), 0..200),
    ) {
        let commands = commands();
        let mut bytes = commands[which.index(commands.len())].encode().unwrap();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(command) = Command::decode(&bytes) {
            prop_assert_eq!(Command::decode(&command.encode().unwrap()).unwrap(), command);
        }
        let noise = [vec![VERSION], noise].concat();
        let _ = Command::decode(&noise);
        let _ = decode_answer(&noise);
        let _ = decode_answer(&bytes);
    }
}
