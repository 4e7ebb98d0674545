use ottla_client::Quorum;
use ottla_model::Uuid;
use ottla_wire::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState};

use super::change::endpoint;
use super::describe::Description;
use super::{Role, members};
use crate::output::{OutputFormat, render};

fn replica(id: i32, end: i64, caught_up: i64) -> ReplicaState {
    ReplicaState {
        replica_id: id,
        replica_directory_id: Uuid([u8::try_from(id).unwrap(); 16]),
        log_end_offset: end,
        last_caught_up_timestamp: caught_up,
        ..ReplicaState::default()
    }
}

fn quorum() -> Quorum {
    let listener = |port| Listener {
        name: "CONTROLLER".into(),
        host: "::1".into(),
        port,
        ..Listener::default()
    };
    Quorum {
        state: PartitionData {
            leader_id: 2,
            leader_epoch: 7,
            high_watermark: 98,
            current_voters: vec![
                replica(3, 90, 4_000),
                replica(2, 100, 5_000),
                replica(1, 100, 4_999),
            ],
            observers: vec![replica(4, 0, -1)],
            ..PartitionData::default()
        },
        nodes: vec![Node {
            node_id: 3,
            listeners: vec![listener(9093)],
            ..Node::default()
        }],
    }
}

#[test]
fn members_tell_how_far_behind_the_leader_they_are() {
    let members = members(&quorum());
    let short: Vec<_> = members
        .iter()
        .map(|m| (m.id, m.role, m.lag, m.lag_ms))
        .collect();
    let expected = [
        (1, Role::Voter, 0, Some(1)),
        (2, Role::Leader, 0, Some(0)),
        (3, Role::Voter, 10, Some(1_000)),
        (4, Role::Observer, 100, None),
    ];
    assert_eq!(short, expected);
    assert_eq!(members[2].words(), "voter, 10 records behind");
    assert_eq!(members[2].endpoints, ["CONTROLLER://[::1]:9093"]);
}

#[test]
fn a_quorum_of_three_can_lose_one() {
    let description = Description::new(Some("id".to_owned()), &quorum());
    let text = render(&description, OutputFormat::Table).unwrap();
    let voters = "Voters:           3; the quorum works as long as 2 of them do\n";
    assert!(text.contains(voters), "{text}");
    assert!(
        text.contains("Leader:           node 2, in epoch 7\n"),
        "{text}"
    );
    let json = render(&description, OutputFormat::Json).unwrap();
    assert!(json.contains("\"can_lose\": 1"), "{json}");
}

#[test]
fn endpoints_are_read_with_and_without_a_listener() {
    assert!(endpoint("CONTROLLER://h:9093").is_ok());
    assert_eq!(endpoint("CONTROLLER://[::1]:9093").unwrap().host, "::1");
    assert!(endpoint("h:9093").is_ok());
    for wrong in ["h", "h:0", ":9093", "://h:1", "h:70000"] {
        assert!(endpoint(wrong).is_err(), "{wrong}");
    }
}
