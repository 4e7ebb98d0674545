//! Which pod is restarted next, and whether one may be. Pure.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use crate::api::Rolling;
use crate::observed::PodNow;
use crate::render::Node;

/// A node with its pod, and whether the pod is as it shall be.
#[derive(Clone, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) node: &'a Node,
    pub(crate) pod: Option<&'a PodNow>,
    /// Whether it has been part of the cluster before.
    pub(crate) is_known: bool,
    /// Why the pod has to be made anew, if it has to.
    pub(crate) outdated: Option<&'static str>,
}

/// What a roll does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// All pods are as they shall be, and ready.
    Done,
    /// Nothing, until this pod is ready.
    WaitFor {
        pod: String,
        /// Whether that takes longer than it may.
        stuck: bool,
    },
    /// Nothing, until those who send clients to this pod, which is ready, know that it is.
    Settle(String),
    /// This pod does not run as it is, so nothing is lost with it: make it anew.
    Replace(String),
    /// Restart this pod, when the cluster can do without it.
    Restart { pod: String, id: i32 },
}

/// Decides. `leader` is who leads the quorum: it comes last of all, as every controller comes after
/// those that are none.
///
/// A pod that is outdated and does not run comes first: that is the way out of a bad change. A pod
/// that is up to date and not ready holds up all others: that is what stops a bad change.
pub(crate) fn next(
    members: &[Member<'_>],
    leader: Option<i32>,
    now: Timestamp,
    rolling: &Rolling,
) -> Step {
    let broken = members.iter().find(|member| {
        member.outdated.is_some() && member.pod.is_some_and(|pod| !pod.ready && !pod.deleting)
    });
    if let Some(pod) = broken.and_then(|member| member.pod) {
        return Step::Replace(pod.name.clone());
    }
    let is_outdated = members.iter().any(|member| member.outdated.is_some());
    let unready = members.iter().find(|member| {
        let has_no_place = member.pod.is_some_and(|pod| pod.node.is_none());
        // One that never took part and finds no place may need the others to be changed first.
        let may_wait = !member.is_known && has_no_place && is_outdated;
        !member.pod.is_some_and(|pod| pod.ready) && !may_wait
    });
    if let Some(member) = unready {
        let newest = members
            .iter()
            .filter_map(|other| other.pod.filter(|pod| pod.ready)?.created);
        let newest = newest.max();
        // Schedulers do not always try again when what was in the way has changed.
        let is_stale = member
            .pod
            .is_some_and(|pod| pod.node.is_none() && pod.trouble.is_some() && pod.created < newest);
        if let Some(pod) = member
            .pod
            .filter(|pod| is_stale && !pod.deleting && !member.is_known)
        {
            return Step::Replace(pod.name.clone());
        }
        let since = member.pod.and_then(|pod| pod.since);
        let waited = since.map(|since| now.as_second() - since.as_second());
        return Step::WaitFor {
            pod: member.node.pod.clone(),
            stuck: waited.is_some_and(|waited| waited > rolling.timeout_seconds),
        };
    }
    let mut outdated: Vec<&Member<'_>> = members
        .iter()
        .filter(|member| member.outdated.is_some())
        .collect();
    outdated.sort_by_key(|member| {
        let node = member.node;
        (
            node.controller,
            Some(node.id) == leader,
            !node.broker,
            node.id,
        )
    });
    let Some(first) = outdated.first() else {
        return Step::Done;
    };
    // What the first one led goes to the others: clients have to get there.
    let others = members
        .iter()
        .filter(|other| other.node.id != first.node.id);
    if let Some(pod) = settling(others.filter_map(|other| other.pod), now, rolling) {
        return Step::Settle(pod.name.clone());
    }
    Step::Restart {
        pod: first.node.pod.clone(),
        id: first.node.id,
    }
}

/// A pod that has not been ready for long enough: services and load balancers may not lead to it yet,
/// and clients that are refused once or twice wait longer each time before they try again.
pub(crate) fn settling<'a>(
    pods: impl IntoIterator<Item = &'a PodNow>,
    now: Timestamp,
    rolling: &Rolling,
) -> Option<&'a PodNow> {
    let seconds = rolling.min_ready_seconds;
    let is_new = |since: Timestamp| now.as_second() - since.as_second() <= seconds;
    let mut pods = pods.into_iter();
    pods.find(|pod| seconds > 0 && pod.ready && pod.since.is_some_and(is_new))
}

