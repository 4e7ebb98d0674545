//! Groups: a member's whole life in every version, committed offsets, and what is refused.

use bytes::Bytes;
use ottla_model::{ErrorCode, Uuid};
use ottla_wire::ApiKey;
use ottla_wire::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_wire::messages::leave_group_request::MemberIdentity;
use ottla_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_wire::messages::*;

use crate::harness::*;

/// Waits until the coordinator of the group has loaded.
pub(crate) async fn ready(client: &mut Connection, group: &str) {
    for _ in 0..500 {
        let find = FindCoordinatorRequest {
            key: group.into(),
            ..FindCoordinatorRequest::default()
        };
        assert_eq!(client.ask(3, find).await.error_code, 0);
        let describe = DescribeGroupsRequest {
            groups: vec![group.into()],
            ..Default::default()
        };
        let described = client.ask(5, describe).await.groups.remove(0);
        match error(described.error_code) {
            ErrorCode::None => return,
            ErrorCode::CoordinatorLoadInProgress => {}
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the coordinator does not load");
}

pub(crate) fn join_request(group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member.into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"subscription"),
            ..JoinGroupRequestProtocol::default()
        }],
        ..JoinGroupRequest::default()
    }
}

/// Joins as the only member, with the detour for a member id where the version has it.
async fn join(client: &mut Connection, version: i16, group: &str) -> JoinGroupResponse {
    let first = client.ask(version, join_request(group, "")).await;
    if version < 4 {
        return first;
    }
    assert_eq!(error(first.error_code), ErrorCode::MemberIdRequired);
    client
        .ask(version, join_request(group, &first.member_id))
        .await
}

#[tokio::test]
async fn coordinators_are_found_in_every_version() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let own = node.kafka().identity.node_id.0;
    for version in ApiKey::FindCoordinator.stable_versions() {
        let mut request = FindCoordinatorRequest::default();
        if version >= 4 {
            request.coordinator_keys = vec!["one".into(), "two".into()];
            let answer = client.ask(version, request).await;
            let found: Vec<_> = answer
                .coordinators
                .iter()
                .map(|c| (&*c.key, c.node_id))
                .collect();
            assert_eq!(found, [("one", own), ("two", own)]);
        } else {
            request.key = "one".into();
            let answer = client.ask(version, request).await;
            assert_eq!((answer.error_code, answer.node_id), (0, own));
            assert_eq!(&*answer.host, "127.0.0.1");
        }
    }
    let keys = |key_type| FindCoordinatorRequest {
        key_type,
        ..FindCoordinatorRequest::default()
    };
    let transactions = client.ask(3, keys(1)).await;
    assert_eq!((transactions.error_code, transactions.node_id), (0, own));
    let refused = client.ask(3, keys(2)).await;
    assert_eq!(
        (error(refused.error_code), refused.node_id),
        (ErrorCode::InvalidRequest, -1)
    );
    assert!(refused.error_message.unwrap().contains("share"));
}

#[tokio::test]
async fn many_clients_at_once_make_one_topic_for_groups() {
    let node = TestNode::start(&[]).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(node.connect().await);
    }
    let mut sent = Vec::new();
    for client in &mut clients {
        let request = FindCoordinatorRequest {
            key: "group".into(),
            ..Default::default()
        };
        sent.push(client.send(3, request).await);
    }
    for (client, id) in clients.iter_mut().zip(sent) {
        let found = client.receive::<FindCoordinatorRequest>(3, id).await;
        assert_eq!(found.error_code, 0, "{:?}", found.error_message);
    }
    let all = clients[0]
        .ask(
            12,
            MetadataRequest {
                topics: None,
                ..Default::default()
            },
        )
        .await;
    let topics: Vec<_> = all
        .topics
        .iter()
        .map(|t| (t.name.as_deref(), t.partitions.len()))
        .collect();
    assert_eq!(topics, [(Some("__consumer_offsets"), 3)]);
    assert!(all.topics[0].is_internal);
}

#[tokio::test]
async fn a_member_lives_in_every_version() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "x").await;
    for version in ApiKey::JoinGroup.stable_versions() {
        let group = format!("group-{version}");
        for warm in [&group] {
            ready(&mut client, warm).await;
        }
        let joined = join(&mut client, version, &group).await;
        assert_eq!(
            (joined.error_code, joined.generation_id),
            (0, 1),
            "version {version}"
        );
        assert_eq!(
            (&joined.leader, joined.protocol_name.as_deref()),
            (&joined.member_id, Some("range"))
        );
        assert_eq!(
            joined.protocol_type.as_deref(),
            (version >= 7).then_some("consumer")
        );
        assert_eq!(joined.members.len(), 1);
        assert_eq!(
            joined.members[0].metadata,
            Bytes::from_static(b"subscription")
        );
        let member = joined.member_id;
        sync_and_beat(&mut client, version.min(5), &group, &member).await;
        described(&mut client, version.min(6), &group, &member).await;
        leave(&mut client, version.min(5), &group, &member).await;
    }
}

