//! Joining, staying, leaving, and what is refused.

use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

#[test]
fn the_first_member_gets_all_partitions_at_once() {
    let mut w = World::new();
    let answer = w.join("m1", &["a", "b"]);
    assert_eq!(answer.member_id.as_deref(), Some("m1"));
    assert_eq!(answer.member_epoch, 2);
    assert_eq!(answer.heartbeat_interval_ms, 5_000);
    let assignment = answer.assignment.unwrap();
    assert_eq!(assignment[&w.id("a")], (0..4).collect());
    assert_eq!(assignment[&w.id("b")], (0..2).collect());
    // What the member knows already is not repeated.
    let answer = w.beat(beats("m1", 2));
    assert_eq!((answer.error, answer.assignment), (ErrorCode::None, None));
    assert_eq!(w.describe().state, "Stable");
    w.check_replay();
}

#[test]
fn a_partition_is_given_on_once_its_member_has_given_it_up() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    let second = w.join("m2", &["a"]);
    assert_eq!(second.assignment.unwrap().len(), 0);
    assert_eq!(w.describe().state, "Reconciling");
    // The first one is told, and stays in its epoch until it has obeyed.
    let told = w.beat(beats("m1", 2));
    assert_eq!(told.member_epoch, 2);
    assert_eq!(told.assignment.unwrap()[&w.id("a")].len(), 2);
    assert_eq!(w.beat(beats("m2", 3)).assignment, None);
    w.settle(&["m1", "m2"]);
    assert_eq!(w.has("m1", "a").len(), 2);
    assert_eq!(w.has("m2", "a").len(), 2);
    assert_eq!((w.epoch_of("m1"), w.epoch_of("m2")), (3, 3));
    assert_eq!(w.describe().state, "Stable");
    w.check_replay();
}

#[test]
fn who_does_not_give_up_in_time_is_removed() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    w.join("m2", &["a"]);
    for _ in 0..3 {
        assert_eq!(w.beat(beats("m1", 2)).error, ErrorCode::None);
        assert_eq!(w.beat(beats("m2", 3)).error, ErrorCode::None);
        w.h.pass(20_000);
    }
    assert_eq!(w.beat(beats("m1", 2)).error, ErrorCode::UnknownMemberId);
    w.settle(&["m2"]);
    assert_eq!(w.has("m2", "a").len(), 4);
    w.check_replay();
}

#[test]
fn a_silent_member_is_removed_and_others_get_its_partitions() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    w.join("m2", &["a"]);
    w.settle(&["m1", "m2"]);
    w.h.pass(30_000);
    w.settle(&["m2"]);
    w.h.pass(30_000);
    w.settle(&["m2"]);
    assert_eq!(w.has("m2", "a").len(), 4);
    assert_eq!(w.group().members.len(), 1);
    w.check_replay();
}

#[test]
fn epochs_fence() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    assert_eq!(w.beat(beats("m1", 7)).error, ErrorCode::FencedMemberEpoch);
    assert_eq!(w.beat(beats("m1", 1)).error, ErrorCode::FencedMemberEpoch);
    assert_eq!(w.beat(beats("m9", 2)).error, ErrorCode::UnknownMemberId);
    // The answer with epoch 3 is lost: the member comes with the epoch before.
    w.set_topic("a", 5);
    assert_eq!(w.beat(beats("m1", 2)).member_epoch, 3);
    let mut again = beats("m1", 2);
    again.owned = Some(vec![(w.id("a"), vec![0, 1])]);
    assert_eq!(w.beat(again.clone()).error, ErrorCode::None);
    again.owned = Some(vec![(w.id("b"), vec![0])]);
    assert_eq!(w.beat(again).error, ErrorCode::FencedMemberEpoch);
    // A member that was fenced begins anew under its id.
    let anew = w.join("m1", &["a"]);
    assert_eq!(anew.assignment.unwrap()[&w.id("a")].len(), 5);
}

