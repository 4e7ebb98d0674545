use proptest::prelude::*;

use super::*;

const LAG_MAX_MS: i64 = 1000;

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn membership(partition_epoch: i32, isr: &[i32]) -> Membership {
    Membership {
        leader_epoch: 5,
        partition_epoch,
        replicas: ids(&[1, 2, 3]),
        isr: ids(isr),
        recovering: false,
    }
}

fn leader(isr: &[i32]) -> LeaderState {
    let me = InSync {
        broker_id: BrokerId(1),
        broker_epoch: 10,
    };
    LeaderState::new(me, membership(0, isr), 100, 0)
}

/// The follower has fetched at `offset`, and the leader's log ended at `end` then.
fn fetch(state: &mut LeaderState, id: i32, offset: Offset, end: Offset, now_ms: i64) {
    assert!(state.fetched(BrokerId(id), 20, offset, 0, end, now_ms));
}

fn propose(
    state: &mut LeaderState,
    high_watermark: Offset,
    end: Offset,
    now_ms: i64,
) -> Option<Vec<i32>> {
    let proposal = state.propose(high_watermark, end, now_ms, LAG_MAX_MS, |_, _| true)?;
    Some(proposal.isr.iter().map(|m| m.broker_id.0).collect())
}

#[test]
fn what_all_in_sync_have_is_replicated() {
    let mut state = leader(&[1, 2, 3]);
    assert_eq!(state.replicated_offset(2), Some(UNKNOWN_OFFSET));
    fetch(&mut state, 2, 120, 120, 1);
    fetch(&mut state, 3, 110, 120, 1);
    assert_eq!(state.replicated_offset(2), Some(110));
    assert_eq!(leader(&[1]).replicated_offset(1), Some(Offset::MAX));
}

#[test]
fn nothing_is_committed_below_the_minimum_in_sync() {
    assert_eq!(leader(&[1]).replicated_offset(2), None);
    // A topic with fewer replicas than the minimum asks for can still be written to.
    let mut state = leader(&[1, 2, 3]);
    fetch(&mut state, 2, 120, 120, 1);
    fetch(&mut state, 3, 120, 120, 1);
    assert_eq!(state.replicated_offset(4), Some(120));
}

#[test]
fn a_proposed_replica_counts_before_it_is_accepted() {
    let mut state = leader(&[1, 2]);
    fetch(&mut state, 2, 130, 130, 1);
    fetch(&mut state, 3, 120, 130, 1);
    assert_eq!(state.replicated_offset(1), Some(130));
    assert_eq!(propose(&mut state, 120, 130, 2), Some(vec![1, 2, 3]));
    assert_eq!(state.replicated_offset(1), Some(120));
    // Whether it was accepted is not known: it counts, and is proposed again.
    state.answered(0, ProposalOutcome::Unknown);
    assert_eq!(state.replicated_offset(1), Some(120));
    assert_eq!(propose(&mut state, 120, 130, 2), Some(vec![1, 2, 3]));
    assert_eq!(propose(&mut state, 120, 130, 2), None);
    state.answered(0, ProposalOutcome::Decided);
    assert_eq!(state.replicated_offset(1), Some(120));
    assert!(state.update(membership(1, &[1, 2, 3]), 3));
    assert_eq!(state.replicated_offset(1), Some(120));
}

#[test]
fn a_replica_that_is_proposed_to_leave_counts_until_it_has_left() {
    let mut state = leader(&[1, 2, 3]);
    fetch(&mut state, 2, 130, 130, 2000);
    fetch(&mut state, 3, 110, 130, 1);
    assert_eq!(propose(&mut state, 110, 130, 500), None);
    assert_eq!(propose(&mut state, 110, 130, 2000), Some(vec![1, 2]));
    assert_eq!(state.replicated_offset(1), Some(110));
    assert!(state.update(membership(1, &[1, 2]), 2001));
    assert_eq!(state.replicated_offset(1), Some(130));
}

#[test]
fn who_keeps_up_with_a_moving_log_is_in_sync() {
    let mut state = leader(&[1, 2]);
    for step in 0..50 {
        // It always has what the leader had at its last fetch, but never all.
        let end = 100 + step * 10;
        fetch(&mut state, 2, end - 10, end, step * 100);
        let proposed = propose(&mut state, end - 10, end, step * 100);
        assert!(proposed.is_none_or(|isr| isr.contains(&2)));
    }
}