async fn sync_and_beat(client: &mut Connection, version: i16, group: &str, member: &str) {
    let sync = SyncGroupRequest {
        group_id: group.into(),
        generation_id: 1,
        member_id: member.into(),
        protocol_type: (version >= 5).then(|| "consumer".into()),
        protocol_name: (version >= 5).then(|| "range".into()),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: member.into(),
            assignment: Bytes::from_static(b"everything"),
            ..SyncGroupRequestAssignment::default()
        }],
        ..SyncGroupRequest::default()
    };
    let synced = client.ask(version, sync).await;
    assert_eq!(
        (synced.error_code, &synced.assignment[..]),
        (0, &b"everything"[..])
    );
    assert_eq!(
        synced.protocol_name.as_deref(),
        (version >= 5).then_some("range")
    );
    let beat = |member: &str, generation_id| HeartbeatRequest {
        group_id: group.into(),
        generation_id,
        member_id: member.into(),
        ..HeartbeatRequest::default()
    };
    let version = version.min(4);
    let mut code = async |b: HeartbeatRequest| error(client.ask(version, b).await.error_code);
    assert_eq!(code(beat(member, 1)).await, ErrorCode::None);
    assert_eq!(code(beat(member, 9)).await, ErrorCode::IllegalGeneration);
    assert_eq!(code(beat("nobody", 1)).await, ErrorCode::UnknownMemberId);
}

async fn described(client: &mut Connection, version: i16, group: &str, member: &str) {
    let groups = vec![group.into()];
    let request = DescribeGroupsRequest {
        groups,
        ..DescribeGroupsRequest::default()
    };
    let described = client.ask(version, request).await.groups.remove(0);
    assert_eq!(
        (described.error_code, &*described.group_state),
        (0, "Stable")
    );
    assert_eq!(
        (&*described.protocol_type, &*described.protocol_data),
        ("consumer", "range")
    );
    let only = &described.members[0];
    assert_eq!((&*only.member_id, &*only.client_id), (member, "test"));
    assert_eq!(&*only.client_host, "/127.0.0.1");
    assert_eq!(&only.member_assignment[..], b"everything");
    let version = version.min(5);
    let listed = client.ask(version, ListGroupsRequest::default()).await;
    let found = listed
        .groups
        .iter()
        .find(|g| &*g.group_id == group)
        .unwrap();
    assert_eq!(&*found.protocol_type, "consumer");
    assert_eq!(
        &*found.group_state,
        if version >= 4 { "Stable" } else { "" }
    );
    assert_eq!(found.group_type.is_empty(), version < 5);
    if version >= 4 {
        let filtered = ListGroupsRequest {
            states_filter: vec!["Empty".into()],
            ..Default::default()
        };
        let listed = client.ask(version, filtered).await;
        assert!(listed.groups.iter().all(|g| &*g.group_id != group));
    }
}

async fn leave(client: &mut Connection, version: i16, group: &str, member: &str) {
    let mut request = LeaveGroupRequest {
        group_id: group.into(),
        ..LeaveGroupRequest::default()
    };
    if version < 3 {
        request.member_id = member.into();
        assert_eq!(client.ask(version, request.clone()).await.error_code, 0);
        let again = client.ask(version, request).await;
        assert_eq!(error(again.error_code), ErrorCode::UnknownMemberId);
    } else {
        let identity = |id: &str| MemberIdentity {
            member_id: id.into(),
            ..Default::default()
        };
        request.members = vec![identity(member), identity("nobody")];
        let left = client.ask(version, request).await;
        let codes: Vec<_> = left.members.iter().map(|m| error(m.error_code)).collect();
        assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownMemberId]);
    }
}

pub(crate) fn commit(
    version: i16,
    group: &str,
    topics: &[(&str, Uuid, i64)],
) -> OffsetCommitRequest {
    let topics =
        topics.iter().map(
            |&(name, topic_id, committed_offset)| OffsetCommitRequestTopic {
                name: if version < 10 { name.into() } else { "".into() },
                topic_id,
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index: 0,
                    committed_offset,
                    committed_leader_epoch: 0,
                    committed_metadata: Some("note".into()),
                    ..OffsetCommitRequestPartition::default()
                }],
                ..OffsetCommitRequestTopic::default()
            },
        );
    OffsetCommitRequest {
        group_id: group.into(),
        topics: topics.collect(),
        ..OffsetCommitRequest::default()
    }
}

