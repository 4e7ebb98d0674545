//! Groups, with members of the classic protocol.

use ottla_cli::Exit;
use ottla_client::{Broker, Client, ClientOptions};
use ottla_runtime::Runtime;
use ottla_wire::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_wire::messages::leave_group_request::MemberIdentity;
use ottla_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_wire::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, SyncGroupRequest, consumer_protocol_assignment,
};
use ottla_wire::{Message as _, Response};

use crate::session::Session;

const MEMBER_ID_REQUIRED: i16 = 79;
/// Codes of a coordinator that is not there yet.
const NOT_YET: std::ops::RangeInclusive<i16> = 14..=16;

/// The only member of a group, which reads partition 0 of the session's topic.
struct Member {
    client: Client,
    group: String,
    member_id: String,
}

impl Member {
    async fn join(session: &Session, group: &str) -> Member {
        let bootstrap = vec![session.node.bootstrap()];
        let options = ClientOptions {
            client_id: "reader".to_owned(),
            ..ClientOptions::default()
        };
        let connected = Client::connect(Runtime::real(), bootstrap, options).await;
        let client = connected.unwrap();
        let joined = joined(&client, session, group).await;
        let assigned = ConsumerProtocolAssignment {
            assigned_partitions: vec![consumer_protocol_assignment::TopicPartition {
                topic: session.topic.as_str().into(),
                partitions: vec![0],
            }],
            ..ConsumerProtocolAssignment::default()
        };
        let sync = SyncGroupRequest {
            group_id: group.into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: vec![SyncGroupRequestAssignment {
                member_id: joined.member_id.clone(),
                assignment: assigned.encode_versioned(0).unwrap(),
                ..SyncGroupRequestAssignment::default()
            }],
            ..SyncGroupRequest::default()
        };
        let synced = client.call(Broker::Any, sync.into()).await.unwrap();
        assert!(matches!(synced, Response::SyncGroup(synced) if synced.error_code == 0));
        Member {
            client,
            group: group.to_owned(),
            member_id: joined.member_id.to_string(),
        }
    }

    async fn leave(self) {
        let leave = LeaveGroupRequest {
            group_id: self.group.as_str().into(),
            members: vec![MemberIdentity {
                member_id: self.member_id.as_str().into(),
                ..MemberIdentity::default()
            }],
            ..LeaveGroupRequest::default()
        };
        let left = self.client.call(Broker::Any, leave.into()).await.unwrap();
        assert!(matches!(left, Response::LeaveGroup(left) if left.error_code == 0));
    }
}

/// Asks to join until the coordinator is there, and once more with the id that it gave.
async fn joined(client: &Client, session: &Session, group: &str) -> JoinGroupResponse {
    let subscription = ConsumerProtocolSubscription {
        topics: vec![session.topic.as_str().into()],
        ..ConsumerProtocolSubscription::default()
    };
    let mut join = JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: subscription.encode_versioned(0).unwrap(),
            ..JoinGroupRequestProtocol::default()
        }],
        ..JoinGroupRequest::default()
    };
    loop {
        let answer = client.call(Broker::Any, join.clone().into()).await.unwrap();
        let Response::JoinGroup(answer) = answer else {
            panic!("another answer");
        };
        match answer.error_code {
            0 => return answer,
            MEMBER_ID_REQUIRED => join.member_id = answer.member_id,
            // Asking for offsets finds the coordinator, and waits for it.
            code if NOT_YET.contains(&code) => drop(client.committed_offsets(group).await),
            code => panic!("error {code}"),
        }
    }
}

