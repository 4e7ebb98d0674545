//! Pods whose node or volume is gone: waited for, and then made anew. Whether a volume may be given up,
//! its owner decides: the others have to have what is on it.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::DeleteParams;

use crate::api::Reason;
use crate::error::{Asked, Error};
use crate::observed::PodNow;
use crate::progress::Progress;
use crate::render::{Node, names};

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

/// Waits `after` seconds for what is lost; 0: for ever. Then pods are taken from nodes that do not
/// answer, and volumes come back that are to be given up.
pub(crate) async fn overdue(
    round: &mut Progress<'_>,
    nodes: &[Node],
    after: i64,
) -> Result<Vec<Overdue>, Error> {
    let mut overdue = Vec::new();
    for node in nodes {
        let Some(pod) = round.observed.pods.get(&node.pod).cloned() else {
            continue;
        };
        let Some(loss) = loss(&pod) else { continue };
        let since = pod.since.map_or(0, |since| {
            round.context.now().as_second() - since.as_second()
        });
        let what = match &loss {
            Loss::Node(name) => {
                format!("pod {} is on node {name}, which does not answer", pod.name)
            }
            Loss::Volume(why) => format!("pod {} cannot get to its volume ({why})", pod.name),
        };
        if after == 0 || since < after {
            let until = match after {
                0 => "it is waited for, as rebuildAfterSeconds is 0".to_owned(),
                after => format!(
                    "it is waited for {} s more, then it is built again",
                    after - since
                ),
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

fn loss(pod: &PodNow) -> Option<Loss> {
    if pod.ready {
        return None;
    }
    if let (Some(node), Some(false)) = (&pod.node, pod.node_ready) {
        return Some(Loss::Node(node.clone()));
    }
    let trouble = pod.trouble.as_ref().filter(|_| pod.node.is_none())?;
    let words = [
        "volume node affinity",
        "PersistentVolume's node affinity",
        "non-existent persistentvolume",
    ];
    words
        .iter()
        .any(|words| trouble.contains(words))
        .then(|| Loss::Volume(trouble.clone()))
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
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(round.context.client.clone(), &round.namespace);
    let deleted = claims.delete(&claim, &DeleteParams::default()).await;
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
}
