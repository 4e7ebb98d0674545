//! What the reconciliations of clusters and of ensembles have in common while they go on.

use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::Api;
use kube::api::{DeleteParams, Preconditions};

use crate::api::Reason;
use crate::context::Context;
use crate::error::{Asked, Error};
use crate::observed::Observed;

/// A reconciliation under way.
pub(crate) trait Progress {
    fn context(&self) -> &Context;
    /// What it is about.
    fn about(&self) -> &ObjectReference;
    fn namespace(&self) -> &str;
    fn observed(&self) -> &Observed;
    /// Writes down that something is under way.
    fn is_doing(&mut self, reason: Reason, what: String);
    /// Writes down that something is wrong.
    fn is_wrong(&mut self, reason: Reason, what: String);
}

/// Tells people what is being done, and writes it down.
pub(crate) async fn doing(round: &mut impl Progress, reason: Reason, what: String) {
    round.context().say(round.about(), reason, &what).await;
    round.is_doing(reason, what);
}

/// Tells people what is wrong, and writes it down.
pub(crate) async fn wrong(round: &mut impl Progress, reason: Reason, what: String) {
    round.context().warn(round.about(), reason, &what).await;
    round.is_wrong(reason, what);
}

/// Deletes this very pod; its stateful set makes it anew.
pub(crate) async fn delete_pod(round: &impl Progress, pod: &str) -> Result<(), Error> {
    let uid = round.observed().pods.get(pod).map(|pod| pod.uid.clone());
    let pods: Api<Pod> = Api::namespaced(round.context().client.clone(), round.namespace());
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid,
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match pods.delete(pod, &parameters).await {
        // It is gone, or is another one already.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        deleted => deleted.map(|_| ()).when(|| format!("deleting pod {pod}")),
    }
}

/// Why a pod is not ready, as a sentence.
pub(crate) fn not_ready(observed: &Observed, pod: &str) -> String {
    let known = observed.pods.get(pod);
    let trouble = known.and_then(|pod| pod.trouble.clone());
    let why = trouble.map(|trouble| format!(" ({trouble})"));
    let often = match known.map_or(0, |pod| pod.restarts) {
        0 => String::new(),
        times => format!(", its container was started {} times", times + 1),
    };
    format!("pod {pod} is not ready{}{often}", why.unwrap_or_default())
}

/// That a pod was restarted, and is given time before the next one, with `left` to go.
pub(crate) fn settling(pod: &str, left: usize) -> String {
    format!("pod {pod} is ready; clients are given time to find it ({left} to go)")
}

/// What to do about a pod that does not become ready, with `left` others that wait for it.
pub(crate) fn way_out(pod: &str, left: usize) -> String {
    if left > 0 {
        format!(
            "; {left} other pods are not changed until it is: look into `kubectl logs {pod}`, and edit \
             the resource, which makes this pod anew first"
        )
    } else {
        format!("; look into `kubectl logs {pod}` and `kubectl describe pod {pod}`")
    }
}
