//! Commits and fetches with member epochs.

use ottla_model::ErrorCode;

use super::harness::*;
use crate::tests::harness::{commit_request, fetch_request};
use crate::*;

fn commit(w: &mut World, member: &str, epoch: i32, topic: &str, offset: i64) -> ErrorCode {
    let mut request = commit_request(member, epoch, offset);
    request.topics[0].topic = topic.into();
    request.topics[0].topic_id = w.id(topic);
    let token = w.h.send(Request::OffsetCommit(request));
    w.h.committed(token)
}

#[test]
fn members_commit_in_their_epoch_and_what_they_had_before() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    assert_eq!(commit(&mut w, "m1", 2, "a", 5), ErrorCode::None);
    assert_eq!(commit(&mut w, "m1", 9, "a", 5), ErrorCode::StaleMemberEpoch);
    assert_eq!(commit(&mut w, "m9", 2, "a", 5), ErrorCode::UnknownMemberId);
    assert_eq!(commit(&mut w, "", -1, "a", 5), ErrorCode::UnknownMemberId);
    // The epoch goes up without the member having heard of it: what it has since then it may
    // commit (KIP-1251), what it does not have it may not.
    w.set_topic("a", 5);
    w.beat(beats("m1", 2));
    assert_eq!(w.epoch_of("m1"), 3);
    assert_eq!(commit(&mut w, "m1", 2, "a", 6), ErrorCode::None);
    assert_eq!(commit(&mut w, "m1", 2, "b", 6), ErrorCode::StaleMemberEpoch);
    w.check_replay();
}

#[test]
fn requests_that_know_no_epochs_are_refused() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    let mut request = commit_request("m1", 2, 5);
    request.reports_unknown_group = false;
    let token = w.h.send(Request::OffsetCommit(request));
    assert_eq!(w.h.committed(token), ErrorCode::UnsupportedVersion);
}

#[test]
fn an_empty_group_takes_commits_of_tools() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    w.beat(beats("m1", -1));
    assert_eq!(commit(&mut w, "", -1, "a", 5), ErrorCode::None);
    w.check_replay();
}

#[test]
fn members_fetch_in_their_epoch_only() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    let fetch = |w: &mut World, member: Option<&str>, epoch| {
        let Request::OffsetFetch(mut request) = fetch_request(false) else {
            panic!("not a fetch");
        };
        request.member_id = member.map(Into::into);
        request.member_epoch = epoch;
        let token = w.h.send(Request::OffsetFetch(request));
        match &w.h.answers[&token] {
            Response::OffsetFetch(answer) => answer.error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fetch(&mut w, Some("m1"), 2), ErrorCode::None);
    assert_eq!(fetch(&mut w, None, -1), ErrorCode::None);
    assert_eq!(fetch(&mut w, Some("m1"), 1), ErrorCode::StaleMemberEpoch);
    assert_eq!(fetch(&mut w, Some("m9"), 2), ErrorCode::UnknownMemberId);
}

#[test]
fn offsets_of_topics_that_are_read_do_not_expire() {
    let month_ms = 30 * 24 * 60 * 60 * 1_000;
    let mut w = World::with(|o| {
        o.consumer.session_timeout_ms = i32::MAX;
        o.offsets_retention_ms = i64::from(i32::MAX) / 2;
    });
    w.join("m1", &["a"]);
    assert_eq!(commit(&mut w, "m1", 2, "a", 5), ErrorCode::None);
    assert_eq!(commit(&mut w, "m1", 2, "b", 5), ErrorCode::None);
    w.h.pass(month_ms / 2);
    let offsets = w.h.coordinator.offsets.group("g").unwrap();
    assert!(offsets.contains_key("a"));
    assert!(!offsets.contains_key("b"));
    w.check_replay();
    // Nor do they keep an empty group for ever.
    w.beat(beats("m1", -1));
    w.h.pass(2_000_000);
    assert!(w.h.coordinator.consumers.is_empty());
    assert!(w.h.coordinator.groups.is_empty());
    w.check_replay();
}

#[test]
fn a_restart_keeps_the_offsets_of_a_consumer_group() {
    let mut w = World::new();
    assert_eq!(commit(&mut w, "", -1, "a", 4), ErrorCode::None);
    w.join("m1", &["a"]);
    assert_eq!(commit(&mut w, "m1", 2, "a", 5), ErrorCode::None);
    w.h.restart();
    let topics = w.h.coordinator.offsets.group("g").unwrap();
    assert_eq!(topics["a"][&0].offset, 5);
    assert!(w.h.coordinator.groups.is_empty());
    w.check_replay();
}