#[test]
fn invalid_heartbeats_are_refused_and_leave_no_group() {
    let mut w = World::new();
    let refused = |w: &mut World, change: &dyn Fn(&mut ConsumerHeartbeatRequest), code| {
        let mut request = joins("m1", &["a"]);
        change(&mut request);
        let answer = w.beat(request);
        assert_eq!(answer.error, code, "{:?}", answer.error_message);
        assert!(answer.error_message.is_some());
        assert!(w.h.coordinator.consumers.is_empty());
    };
    let invalid = ErrorCode::InvalidRequest;
    refused(&mut w, &|r| r.member_id = "".into(), invalid);
    refused(&mut w, &|r| r.group_id = "".into(), invalid);
    refused(&mut w, &|r| r.instance_id = Some("".into()), invalid);
    refused(&mut w, &|r| r.rack_id = Some("".into()), invalid);
    refused(&mut w, &|r| r.rebalance_timeout_ms = None, invalid);
    refused(&mut w, &|r| r.owned = None, invalid);
    refused(&mut w, &|r| r.topics = None, invalid);
    refused(&mut w, &|r| r.member_epoch = -3, invalid);
    refused(&mut w, &|r| r.member_epoch = -2, invalid);
    let unsupported = ErrorCode::UnsupportedAssignor;
    refused(&mut w, &|r| r.assignor = Some("sticky".into()), unsupported);
    let regex = ErrorCode::InvalidRegularExpression;
    refused(&mut w, &|r| r.regex = Some("a(".into()), regex);
    refused(&mut w, &|r| r.regex = Some("a)(b".into()), regex);
    refused(&mut w, &|r| r.regex = Some("(a{999}){999}".into()), regex);
    let unknown = ErrorCode::GroupIdNotFound;
    refused(&mut w, &|r| r.member_epoch = 1, unknown);
    refused(&mut w, &|r| r.member_epoch = -1, unknown);
}

#[test]
fn a_full_group_takes_no_more_members() {
    let mut w = World::with(|o| o.consumer.group_size_max = 1);
    w.join("m1", &["a"]);
    let refused = w.beat(joins("m2", &["a"]));
    assert_eq!(refused.error, ErrorCode::GroupMaxSizeReached);
    w.join("m1", &["a"]);
}

#[test]
fn the_last_member_that_leaves_empties_the_group() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    let left = w.beat(beats("m1", -1));
    assert_eq!((left.error, left.member_epoch), (ErrorCode::None, -1));
    let group = w.describe();
    assert_eq!(group.state, "Empty");
    assert_eq!(group.group_epoch, group.assignment_epoch);
    w.check_replay();
    // Without offsets it is forgotten with the next look for expired ones.
    w.h.pass(700_000);
    assert!(w.h.coordinator.consumers.is_empty());
    w.check_replay();
}

#[test]
fn a_static_member_keeps_its_partitions_over_a_restart() {
    let mut w = World::new();
    w.beat(joins_static("m1", "pod", &["a"]));
    w.join("m2", &["a"]);
    w.settle(&["m1", "m2"]);
    let before = w.has("m1", "a");
    let epoch = w.group().epoch();
    let taken = w.beat(joins_static("m3", "pod", &["a"]));
    assert_eq!(taken.error, ErrorCode::UnreleasedInstanceId);
    let mut leaving = beats("m1", -2);
    leaving.instance_id = Some("pod".into());
    assert_eq!(w.beat(leaving).member_epoch, -2);
    let back = w.beat(joins_static("m3", "pod", &["a"]));
    assert_eq!(back.error, ErrorCode::None);
    assert_eq!(w.has("m3", "a"), before);
    assert_eq!(w.group().epoch(), epoch, "nobody had to rebalance");
    let mut old = beats("m1", 3);
    old.instance_id = Some("pod".into());
    assert_eq!(w.beat(old).error, ErrorCode::FencedInstanceId);
    w.check_replay();
}

