//! Volumes that grow while pods run.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::Api;
use kube::api::{DeleteParams, Patch, PropagationPolicy};
use serde_json::{Value, json};

use crate::api::Reason;
use crate::context::patching;
use crate::error::{Asked, Error};
use crate::progress::Progress;
use crate::quantity;

/// Asks for larger volumes where the resource does. `wanted` are the claims with their sizes.
pub(crate) async fn grow(
    round: &mut Progress<'_>,
    wanted: Vec<(String, Quantity)>,
) -> Result<(), Error> {
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(round.context.client.clone(), &round.namespace);
    for (name, wanted) in wanted {
        let Some(claim) = round.observed.claims.get(&name).cloned() else {
            continue;
        };
        let asked = asked(&claim);
        let (Some(wanted_bytes), Some(asked_bytes)) = (
            quantity::bytes(&wanted),
            asked.as_ref().and_then(quantity::bytes),
        ) else {
            continue;
        };
        if wanted_bytes > asked_bytes {
            let patch = json!({"spec": {"resources": {"requests": {"storage": wanted}}}});
            let patched = claims.patch(&name, &patching(), &Patch::Merge(patch)).await;
            match patched {
                Ok(_) => {
                    let note = format!("volume {name} is to grow to {}", wanted.0);
                    round.announce(Reason::GrowingVolumes, note).await;
                }
                Err(error) => {
                    let text = format!(
                        "volume {name} cannot grow to {}: {error}; does its storage class say \
                         allowVolumeExpansion?",
                        wanted.0
                    );
                    round.complain(Reason::GrowingVolumes, text).await;
                }
            }
            continue;
        }
        let has = claim
            .status
            .as_ref()
            .and_then(|status| status.capacity.as_ref());
        let has = has
            .and_then(|capacity| capacity.get("storage"))
            .and_then(quantity::bytes);
        if has.is_some_and(|has| has < wanted_bytes) {
            let text = format!("volume {name} grows to {}", wanted.0);
            round.doing(Reason::GrowingVolumes, text);
        }
    }
    Ok(())
}

pub(crate) fn asked(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    let resources = claim.spec.as_ref()?.resources.as_ref()?;
    resources.requests.as_ref()?.get("storage").cloned()
}

/// A stateful set's volume template cannot be changed: one whose size differs is deleted without its
/// pods, and made anew with the template; it takes the pods over.
pub(crate) async fn release_templates(
    round: &mut Progress<'_>,
    manifests: &[Value],
) -> Result<(), Error> {
    let sets: Api<StatefulSet> = Api::namespaced(round.context.client.clone(), &round.namespace);
    for manifest in manifests {
        if manifest.pointer("/kind").and_then(Value::as_str) != Some("StatefulSet") {
            continue;
        }
        let name = manifest.pointer("/metadata/name").and_then(Value::as_str);
        let Some(set) = name.and_then(|name| round.observed.sets.get(name)) else {
            continue;
        };
        let template = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";
        let wanted = manifest
            .pointer(template)
            .and_then(Value::as_str)
            .map(str::to_owned);
        let templates = set
            .spec
            .as_ref()
            .and_then(|spec| spec.volume_claim_templates.as_ref());
        let now = templates
            .and_then(|templates| templates.first())
            .and_then(asked);
        let (Some(wanted), Some(now), Some(name)) = (wanted, now, name) else {
            continue;
        };
        let same = quantity::bytes(&Quantity(wanted.clone())) == quantity::bytes(&now);
        if same || set.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Orphan),
            ..DeleteParams::default()
        };
        sets.delete(name, &parameters)
            .await
            .when(|| format!("deleting StatefulSet {name} without its pods"))?;
        let note =
            format!("StatefulSet {name} is made anew for volumes of {wanted}; its pods stay");
        round.say(Reason::GrowingVolumes, note).await;
        // Until it is gone, applying would change the old one.
        for _ in 0..50 {
            let there = sets
                .get_opt(name)
                .await
                .when(|| format!("asking for StatefulSet {name}"))?;
            if there.is_none() {
                break;
            }
            let pause = std::time::Duration::from_millis(100);
            round.context.runtime.clock.sleep(pause).await;
        }
        let text = format!("StatefulSet {name} is made anew");
        round.doing(Reason::GrowingVolumes, text);
    }
    Ok(())
}