/// The committed offset of partition 0, as `version` tells it, with its error and metadata.
pub(crate) async fn committed(
    client: &mut Connection,
    version: i16,
    group: &str,
    topic: (&str, Uuid),
) -> (ErrorCode, i64, String) {
    let mut request = OffsetFetchRequest::default();
    if version < 8 {
        request.group_id = group.into();
        request.topics = Some(vec![OffsetFetchRequestTopic {
            name: topic.0.into(),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopic::default()
        }]);
        let answer = client.ask(version, request).await;
        assert_eq!(answer.error_code, 0);
        let found = &answer.topics[0].partitions[0];
        let metadata = found.metadata.as_deref().unwrap_or_default().to_owned();
        return (error(found.error_code), found.committed_offset, metadata);
    }
    request.groups = vec![OffsetFetchRequestGroup {
        group_id: group.into(),
        topics: Some(vec![OffsetFetchRequestTopics {
            name: topic.0.into(),
            topic_id: topic.1,
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        }]),
        ..OffsetFetchRequestGroup::default()
    }];
    let answer = client.ask(version, request).await;
    assert_eq!(
        (answer.groups[0].error_code, &*answer.groups[0].group_id),
        (0, group)
    );
    let told = &answer.groups[0].topics[0];
    assert_eq!(
        told.topic_id,
        if version >= 10 { topic.1 } else { Uuid::ZERO }
    );
    let found = &told.partitions[0];
    let metadata = found.metadata.as_deref().unwrap_or_default().to_owned();
    (error(found.error_code), found.committed_offset, metadata)
}

#[tokio::test]
async fn offsets_are_committed_and_fetched_in_every_version_and_outlive_the_process() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "group").await;
    let id = client.create("topic", 1, &[]).await;
    let unknown = Uuid([6; 16]);
    for version in ApiKey::OffsetCommit.stable_versions() {
        let offset = i64::from(version) * 100;
        let request = commit(
            version,
            "group",
            &[("topic", id, offset), ("missing", unknown, 1)],
        );
        let answer = client.ask(version, request).await;
        let codes: Vec<_> = answer
            .topics
            .iter()
            .map(|t| error(t.partitions[0].error_code))
            .collect();
        let missing = if version >= 10 {
            ErrorCode::UnknownTopicId
        } else {
            ErrorCode::UnknownTopicOrPartition
        };
        assert_eq!(codes, [ErrorCode::None, missing]);
        let known = ("topic", id);
        for version in ApiKey::OffsetFetch.stable_versions() {
            let expected = (ErrorCode::None, offset, "note".to_owned());
            assert_eq!(
                committed(&mut client, version, "group", known).await,
                expected
            );
            let other = committed(&mut client, version, "other", known).await;
            assert_eq!((other.0, other.1), (ErrorCode::None, -1));
        }
    }
    let code = committed(&mut client, 10, "group", ("", unknown)).await.0;
    assert_eq!(code, ErrorCode::UnknownTopicId);
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "group").await;
    assert_eq!(
        committed(&mut client, 9, "group", ("topic", id)).await.1,
        1_000
    );
}

#[tokio::test]
async fn all_offsets_of_a_group_are_fetched_with_a_null_list() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "group").await;
    let one = client.create("one", 1, &[]).await;
    let two = client.create("two", 1, &[]).await;
    client
        .ask(9, commit(9, "group", &[("one", one, 1), ("two", two, 2)]))
        .await;
    for version in 2..=10 {
        let mut request = OffsetFetchRequest::default();
        let mut found = if version < 8 {
            request.group_id = "group".into();
            request.topics = None;
            let topics = client.ask(version, request).await.topics;
            topics
                .iter()
                .map(|t| t.partitions[0].committed_offset)
                .collect::<Vec<_>>()
        } else {
            request.groups = vec![OffsetFetchRequestGroup {
                group_id: "group".into(),
                topics: None,
                ..OffsetFetchRequestGroup::default()
            }];
            let groups = client.ask(version, request).await.groups;
            let topics = groups[0].topics.iter();
            topics.map(|t| t.partitions[0].committed_offset).collect()
        };
        found.sort_unstable();
        assert_eq!(found, [1, 2], "version {version}");
    }
}