/// Whether the quorum still has a majority without this voter. `caught_up` counts those of the other
/// voters that follow.
pub(crate) fn quorum_bears(voters: &BTreeSet<i32>, without: i32, caught_up: usize) -> bool {
    // A quorum of one is away for the time of its restart, whatever anybody does.
    !voters.contains(&without) || voters.len() == 1 || caught_up > voters.len() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: i32, controller: bool) -> Node {
        Node {
            id,
            pool: "broker".to_owned(),
            ordinal: id,
            pod: format!("demo-broker-{id}"),
            broker: true,
            controller,
        }
    }

    fn pod(id: i32, ready: bool) -> PodNow {
        PodNow {
            name: format!("demo-broker-{id}"),
            ready,
            since: Timestamp::from_second(100).ok(),
            ..PodNow::default()
        }
    }

    fn decide(members: &[(Node, Option<PodNow>, bool)], leader: Option<i32>) -> Step {
        let members: Vec<Member<'_>> = members
            .iter()
            .map(|(node, pod, outdated)| Member {
                node,
                pod: pod.as_ref(),
                is_known: node.id < 3,
                outdated: outdated.then_some("image"),
            })
            .collect();
        let rolling = Rolling {
            timeout_seconds: 300,
            ..Rolling::default()
        };
        let now = Timestamp::from_second(700).unwrap();
        next(&members, leader, now, &rolling)
    }

    #[test]
    fn a_restarted_pod_is_given_time_before_the_next_one() {
        let newly = |since: i64| PodNow {
            since: Timestamp::from_second(since).ok(),
            ..pod(1, true)
        };
        let with = |first: PodNow, others_are_left: bool| {
            let members = [
                (node(0, false), Some(pod(0, true)), others_are_left),
                (node(1, false), Some(first), false),
            ];
            decide(&members, None)
        };
        assert_eq!(
            with(newly(697), true),
            Step::Settle("demo-broker-1".to_owned())
        );
        let restart = Step::Restart {
            pod: "demo-broker-0".to_owned(),
            id: 0,
        };
        assert_eq!(with(newly(696), true), restart);
        assert_eq!(with(newly(699), false), Step::Done);
        // The one that is to be restarted needs no time itself.
        let members = [
            (node(0, false), Some(pod(0, true)), false),
            (node(1, false), Some(newly(699)), true),
        ];
        let restart = Step::Restart {
            pod: "demo-broker-1".to_owned(),
            id: 1,
        };
        assert_eq!(decide(&members, None), restart);
    }

    #[test]
    fn controllers_come_last_and_their_leader_last_of_all() {
        let order = |done: &[i32]| {
            let members: Vec<_> = (0..5)
                .map(|id| (node(id, id < 3), Some(pod(id, true)), !done.contains(&id)))
                .collect();
            match decide(&members, Some(0)) {
                Step::Restart { id, .. } => id,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(order(&[]), 3);
        assert_eq!(order(&[3]), 4);
        assert_eq!(order(&[3, 4]), 1);
        assert_eq!(order(&[3, 4, 1]), 2);
        assert_eq!(order(&[3, 4, 1, 2]), 0);
    }

    #[test]
    fn a_pod_that_is_new_and_not_ready_holds_up_the_others_and_is_named_when_it_takes_too_long() {
        let members = [
            (node(0, true), Some(pod(0, false)), false),
            (node(1, true), Some(pod(1, true)), true),
        ];
        let stuck = Step::WaitFor {
            pod: "demo-broker-0".to_owned(),
            stuck: true,
        };
        assert_eq!(decide(&members, None), stuck);
    }

    #[test]
    fn a_pod_that_is_outdated_and_does_not_run_is_replaced_first() {
        let members = [
            (node(0, true), Some(pod(0, true)), true),
            (node(1, true), Some(pod(1, false)), true),
        ];
        assert_eq!(
            decide(&members, Some(0)),
            Step::Replace("demo-broker-1".to_owned())
        );
    }

    #[test]
    fn a_new_pod_without_a_place_does_not_hold_up_a_change_that_may_give_it_one() {
        let mut unplaced = pod(3, false);
        let members = |unplaced: &PodNow| {
            [
                (node(0, true), Some(pod(0, true)), true),
                (node(3, false), Some(unplaced.clone()), false),
            ]
        };
        let restart = Step::Restart {
            pod: "demo-broker-0".to_owned(),
            id: 0,
        };
        assert_eq!(decide(&members(&unplaced), None), restart);
        unplaced.node = Some("n1".to_owned());
        let waits = decide(&members(&unplaced), None);
        assert!(matches!(waits, Step::WaitFor { .. }), "{waits:?}");
    }

    #[test]
    fn a_new_pod_that_was_refused_a_place_before_the_others_changed_is_made_anew() {
        let created = |mut pod: PodNow, at| {
            pod.created = Timestamp::from_second(at).ok();
            pod
        };
        let mut refused = created(pod(3, false), 50);
        refused.trouble = Some("Unschedulable".to_owned());
        let members = |refused: &PodNow| {
            [
                (node(0, true), Some(created(pod(0, true), 60)), false),
                (node(3, false), Some(refused.clone()), false),
            ]
        };
        let anew = Step::Replace("demo-broker-3".to_owned());
        assert_eq!(decide(&members(&refused), None), anew);
        refused.created = Timestamp::from_second(70).ok();
        let waits = decide(&members(&refused), None);
        assert!(matches!(waits, Step::WaitFor { .. }), "{waits:?}");
    }

    #[test]
    fn a_pod_that_is_not_there_is_waited_for() {
        let members = [(node(0, true), None, false)];
        let wait = Step::WaitFor {
            pod: "demo-broker-0".to_owned(),
            stuck: false,
        };
        assert_eq!(decide(&members, None), wait);
        assert_eq!(
            decide(&[(node(0, true), Some(pod(0, true)), false)], None),
            Step::Done
        );
    }

    #[test]
    fn a_quorum_keeps_its_majority() {
        let three = BTreeSet::from([0, 1, 2]);
        assert!(quorum_bears(&three, 0, 2));
        assert!(!quorum_bears(&three, 0, 1));
        assert!(quorum_bears(&three, 7, 0));
        assert!(quorum_bears(&BTreeSet::from([0]), 0, 0));
    }
}
