use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

fn list(h: &mut Harness, states: &[&str], types: &[&str]) -> Vec<(String, &'static str)> {
    let token = h.send(Request::List(ListRequest {
        states: states.iter().map(ToString::to_string).collect(),
        types: types.iter().map(ToString::to_string).collect(),
    }));
    match &h.answers[&token] {
        Response::List(groups) => groups
            .iter()
            .map(|g| (g.group_id.to_string(), g.state))
            .collect(),
        other => panic!("{other:?} is not an answer to ListGroups"),
    }
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut h = Harness::new();
    h.stable_group(&["a"]);
    h.send(Request::OffsetCommit(OffsetCommitRequest {
        group_id: "simple".into(),
        ..commit_request("", -1, 1)
    }));
    let (g, simple) = (("g".into(), "Stable"), ("simple".into(), "Empty"));
    assert_eq!(list(&mut h, &[], &[]), vec![g.clone(), simple.clone()]);
    assert_eq!(list(&mut h, &["stable"], &[]), vec![g.clone()]);
    assert_eq!(
        list(&mut h, &[" EMPTY ", "Dead"], &["classic"]),
        vec![simple]
    );
    assert_eq!(list(&mut h, &[], &["consumer"]), vec![]);
    assert_eq!(list(&mut h, &["Stable"], &["share", "Classic"]), vec![g]);
}

#[test]
fn a_stable_group_shows_its_members_work() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a"]);
    let group = h.describe();
    assert_eq!(group.error, ErrorCode::None);
    assert_eq!(&*group.protocol_type, "consumer");
    assert_eq!(&*group.protocol_data, "range");
    let member = &group.members[0];
    assert_eq!(member.member_id, ids[0]);
    assert_eq!(&*member.client_id, "a");
    assert_eq!(&*member.client_host, "/127.0.0.1");
    assert_eq!(member.metadata, subscription("t"));
    assert_eq!(member.assignment, ids[0].as_bytes());

    h.send(join("b"));
    let group = h.describe();
    assert_eq!(group.state, "PreparingRebalance");
    assert_eq!(&*group.protocol_data, "");
    assert!(group.members.iter().all(|m| m.metadata.is_empty()));
}

#[test]
fn an_unknown_group_is_dead_or_an_error_as_the_client_understands() {
    let mut h = Harness::new();
    let newer = h.describe();
    assert_eq!(newer.error, ErrorCode::GroupIdNotFound);
    assert_eq!(newer.error_message.as_deref(), Some("Group g not found."));
    let token = h.send(Request::Describe(DescribeRequest {
        group_id: "g".into(),
        reports_unknown_group: false,
    }));
    let Response::Describe(older) = &h.answers[&token] else {
        panic!("not an answer to DescribeGroups");
    };
    assert_eq!((older.error, older.state), (ErrorCode::None, "Dead"));
}