#[test]
fn only_who_has_reached_this_term_and_is_live_joins() {
    let mut state = leader(&[1]);
    fetch(&mut state, 2, 99, 130, 1);
    assert_eq!(propose(&mut state, 50, 130, 1), None);
    fetch(&mut state, 2, 100, 130, 1);
    let refused = state.propose(50, 130, 1, LAG_MAX_MS, |_, epoch| epoch > 20);
    assert_eq!(refused, None);
    assert_eq!(propose(&mut state, 50, 130, 1), Some(vec![1, 2]));
    state.answered(0, ProposalOutcome::NotTaken);
    assert_eq!(state.replicated_offset(1), Some(Offset::MAX));
}

#[test]
fn a_leader_that_was_elected_uncleanly_says_that_it_has_recovered() {
    let mut state = leader(&[1]);
    let recovering = Membership {
        recovering: true,
        ..membership(1, &[1])
    };
    assert!(state.update(recovering, 0));
    assert_eq!(propose(&mut state, 100, 130, 1), Some(vec![1]));
    assert!(state.update(membership(2, &[1]), 2));
    assert_eq!(propose(&mut state, 100, 130, 3), None);
}

#[test]
fn older_words_and_strangers_are_not_heard() {
    let mut state = leader(&[1, 2]);
    assert!(state.update(membership(3, &[1]), 0));
    assert!(!state.update(membership(2, &[1, 2, 3]), 0));
    let other_term = Membership {
        leader_epoch: 6,
        ..membership(9, &[1, 2])
    };
    assert!(!state.update(other_term, 0));
    assert!(!state.fetched(BrokerId(9), 1, 100, 0, 100, 0));
    // A fetch of an earlier life.
    fetch(&mut state, 2, 120, 120, 0);
    assert!(state.fetched(BrokerId(2), 19, 90, 0, 120, 0));
    assert_eq!(state.followers().next().unwrap().1.log_end, 120);
}

/// What may happen to a leader.
#[derive(Debug, Clone)]
enum Step {
    Append(i64),
    Fetch(usize),
    Pass(i64),
    /// The controller decides about the proposal that is under way.
    Decide {
        accept: bool,
    },
    /// The answer to it, whatever it was, is lost.
    Lose,
    /// The controller's newest word comes.
    Hear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..5i64).prop_map(Step::Append),
        (0..2usize).prop_map(Step::Fetch),
        (0..900i64).prop_map(Step::Pass),
        any::<bool>().prop_map(|accept| Step::Decide { accept }),
        Just(Step::Lose),
        Just(Step::Hear),
    ]
}

proptest! {
    /// Whoever the controller counts as in sync, and so may elect, has everything that is committed:
    /// whatever answers are lost or late.
    #[test]
    fn who_may_be_elected_has_all_that_is_committed(steps in proptest::collection::vec(step(), 0..200)) {
        let mut state = leader(&[1, 2, 3]);
        let (mut end, mut now_ms, mut high_watermark) = (100, 0, 0);
        let mut on_disk = [0, 0];
        let mut controller = (0, vec![1, 2, 3]);
        let mut under_way: Option<Proposal> = None;
        for step in steps {
            match step {
                Step::Append(n) => end += n,
                Step::Fetch(n) => {
                    // What the last fetch brought is on disk by now.
                    let id = [2, 3][n];
                    fetch(&mut state, id, on_disk[n], end, now_ms);
                    on_disk[n] = end;
                }
                Step::Pass(ms) => now_ms += ms,
                Step::Decide { accept } => {
                    if let Some(proposal) = under_way.take() {
                        let fits = proposal.partition_epoch == controller.0;
                        if fits && accept {
                            let isr = proposal.isr.iter().map(|m| m.broker_id.0).collect();
                            controller = (controller.0 + 1, isr);
                        }
                        let outcome = match (fits, accept) {
                            (true, false) => ProposalOutcome::NotTaken,
                            _ => ProposalOutcome::Decided,
                        };
                        state.answered(proposal.partition_epoch, outcome);
                    }
                }
                Step::Lose => {
                    if let Some(proposal) = under_way.take() {
                        if proposal.partition_epoch == controller.0 {
                            let isr = proposal.isr.iter().map(|m| m.broker_id.0).collect();
                            controller = (controller.0 + 1, isr);
                        }
                        state.answered(proposal.partition_epoch, ProposalOutcome::Unknown);
                    }
                }
                Step::Hear => {
                    state.update(membership(controller.0, &controller.1), now_ms);
                }
            }
            if under_way.is_none() {
                under_way = state.propose(high_watermark, end, now_ms, LAG_MAX_MS, |_, _| true);
            }
            if let Some(replicated) = state.replicated_offset(1) {
                high_watermark = high_watermark.max(replicated.min(end));
            }
            for (n, id) in [2, 3].into_iter().enumerate() {
                let electable = controller.1.contains(&id);
                prop_assert!(!electable || on_disk[n] >= high_watermark);
            }
        }
    }
}
