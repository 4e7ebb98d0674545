//! Tells each pod what it alone is: its zone, its roles, its addresses.

use super::Round;
use crate::api::Reason;
use crate::error::Error;
use crate::render::{CONFIG_ANNOTATION, Waiting, pod_config};

/// Writes the annotation of every pod that has none yet and whose addresses are known. A pod that
/// was told something else before is told nothing new: it would not read it; it is restarted instead
/// (see [`super::rolling`]).
pub(super) async fn tell(round: &mut Round<'_>) -> Result<(), Error> {
    for node in round.nodes.clone() {
        let Some(pod) = round.observed.pods.get(&node.pod) else {
            continue;
        };
        if pod.config.is_some() || pod.deleting {
            continue;
        }
        match pod_config(round.cluster, &node, &round.observed.surroundings) {
            Ok(config) => {
                let text = config.text();
                match round.annotate(&node.pod, CONFIG_ANNOTATION, &text).await {
                    Err(error) if error.is_not_found() || error.is_conflict() => continue,
                    told => told?,
                }
                if let Some(pod) = round.observed.pods.get_mut(&node.pod) {
                    pod.config = Some(text);
                }
            }
            Err(Waiting::Scheduling { pod: name }) => {
                let why = match &pod.trouble {
                    Some(trouble) => format!(": {trouble}"),
                    None => String::new(),
                };
                round.doing(
                    Reason::PodsNotReady,
                    format!("pod {name} has no node yet{why}"),
                );
            }
            Err(waiting) => {
                round.doing(
                    Reason::WaitingForAddress,
                    format!("pod {} waits for {waiting}", node.pod),
                );
            }
        }
    }
    Ok(())
}
