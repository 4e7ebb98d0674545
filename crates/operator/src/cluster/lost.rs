//! Pods whose node or volume is gone: waited for, and then built again from the others.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::DeleteParams;

use super::Round;
use crate::api::Reason;
use crate::error::{Asked, Error};
use crate::observed::PodNow;
use crate::render::{Node, names};

/// What has become of a pod that does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Loss {
    /// Its node does not answer.
    Node(String),
    /// Its volume lies on a node that is not there.
    Volume(String),
}

/// Gives up what has been away for longer than the resource says, if others have it.
pub(super) async fn rebuild(round: &mut Round<'_>) -> Result<(), Error> {
    let after = round.cluster.spec.rolling.rebuild_after_seconds;
    for node in round.nodes.clone() {
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
            let text = format!("{what}; {until}");
            round.warn(Reason::PodLost, what.clone()).await;
            round.wrong(Reason::PodLost, text);
            continue;
        }
        give_up(round, &node, &pod, &loss, &what).await?;
    }
    Ok(())
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

async fn give_up(
    round: &mut Round<'_>,
    node: &Node,
    pod: &PodNow,
    loss: &Loss,
    what: &str,
) -> Result<(), Error> {
    let pods: Api<Pod> = Api::namespaced(round.context.client.clone(), &round.namespace);
    let at_once = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    if let Loss::Node(_) = loss {
        // Whether its volume goes with the node, the scheduler will say.
        let note = format!("{what}: the pod is taken from there");
        round.warn(Reason::Rebuilding, note.clone()).await;
        round.doing(Reason::Rebuilding, note);
        let deleted = pods.delete(&pod.name, &at_once).await;
        return ignore_gone(deleted.map(|_| ())).when(|| format!("deleting pod {}", pod.name));
    }
    let Some(view) = round.view.clone() else {
        round.wrong(
            Reason::PodLost,
            format!("{what}; the cluster does not answer, so nothing is given up"),
        );
        return Ok(());
    };
    if let Some(partition) = view.only_copy_on(node.id).filter(|_| node.broker) {
        let text = format!(
            "{what}; nobody else has all of {partition}, so its volume is kept: bring the node back, or \
             delete the claim {} by hand if its records may be lost",
            names::claim(&pod.name)
        );
        round.warn(Reason::PodLost, text.clone()).await;
        round.wrong(Reason::PodLost, text);
        return Ok(());
    }
    if node.controller && view.voters().contains(&node.id) {
        if view.voters().len() < 2 {
            let text = format!("{what}; it is the only controller, so its volume is kept");
            round.wrong(Reason::PodLost, text);
            return Ok(());
        }
        // With another volume it is another voter.
        view.remove_voter(node.id).await?;
    }
    let claim = names::claim(&pod.name);
    let note = format!("{what}: volume claim {claim} is given up, and the others' copies are used");
    round.warn(Reason::Rebuilding, note.clone()).await;
    round.doing(Reason::Rebuilding, note);
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(round.context.client.clone(), &round.namespace);
    let deleted = claims.delete(&claim, &DeleteParams::default()).await;
    ignore_gone(deleted.map(|_| ())).when(|| format!("deleting volume claim {claim}"))?;
    let deleted = pods.delete(&pod.name, &at_once).await;
    ignore_gone(deleted.map(|_| ())).when(|| format!("deleting pod {}", pod.name))
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