#[tokio::test]
async fn a_deleted_topics_offsets_go_with_it() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "group").await;
    let id = client.create("topic", 1, &[]).await;
    client.ask(9, commit(9, "group", &[("topic", id, 7)])).await;
    let delete = DeleteTopicsRequest {
        topic_names: vec!["topic".into()],
        ..Default::default()
    };
    assert_eq!(client.ask(5, delete).await.responses[0].error_code, 0);
    let new = client.create("topic", 1, &[]).await;
    for version in [9, 10] {
        assert_eq!(
            committed(&mut client, version, "group", ("topic", new))
                .await
                .1,
            -1
        );
    }
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "group").await;
    assert_eq!(
        committed(&mut client, 9, "group", ("topic", new)).await.1,
        -1
    );
}

#[tokio::test]
async fn the_topic_of_groups_can_be_deleted_and_comes_back_empty() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "group").await;
    let id = client.create("topic", 1, &[]).await;
    client.ask(9, commit(9, "group", &[("topic", id, 7)])).await;
    let name = "__consumer_offsets";
    let delete = DeleteTopicsRequest {
        topic_names: vec![name.into()],
        ..Default::default()
    };
    assert_eq!(client.ask(5, delete).await.responses[0].error_code, 0);
    let beat = HeartbeatRequest {
        group_id: "group".into(),
        ..HeartbeatRequest::default()
    };
    let refused = client.ask(4, beat).await;
    assert_eq!(
        error(refused.error_code),
        ErrorCode::CoordinatorNotAvailable
    );
    ready(&mut client, "group").await;
    assert_eq!(
        committed(&mut client, 9, "group", ("topic", id)).await.1,
        -1
    );
    client.ask(9, commit(9, "group", &[("topic", id, 8)])).await;
    assert_eq!(committed(&mut client, 9, "group", ("topic", id)).await.1, 8);
}

#[tokio::test]
async fn what_a_group_cannot_be_asked_has_kafkas_errors() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "").await;
    ready(&mut client, "group").await;
    let nameless = client.ask(9, join_request("", "")).await;
    assert_eq!(error(nameless.error_code), ErrorCode::InvalidGroupId);
    let short = JoinGroupRequest {
        session_timeout_ms: 1,
        ..join_request("group", "")
    };
    let refused = client.ask(5, short).await;
    assert_eq!(error(refused.error_code), ErrorCode::InvalidSessionTimeout);
    let stranger = client.ask(5, join_request("group", "stranger")).await;
    assert_eq!(error(stranger.error_code), ErrorCode::UnknownMemberId);
    let sync = SyncGroupRequest {
        group_id: "group".into(),
        ..SyncGroupRequest::default()
    };
    let refused = client.ask(5, sync).await;
    assert_eq!(
        error(refused.error_code),
        ErrorCode::InconsistentGroupProtocol
    );
    let fenced = OffsetCommitRequest {
        generation_id_or_member_epoch: 4,
        member_id: "stranger".into(),
        ..commit(9, "group", &[])
    };
    client.ask(9, fenced).await;
    client.create("topic", 1, &[]).await;
    let fenced = OffsetCommitRequest {
        generation_id_or_member_epoch: 4,
        member_id: "stranger".into(),
        ..commit(8, "group", &[("topic", Uuid::ZERO, 5)])
    };
    let refused = client
        .ask(8, fenced)
        .await
        .topics
        .remove(0)
        .partitions
        .remove(0);
    assert_eq!(error(refused.error_code), ErrorCode::IllegalGeneration);
    let mut wordy = commit(8, "group", &[("topic", Uuid::ZERO, 5)]);
    let word = "x".repeat(5_000);
    wordy.topics[0].partitions[0].committed_metadata = Some(word.as_str().into());
    let refused = client
        .ask(8, wordy)
        .await
        .topics
        .remove(0)
        .partitions
        .remove(0);
    assert_eq!(error(refused.error_code), ErrorCode::OffsetMetadataTooLarge);
}

#[tokio::test]
async fn groups_that_cannot_be_loaded_do_not_stop_the_node() {
    let settings = [("offsets.topic.num.partitions", "1")];
    let node = TestNode::start(&settings).await;
    let mut client = node.connect().await;
    ready(&mut client, "group").await;
    let id = client.create("topic", 1, &[]).await;
    client.ask(9, commit(9, "group", &[("topic", id, 7)])).await;
    let dir = node.stop().await;
    let path = dir
        .path()
        .join("__consumer_offsets-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let node = TestNode::start_in(dir, &settings).await.unwrap();
    let mut client = node.connect().await;
    let told = loop {
        let beat = HeartbeatRequest {
            group_id: "group".into(),
            member_id: "m".into(),
            ..HeartbeatRequest::default()
        };
        match error(client.ask(4, beat).await.error_code) {
            // Still loading.
            ErrorCode::None => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            told => break told,
        }
    };
    assert_eq!(told, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(client.append("topic", &["value"]).await, 0);
}