#[test]
fn topics_that_come_grow_and_go_reach_the_members() {
    let mut w = World::new();
    w.join("m1", &["a", "later"]);
    w.set_topic("a", 6);
    w.settle(&["m1"]);
    assert_eq!(w.has("m1", "a").len(), 6);
    w.set_topic("later", 3);
    w.settle(&["m1"]);
    assert_eq!(w.has("m1", "later").len(), 3);
    w.set_topic("a", 0);
    let epoch = w.group().epoch();
    // Nobody can read what is gone: the member gives it up.
    w.beat(beats("m1", epoch));
    w.settle(&["m1"]);
    let assigned = &w.group().members["m1"].current.assigned;
    assert_eq!(assigned.len(), 1);
    w.check_replay();
}

#[test]
fn regular_expressions_name_whole_topics_and_follow_new_ones() {
    let mut w = World::new();
    w.set_topic("ab", 1);
    let answer = w.beat(joins_by_regex("m1", "a|c.*"));
    assert_eq!(answer.error, ErrorCode::None);
    assert_eq!(w.has("m1", "a").len(), 4);
    assert_eq!(w.has("m1", "ab").len(), 0);
    w.set_topic("cd", 2);
    w.settle(&["m1"]);
    assert_eq!(w.has("m1", "cd").len(), 2);
    w.check_replay();
    // Names take the expression's place, and nothing is left of it.
    let mut names = beats("m1", w.epoch_of("m1"));
    names.topics = Some(vec!["b".into()]);
    names.regex = Some("".into());
    assert_eq!(w.beat(names).error, ErrorCode::None);
    w.settle(&["m1"]);
    assert!(w.group().regexes.is_empty());
    assert_eq!(w.has("m1", "b").len(), 2);
    assert_eq!(w.has("m1", "a").len(), 0);
    w.check_replay();
}

#[test]
fn most_members_choose_the_assignor() {
    let mut w = World::new();
    let with = |id: &str, assignor: &str| ConsumerHeartbeatRequest {
        assignor: Some(assignor.into()),
        ..joins(id, &["a"])
    };
    w.join("m1", &["a"]);
    assert_eq!(w.describe().assignor, "uniform");
    w.beat(with("m2", "range"));
    assert_eq!(w.describe().assignor, "range");
    w.beat(with("m3", "uniform"));
    w.beat(with("m4", "uniform"));
    assert_eq!(w.describe().assignor, "uniform");
}

#[test]
fn targets_are_no_closer_together_than_the_interval() {
    let mut w = World::with(|o| o.consumer.assignment_interval_ms = 1_000);
    w.join("m1", &["a"]);
    w.join("m2", &["a"]);
    assert_eq!(w.describe().state, "Assigning");
    w.h.pass(1_000);
    w.settle(&["m1", "m2"]);
    assert_eq!(w.has("m2", "a").len(), 2);
}

#[test]
fn a_clock_that_was_wrong_holds_nobody_up() {
    const HALF_AN_HOUR_MS: i64 = 1_800_000;
    let mut w = World::with(|o| o.consumer.assignment_interval_ms = 1_000);
    w.h.set_clock(HALF_AN_HOUR_MS);
    w.join("m1", &["a"]);
    assert_eq!(w.has("m1", "a").len(), 4);
    // The session goes on, and the target of a time that is yet to come is not waited for.
    w.h.set_clock(-HALF_AN_HOUR_MS);
    assert_eq!(w.beat(beats("m1", 2)).error, ErrorCode::None);
    w.join("m2", &["a"]);
    w.settle(&["m1", "m2"]);
    assert_eq!(w.has("m2", "a").len(), 2);
    w.h.set_clock(HALF_AN_HOUR_MS);
    w.h.pass(1_000);
    assert_eq!(w.group().members.len(), 2);
    // Whoever is silent is removed all the same, in the time that it takes.
    w.h.set_clock(-HALF_AN_HOUR_MS);
    w.h.pass(60_000);
    assert!(w.group().members.is_empty());
}

