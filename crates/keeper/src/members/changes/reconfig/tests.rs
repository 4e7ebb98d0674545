use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_raft::{Peer, Position};

use super::*;

const NOW_MS: i64 = 1_000_000;

/// A leader with number 1, and others: whether each votes, how long it has been silent, and what it
/// has of the 5,000 entries of the log.
fn state(others: &[(NodeId, bool, i64, u64)]) -> State {
    let mut state = State {
        id: 1,
        is_leader: true,
        last_log: Some(5_000),
        ..State::default()
    };
    let mut voters = BTreeMap::from([(1, Member::default())]);
    let mut learners = BTreeMap::new();
    for (id, votes, silent_ms, index) in others {
        let group = if *votes { &mut voters } else { &mut learners };
        group.insert(*id, Member::default());
        let peer = Peer {
            matched: Some(Position {
                term: 1,
                index: *index,
            }),
            last_contact_ms: Some(NOW_MS - silent_ms),
            caught_up_ms: None,
        };
        state.peers.insert(*id, peer);
    }
    state.voters = Arc::new(voters);
    state.learners = Arc::new(learners);
    state
}

fn ids<const N: usize>(ids: [NodeId; N]) -> BTreeSet<NodeId> {
    BTreeSet::from(ids)
}

#[test]
fn learners_get_their_vote_when_they_are_there_and_have_caught_up() {
    let all = [(2, true, 10, 5_000), (3, false, 10, 4_500)];
    assert_eq!(
        votes(&state(&all), &ids([1, 2, 3]), NOW_MS),
        (ids([3]), ids([]))
    );
    let behind = [(2, true, 10, 5_000), (3, false, 10, 3_000)];
    assert_eq!(
        votes(&state(&behind), &ids([1, 2, 3]), NOW_MS),
        (ids([]), ids([]))
    );
    let silent = [(2, true, 10, 5_000), (3, false, 3_000, 5_000)];
    assert_eq!(
        votes(&state(&silent), &ids([1, 2, 3]), NOW_MS),
        (ids([]), ids([]))
    );
    // Observers stay what they are.
    assert_eq!(
        votes(&state(&all), &ids([1, 2]), NOW_MS),
        (ids([]), ids([]))
    );
}

#[test]
fn votes_are_taken_only_when_those_who_stay_can_agree() {
    let three = [(2, true, 10, 5_000), (3, true, 10, 5_000)];
    assert_eq!(
        votes(&state(&three), &ids([1, 2]), NOW_MS),
        (ids([]), ids([3]))
    );
    // Of the two that stay, one is silent.
    let silent = [(2, true, 3_000, 5_000), (3, true, 10, 5_000)];
    assert_eq!(
        votes(&state(&silent), &ids([1, 2]), NOW_MS),
        (ids([]), ids([]))
    );
    // Of the three that should vote, one is there.
    assert_eq!(
        votes(&state(&three), &ids([1, 4, 5]), NOW_MS),
        (ids([]), ids([]))
    );
    // Both at once: two join, and the leader itself goes with another one.
    let moving = [
        (2, true, 10, 5_000),
        (3, true, 10, 5_000),
        (4, false, 10, 5_000),
        (5, false, 10, 5_000),
    ];
    assert_eq!(
        votes(&state(&moving), &ids([3, 4, 5]), NOW_MS),
        (ids([4, 5]), ids([1, 2]))
    );
}

#[test]
fn a_new_ensemble_needs_a_majority_that_is_there_and_has_everything() {
    let missing = |others: &[(NodeId, bool, i64, u64)], wanted: &BTreeSet<NodeId>| {
        let missing = Missing::of(&state(others), wanted, NOW_MS);
        let leaves_majority = missing.leaves_majority(wanted);
        (missing.absent, missing.late, leaves_majority)
    };
    let three = [(2, true, 10, 5_000), (3, true, 10, 5_000)];
    let none = || ids([]);
    assert_eq!(missing(&three, &ids([1, 2, 3])), (none(), none(), true));
    // The fourth has never been there.
    assert_eq!(
        missing(&three, &ids([1, 2, 3, 4])),
        (ids([4]), none(), true)
    );
    // Three of six are no majority.
    let six = ids([1, 2, 3, 4, 5, 6]);
    assert_eq!(missing(&three, &six), (ids([4, 5, 6]), none(), false));
    // One is silent, and one is behind.
    let slow = [(2, true, 3_000, 5_000), (3, false, 10, 3_000)];
    assert_eq!(missing(&slow, &ids([1, 2, 3])), (ids([2]), ids([3]), false));
    // A vote that is there counts, however far its server is behind.
    let behind = [(2, true, 10, 1), (3, true, 3_000, 5_000)];
    assert_eq!(missing(&behind, &ids([1, 2, 3])), (ids([3]), none(), true));
    let told = Missing::of(&state(&slow), &ids([1, 2, 3]), NOW_MS).to_string();
    assert!(
        told.contains("{2} do not answer") && told.contains("{3} have not"),
        "{told}"
    );
}

#[test]
fn a_grant_holds_until_the_configuration_says_the_same_or_its_time_is_over() {
    let mut office = None;
    Office::update(&mut office, &state(&[]), NOW_MS);
    let mut office = office.unwrap();
    let (old, new) = (ids([1, 2]), ids([1, 2, 3]));
    assert_eq!(office.wanted(&old, NOW_MS), old);
    office.grant(new.clone(), NOW_MS);
    assert_eq!(office.wanted(&old, NOW_MS + 29_000), new);
    assert_eq!(office.wanted(&old, NOW_MS + 31_000), old);
    office.grant(new.clone(), NOW_MS);
    assert_eq!(office.wanted(&new, NOW_MS + 1), new);
    assert_eq!(
        office.wanted(&old, NOW_MS + 2),
        old,
        "it was followed, and then revoked"
    );
}

#[test]
fn before_a_leader_has_led_for_a_while_nobody_is_known_to_be_dead() {
    let state = state(&[(2, true, 60_000, 5_000)]);
    let mut office = None;
    Office::update(&mut office, &state, NOW_MS);
    let begun = office.as_ref().unwrap();
    assert!(begun.may_be_alive(&state, 2, NOW_MS + 1_900));
    assert!(!begun.may_be_alive(&state, 2, NOW_MS + 2_100));
    assert!(
        begun.may_be_alive(&state, 1, NOW_MS + 60_000),
        "it is the leader itself"
    );
    // Another term is another office, and whoever leads no more has none.
    let next = State {
        term: 2,
        ..state.clone()
    };
    Office::update(&mut office, &next, NOW_MS + 5_000);
    assert!(
        office
            .as_ref()
            .unwrap()
            .may_be_alive(&next, 2, NOW_MS + 5_001)
    );
    let follower = State {
        is_leader: false,
        ..next
    };
    Office::update(&mut office, &follower, NOW_MS + 6_000);
    assert!(office.is_none());
}

#[test]
fn changes_that_make_no_sense_are_refused() {
    let refused = |to: Reconfigured| check(&to).unwrap_err().to_string();
    assert!(refused(Reconfigured::default()).contains("needs a participant"));
    let both = Reconfigured {
        participants: ids([1, 2]),
        observers: ids([2]),
        ..Reconfigured::default()
    };
    assert!(refused(both).contains("server 2"));
    let nowhere = Reconfigured {
        participants: ids([1]),
        addresses: BTreeMap::from([(1, Vec::new())]),
        ..Reconfigured::default()
    };
    assert!(refused(nowhere).contains("no address"));
}
