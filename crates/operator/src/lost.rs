//! Pods whose node or volume is gone: waited for, and then made anew. Whether a volume may be given up,
//! its owner decides: the others have to have what is on it.
//!
//! ```text
//!   node lost ────────────────────────────▶ pod taken from there ──────▶ claim given up
//!   │                   the pod may look for its volume elsewhere │      │
//!   └── lost-since ── five sixths of rebuildAfterSeconds ─────────┴──────┘ all of them
//! ```
//!
//! It is waited once. The claim keeps since when, whichever pod and whichever operator comes meanwhile,
//! until the pod has a place again.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::api::Reason;
use crate::context::patching;
use crate::error::{Asked, Error};
use crate::observed::PodNow;
use crate::progress::Progress;
use crate::render::{Node, names};

/// The annotation of a claim that says since when its pod is lost.
const LOST_SINCE: &str = "ottla.dev/lost-since";

/// What has become of a pod that does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Loss {
    /// Its node does not answer.
    Node(String),
    /// Its volume lies on a node that is not there.
    Volume(String),
}

/// A volume that was waited for long enough.
#[derive(Clone, Debug)]
pub(crate) struct Overdue {
    pub(crate) node: Node,
    /// What is the matter, for people.
    pub(crate) what: String,
}

/// Waits `after` seconds for what is lost; 0: for ever. Then volumes come back that are to be given up.
/// Some time before, pods are taken from nodes that do not answer.
pub(crate) async fn overdue(
    round: &mut Progress<'_>,
    nodes: &[Node],
    after: i64,
) -> Result<Vec<Overdue>, Error> {
    let has_trouble = |pod: &PodNow| pod.node.is_none() && pod.trouble.is_some();
    let down = match round.observed.pods.values().any(has_trouble) {
        true => round.context.nodes.down().await?,
        // Nobody is without a place: it makes no difference.
        false => 0,
    };
    forget_found(round, nodes, down).await?;
    let mut overdue = Vec::new();
    for node in nodes {
        let Some(pod) = round.observed.pods.get(&node.pod).cloned() else {
            continue;
        };
        let Some(loss) = loss(&pod, down) else {
            continue;
        };
        let now = round.context.now().as_second();
        let known = lost_since(round, &node.pod);
        let since = since(&loss, &pod, known).unwrap_or(now);
        if known != Some(since) {
            remember(round, &node.pod, since).await?;
        }
        let left = since + patience(&loss, after) - now;
        let what = match &loss {
            Loss::Node(name) => {
                format!("pod {} is on node {name}, which does not answer", pod.name)
            }
            Loss::Volume(why) => format!("pod {} cannot get to its volume ({why})", pod.name),
        };
        if after == 0 || left > 0 {
            let then = match &loss {
                Loss::Node(_) => "the pod is taken from there",
                Loss::Volume(_) => "it is built again",
            };
            let until = match after {
                0 => "it is waited for, as rebuildAfterSeconds is 0".to_owned(),
                _ => format!("it is waited for {left} s more, then {then}"),
            };
            round.warn(Reason::PodLost, &what).await;
            round.wrong(Reason::PodLost, format!("{what}; {until}"));
            continue;
        }
        match loss {
            // Whether its volume goes with the node, the scheduler will say.
            Loss::Node(_) => {
                rebuilding(round, format!("{what}: the pod is taken from there")).await;
                delete_at_once(round, &pod.name).await?;
            }
            Loss::Volume(_) => overdue.push(Overdue {
                node: node.clone(),
                what,
            }),
        }
    }
    Ok(overdue)
}

/// How long something is waited for. A pod is taken from a node before all of the time is over: its
/// volume may be reached from another node, which may have to be started first.
fn patience(loss: &Loss, after: i64) -> i64 {
    match loss {
        Loss::Node(_) => after - after / 6,
        Loss::Volume(_) => after,
    }
}

/// Since when it is lost, as far as can be known. A node that was back in between was not seen, if the
/// operator was away then: its own clock is the later one.
fn since(loss: &Loss, pod: &PodNow, known: Option<i64>) -> Option<i64> {
    let since = known.or_else(|| Some(pod.since?.as_second()));
    let node_since = match loss {
        Loss::Node(_) => pod.node_since.map(Timestamp::as_second),
        Loss::Volume(_) => None,
    };
    since.max(node_since)
}

/// The claim of a pod; one that is given up already is nobody's.
fn claim_of<'a>(round: &'a Progress<'_>, pod: &str) -> Option<&'a PersistentVolumeClaim> {
    let claim = round.observed.claims.get(&names::claim(pod))?;
    let is_there = claim.metadata.deletion_timestamp.is_none();
    is_there.then_some(claim)
}