#[tokio::test]
async fn a_group_is_seen_while_it_reads_and_moved_once_it_has_stopped() {
    let session = Session::start("group");
    let group = format!("g-{}", session.topic);
    session.run("topic create TOPIC -p 2", b"").await.out();
    session.run("produce TOPIC -p 0", b"a\nb\nc\n").await.out();
    let member = Member::join(&session, &group).await;

    let listed = session.run("group list -o json", b"").await.json();
    let mut rows = listed["groups"].as_array().unwrap().iter();
    let row = rows.find(|row| row["name"] == *group).unwrap();
    assert_eq!(row["type"], "classic");
    assert_eq!(row["state"], "Stable");
    assert_eq!(row["members"], 1);
    let describe = format!("group describe {group} -o json");
    let described = session.run(&describe, b"").await.json();
    let found = &described["groups"][0];
    assert_eq!(found["members"][0]["client_id"], "reader");
    assert_eq!(found["members"][0]["assignment"][&session.topic][0], 0);
    assert_eq!(found["offsets"][0]["end_offset"], 3);
    assert!(found["offsets"][0]["lag"].is_null());

    let reset = format!("group reset-offsets {group} --topic TOPIC --to-earliest");
    let shown = session.run(&reset, b"").await;
    let warned = "--execute would be refused";
    assert!(shown.err.contains(warned), "{}", shown.err);
    assert_eq!(shown.exit, Exit::Ok);
    let execute = format!("{reset} --execute");
    let refused = session.run(&execute, b"").await;
    assert_eq!(refused.exit, Exit::Failed);
    let why = "it has 1 member: reader at ";
    assert!(refused.err.contains(why), "{}", refused.err);
    let delete = format!("group delete {group}");
    let busy = session.run(&delete, b"").await;
    assert_eq!(busy.exit, Exit::Failed);
    assert!(busy.err.contains("NON_EMPTY_GROUP"), "{}", busy.err);
    member.leave().await;

    let dry = session.run(&format!("{reset} -o json"), b"").await.json();
    assert_eq!(dry["executed"], false);
    let done = session.run(&execute, b"").await;
    assert!(done.err.contains("offsets reset"), "{}", done.err);
    let shift = format!("group reset-offsets {group} -t TOPIC:0 --shift-by 2 --execute");
    assert_eq!(session.run(&shift, b"").await.exit, Exit::Ok);
    let described = session.run(&describe, b"").await.json();
    let found = &described["groups"][0];
    assert_eq!(found["state"], "Empty");
    assert_eq!(found["offsets"][0]["committed_offset"], 2);
    assert_eq!(found["lag"], 1);

    let some = format!("group delete {group} --offsets-of TOPIC:1");
    let some = session.run(&some, b"").await.out();
    assert_eq!(some, format!("group/{group}: 1 offset deleted\n"));
    let all = session.run(&delete, b"").await.out();
    assert_eq!(all, format!("group/{group} deleted\n"));
    assert_eq!(session.run(&delete, b"").await.exit, Exit::NotFound);
}

#[tokio::test]
async fn offsets_come_back_from_a_file_and_from_times() {
    let session = Session::start("offsets");
    let group = format!("g-{}", session.topic);
    session.run("topic create TOPIC -p 1", b"").await.out();
    session.run("produce TOPIC", b"a\nb\n").await.out();
    let to = |what: &str| format!("group reset-offsets {group} -t TOPIC {what} -o json");
    let absent = session.run(&to("--to-latest --execute"), b"").await;
    assert_eq!(absent.exit, Exit::NotFound);
    assert!(absent.err.contains("--create makes it"), "{}", absent.err);
    let offset = |reset: &serde_json::Value| reset["offsets"][0]["offset"].as_i64().unwrap();
    let created = to("--to-latest --create --execute");
    assert_eq!(offset(&session.run(&created, b"").await.json()), 2);
    let cases = [
        ("--by-duration 1h", 0),
        ("--to-datetime 2100-01-01", 2),
        ("--to-offset 1", 1),
        ("--to-offset 99", 2),
        ("--shift-by -1", 1),
        ("--to-current", 2),
    ];
    for (what, expected) in cases {
        let reset = session.run(&to(what), b"").await.json();
        assert_eq!(offset(&reset), expected, "{what}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let saved = session.run(&to("--to-offset 1"), b"").await.out();
    std::fs::write(file.path(), saved).unwrap();
    let path = file.path().display();
    let line = format!("group reset-offsets {group} --from-file {path} --execute");
    assert_eq!(session.run(&line, b"").await.exit, Exit::Ok);
    let current = session.run(&to("--to-current"), b"").await.json();
    assert_eq!(offset(&current), 1);
    let mistyped = session.run(&format!("group describe {group}x"), b"").await;
    assert_eq!(mistyped.exit, Exit::NotFound);
    let question = format!("did you mean {group}?");
    assert!(mistyped.err.contains(&question), "{}", mistyped.err);
}