#[test]
fn a_groups_own_configuration_is_held_to_the_brokers_limits() {
    let mut w = World::new();
    w.cluster.overrides.heartbeat_interval_ms = Some(7_000);
    w.cluster.overrides.session_timeout_ms = Some(10_000);
    w.show();
    assert_eq!(w.join("m1", &["a"]).heartbeat_interval_ms, 7_000);
    w.h.pass(44_000);
    assert_eq!(w.beat(beats("m1", 2)).error, ErrorCode::None);
    w.h.pass(46_000);
    assert_eq!(w.beat(beats("m1", 2)).error, ErrorCode::UnknownMemberId);
}

#[test]
fn what_cannot_be_written_has_not_happened() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    let before = w.group().clone();
    w.h.instant_log = false;
    let join = w.h.send(Request::ConsumerHeartbeat(joins("m2", &["a"])));
    let waits = w.h.send(Request::ConsumerHeartbeat(beats("m1", 2)));
    assert!(w.h.is_parked(join) && w.h.is_parked(waits));
    w.h.settle(Err(ErrorCode::KafkaStorageError));
    assert_eq!(w.beaten(join).error, ErrorCode::NotCoordinator);
    assert_eq!(w.beaten(waits).error, ErrorCode::None);
    assert_eq!(*w.group(), before);
    w.check_replay();
    // The member that was to leave and has not is removed when it stays silent.
    let leave = w.h.send(Request::ConsumerHeartbeat(beats("m1", -1)));
    w.h.settle(Err(ErrorCode::KafkaStorageError));
    assert_eq!(w.beaten(leave).error, ErrorCode::NotCoordinator);
    w.h.instant_log = true;
    w.h.pass(60_000);
    assert!(w.group().members.is_empty());
}

#[test]
fn a_restart_finds_the_members_and_they_go_on() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    w.join("m2", &["a"]);
    w.h.restart();
    w.show();
    w.settle(&["m1", "m2"]);
    assert_eq!(w.has("m2", "a").len(), 2);
    w.h.restart();
    w.h.pass(60_000);
    assert!(w.group().members.is_empty());
}

#[test]
fn an_unloaded_coordinator_answers_who_waits() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    w.h.instant_log = false;
    let join = w.h.send(Request::ConsumerHeartbeat(joins("m2", &["a"])));
    let waits = w.h.send(Request::ConsumerHeartbeat(beats("m1", 2)));
    let effects = w.h.coordinator.unloaded();
    w.h.carry_out(effects);
    assert_eq!(w.beaten(join).error, ErrorCode::NotCoordinator);
    assert_eq!(w.beaten(waits).error, ErrorCode::NotCoordinator);
}

#[test]
fn groups_are_listed_by_type_and_state() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    let list = |w: &mut World, types: &[&str], states: &[&str]| {
        let strings = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect();
        let token = w.h.send(Request::List(ListRequest {
            types: strings(types),
            states: strings(states),
        }));
        match &w.h.answers[&token] {
            Response::List(groups) => groups.clone(),
            other => panic!("{other:?}"),
        }
    };
    let listed = list(&mut w, &["consumer"], &["stable"]);
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].group_type, listed[0].state),
        ("Consumer", "Stable")
    );
    assert!(list(&mut w, &["classic"], &[]).is_empty());
    assert!(list(&mut w, &[], &["Empty"]).is_empty());
}

#[test]
fn only_empty_groups_are_deleted_and_their_offsets_with_them() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    w.h.send(crate::tests::harness::commit("m1", 2, 5));
    let delete = |w: &mut World| {
        let request = DeleteGroupRequest {
            group_id: "g".into(),
        };
        let token = w.h.send(Request::DeleteGroup(request));
        match &w.h.answers[&token] {
            Response::DeleteGroup(error) => *error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(delete(&mut w), ErrorCode::NonEmptyGroup);
    w.beat(beats("m1", -1));
    assert_eq!(delete(&mut w), ErrorCode::None);
    assert_eq!(w.h.fetch(), -1);
    assert_eq!(delete(&mut w), ErrorCode::GroupIdNotFound);
    w.check_replay();
}