/// Since when a pod is lost, as its claim says.
fn lost_since(round: &Progress<'_>, pod: &str) -> Option<i64> {
    let claim = claim_of(round, pod)?;
    let since: Timestamp = claim.annotations().get(LOST_SINCE)?.parse().ok()?;
    Some(since.as_second())
}

async fn remember(round: &Progress<'_>, pod: &str, since: i64) -> Result<(), Error> {
    let since = Timestamp::from_second(since).ok();
    match (claim_of(round, pod), since) {
        (Some(claim), Some(since)) => annotate(round, &claim.name_any(), Some(since)).await,
        _ => Ok(()),
    }
}

/// What has a place again, or is not to be there at all, is not lost: the next time is counted anew.
async fn forget_found(round: &Progress<'_>, nodes: &[Node], down: usize) -> Result<(), Error> {
    let has_place = |pod: &PodNow| {
        // One whose node is there and takes no pods now, for whatever reason, is not lost either.
        let may_have = pod.node.is_none() && pod.trouble.is_some() && loss(pod, down).is_none();
        pod.ready || may_have || pod.node.is_some() && pod.node_ready != Some(false)
    };
    let lost = nodes.iter().filter(|node| {
        let pod = round.observed.pods.get(&node.pod);
        !pod.is_some_and(has_place)
    });
    let lost: BTreeSet<String> = lost.map(|node| names::claim(&node.pod)).collect();
    for (name, claim) in &round.observed.claims {
        if claim.annotations().contains_key(LOST_SINCE) && !lost.contains(name) {
            annotate(round, name, None).await?;
        }
    }
    Ok(())
}

async fn annotate(
    round: &Progress<'_>,
    claim: &str,
    since: Option<Timestamp>,
) -> Result<(), Error> {
    let since = since.map(|since| since.to_string());
    let patch = json!({ "metadata": { "annotations": { LOST_SINCE: since } } });
    let patched = claims(round)
        .patch_metadata(claim, &patching(), &Patch::Merge(patch))
        .await;
    ignore_gone(patched.map(|_| ())).when(|| format!("annotating volume claim {claim}"))
}

fn claims(round: &Progress<'_>) -> Api<PersistentVolumeClaim> {
    Api::namespaced(round.context.client.clone(), &round.namespace)
}

/// `down` is how many nodes do not answer.
fn loss(pod: &PodNow, down: usize) -> Option<Loss> {
    if pod.ready {
        return None;
    }
    if let (Some(node), Some(false)) = (&pod.node, pod.node_ready) {
        return Some(Loss::Node(node.clone()));
    }
    let trouble = pod.trouble.as_ref().filter(|_| pod.node.is_none())?;
    let is_no_more = trouble.contains("non-existent persistentvolume");
    let is_lost = is_no_more || is_out_of_reach(trouble, down);
    is_lost.then(|| Loss::Volume(trouble.clone()))
}

/// Whether the scheduler says that no node that answers has the volume: `0/3 nodes are available: 1
/// node(s) had untolerated taint(s), 2 node(s) had volume node affinity conflict.` A node with the
/// volume that is cordoned or full is among those that have other reasons.
fn is_out_of_reach(trouble: &str, down: usize) -> bool {
    let verdict = trouble.split_once("0/").and_then(|(_, rest)| {
        let (total, reasons) = rest.split_once(" nodes are available: ")?;
        let reasons = reasons.split(". ").next()?;
        Some((total.parse::<usize>().ok()?, reasons))
    });
    let Some((total, reasons)) = verdict else {
        return false;
    };
    let count = |words: &[&str]| -> usize {
        let reasons = reasons.split(", ");
        let found = reasons.filter(|reason| words.iter().any(|words| reason.contains(words)));
        let numbers = found.filter_map(|reason| reason.split(' ').next()?.parse::<usize>().ok());
        numbers.sum()
    };
    let elsewhere = count(&["volume node affinity", "PersistentVolume's node affinity"]);
    let silent = count(&[
        "node.kubernetes.io/unreachable",
        "node.kubernetes.io/not-ready",
    ]);
    elsewhere > 0 && elsewhere + silent.max(down) >= total
}

/// Says why a volume is kept.
pub(crate) async fn keep(round: &mut Progress<'_>, lost: &Overdue, why: &str) {
    let text = format!("{}; {why}", lost.what);
    round.complain(Reason::PodLost, text).await;
}

/// Gives a volume up: the pod comes again with another one, which is empty.
pub(crate) async fn give_up(round: &mut Progress<'_>, lost: &Overdue) -> Result<(), Error> {
    let claim = names::claim(&lost.node.pod);
    let note = format!(
        "{}: volume claim {claim} is given up, and the others' copies are used",
        lost.what
    );
    rebuilding(round, note).await;
    let deleted = claims(round).delete(&claim, &DeleteParams::default()).await;
    ignore_gone(deleted.map(|_| ())).when(|| format!("deleting volume claim {claim}"))?;
    delete_at_once(round, &lost.node.pod).await
}

async fn rebuilding(round: &mut Progress<'_>, note: String) {
    round.warn(Reason::Rebuilding, &note).await;
    round.doing(Reason::Rebuilding, note);
}

/// Nobody is there who could stop it.
async fn delete_at_once(round: &Progress<'_>, pod: &str) -> Result<(), Error> {
    let pods: Api<Pod> = Api::namespaced(round.context.client.clone(), &round.namespace);
    let at_once = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    let deleted = pods.delete(pod, &at_once).await;
    ignore_gone(deleted.map(|_| ())).when(|| format!("deleting pod {pod}"))
}

fn ignore_gone(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lost_node_or_volume_is_a_loss() {
        let mut pod = PodNow::default();
        let loss = |pod: &PodNow| loss(pod, 0);
        assert_eq!(loss(&pod), None);
        pod.trouble =
            Some("Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.".to_owned());
        assert_eq!(loss(&pod), None);
        let why =
            "Unschedulable: 0/2 nodes are available: 2 node(s) had volume node affinity conflict.";
        pod.trouble = Some(why.to_owned());
        assert_eq!(loss(&pod), Some(Loss::Volume(why.to_owned())));
        pod.node = Some("n2".to_owned());
        pod.node_ready = Some(true);
        assert_eq!(loss(&pod), None);
        pod.node_ready = Some(false);
        assert_eq!(loss(&pod), Some(Loss::Node("n2".to_owned())));
        pod.ready = true;
        assert_eq!(loss(&pod), None);
    }

    #[test]
    fn a_volume_is_out_of_reach_only_when_its_node_is_gone_or_silent() {
        let lost = |reasons: &str, down| {
            let text = format!(
                "Unschedulable: 0/3 nodes are available: {reasons}. preemption: 0/3 nodes are available: 3 \
                 Preemption is not helpful for scheduling."
            );
            is_out_of_reach(&text, down)
        };
        let elsewhere = "2 node(s) had volume node affinity conflict";
        assert!(lost("3 node(s) had volume node affinity conflict", 0));
        assert!(lost(
            "3 node(s) didn't match PersistentVolume's node affinity",
            0
        ));
        // Cordoned, full, or kept for others: somebody can change that.
        assert!(!lost(
            &format!("1 node(s) were unschedulable, {elsewhere}"),
            0
        ));
        assert!(!lost(&format!("1 Insufficient memory, {elsewhere}"), 0));
        let tainted = format!("1 node(s) had untolerated taint(s), {elsewhere}");
        assert!(!lost(&tainted, 0));
        assert!(lost(&tainted, 1));
        let silent = "1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }";
        assert!(lost(&format!("{silent}, {elsewhere}"), 0));
        // Another node that does not answer makes no difference.
        assert!(!lost(
            "1 node(s) were unschedulable, 1 node(s) had untolerated taint(s), 1 node(s) had volume node affinity conflict",
            1
        ));
        assert!(!lost(
            "1 node(s) were unschedulable, 2 node(s) had untolerated taint(s)",
            2
        ));
        assert!(!is_out_of_reach("ImagePullBackOff: 0/ nodes", 1));
    }

    #[test]
    fn the_wait_begins_with_the_loss_and_not_before_the_node_was_last_there() {
        let at = |second| Timestamp::from_second(second).ok();
        let (node, volume) = (Loss::Node(String::new()), Loss::Volume(String::new()));
        let mut pod = PodNow {
            since: at(100),
            node_since: at(90),
            ..PodNow::default()
        };
        assert_eq!(since(&node, &pod, None), Some(100));
        // It is told to stop later, and is lost since before.
        assert_eq!(since(&node, &pod, Some(95)), Some(95));
        assert_eq!(since(&volume, &pod, Some(20)), Some(20));
        // The node was back, and is gone again.
        assert_eq!(since(&node, &pod, Some(20)), Some(90));
        pod.since = None;
        assert_eq!(since(&volume, &pod, None), None);
    }

    #[test]
    fn a_pod_is_taken_from_its_node_before_its_volume_is_given_up() {
        let (node, volume) = (Loss::Node(String::new()), Loss::Volume(String::new()));
        assert_eq!(patience(&node, 1800), 1500);
        assert_eq!(patience(&volume, 1800), 1800);
        assert_eq!(patience(&node, 5), 5);
    }
}
