//! What the reconciliations of clusters and of ensembles have in common while they go on.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use kube::runtime::controller::Action;

use crate::api::{Reason, condition};
use crate::apply::Outcome;
use crate::conditions::seconds_since;
use crate::context::Context;
use crate::disruptions;
use crate::error::{Asked, Error};
use crate::observed::Observed;
use crate::render::Node;

/// When nothing is under way, how long until the next look.
pub(crate) const QUIET: Duration = Duration::from_secs(30);
/// And when something is.
const BUSY: Duration = Duration::from_millis(500);
/// And when something is wrong that others may mend: Kubernetes does not tell of all of it.
const TROUBLED: Duration = Duration::from_secs(2);

/// A reconciliation under way: what it has found, and what it does.
pub(crate) struct Progress<'a> {
    pub(crate) context: &'a Context,
    /// What it is about.
    pub(crate) about: ObjectReference,
    pub(crate) namespace: String,
    pub(crate) observed: Observed,
    /// The pods that there shall be now.
    pub(crate) nodes: Vec<Node>,
    /// Whether some pods must not be evicted now.
    pub(crate) holds_pods: bool,
    /// What is under way, the most important first.
    pub(crate) doing: Vec<(Reason, String)>,
    /// What is wrong, the most important first.
    pub(crate) wrong: Vec<(Reason, String)>,
}

impl<'a> Progress<'a> {
    /// Nothing is done yet.
    pub(crate) fn new(context: &'a Context, about: ObjectReference, observed: Observed) -> Self {
        Progress {
            context,
            namespace: about.namespace.clone().unwrap_or_default(),
            about,
            observed,
            nodes: Vec::new(),
            holds_pods: false,
            doing: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// Writes down that something is under way.
    pub(crate) fn doing(&mut self, reason: Reason, what: impl Into<String>) {
        self.doing.push((reason, what.into()));
    }

    /// Writes down that something is wrong.
    pub(crate) fn wrong(&mut self, reason: Reason, what: impl Into<String>) {
        self.wrong.push((reason, what.into()));
    }

    /// Tells people what was done.
    pub(crate) async fn say(&self, reason: Reason, note: impl Into<String>) {
        self.context.say(&self.about, reason, note).await;
    }

    /// Tells people what is wrong.
    pub(crate) async fn warn(&self, reason: Reason, note: impl Into<String>) {
        self.context.warn(&self.about, reason, note).await;
    }

    /// Tells people what is being done, and writes it down.
    pub(crate) async fn announce(&mut self, reason: Reason, what: impl Into<String>) {
        let what = what.into();
        self.say(reason, &what).await;
        self.doing(reason, what);
    }

    /// Tells people what is wrong, and writes it down.
    pub(crate) async fn complain(&mut self, reason: Reason, what: impl Into<String>) {
        let what = what.into();
        self.warn(reason, &what).await;
        self.wrong(reason, what);
    }

    /// Tells people what applying came to, and writes it down.
    pub(crate) async fn applied(&mut self, outcome: &Outcome) {
        if let Some(reason) = outcome.new_templates() {
            self.doing(reason, "stateful sets have new templates");
        } else if let Some(set) = self.observed.unseen_template() {
            let text = format!("StatefulSet {set} has a new template");
            self.doing(Reason::Rolling, text);
        }
        for (reason, verb, what) in [
            (Reason::Created, "made", &outcome.created),
            (Reason::Deleted, "deleted", &outcome.deleted),
        ] {
            if !what.is_empty() {
                let note = format!("{verb} {}", what.join(", "));
                self.say(reason, note).await;
            }
        }
        // Addresses come and go with pods, and tell nobody anything.
        let is_visible = |what: &&String| {
            let quiet = ["EndpointSlice", "ConfigMap"];
            !quiet.iter().any(|kind| what.starts_with(kind))
        };
        let visible: Vec<&str> = outcome
            .changed
            .iter()
            .filter(is_visible)
            .map(String::as_str)
            .collect();
        if !visible.is_empty() {
            let name = self.about.name.as_deref().unwrap_or_default();
            tracing::info!(resource = %name, "changed {}", visible.join(", "));
        }
    }

    /// Deletes this very pod; its stateful set makes it anew.
    pub(crate) async fn delete_pod(&self, pod: &str) -> Result<(), Error> {
        let uid = self.observed.pods.get(pod).map(|pod| pod.uid.clone());
        let pods: Api<Pod> = Api::namespaced(self.context.client.clone(), &self.namespace);
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

    /// Waits for a pod, with `left` others that are to be changed when it is ready. `idle` is the reason
    /// if there are none.
    pub(crate) async fn wait_for(&mut self, pod: &str, stuck: bool, left: usize, idle: Reason) {
        let text = self.not_ready(pod);
        if stuck {
            let text = format!("{text}{}", way_out(pod, left));
            self.complain(Reason::RollStuck, text).await;
            return;
        }
        let reason = if left > 0 { Reason::Rolling } else { idle };
        self.doing(reason, text);
    }

    /// Gives clients time to find a pod that was restarted, with `left` others to go.
    pub(crate) fn settle(&mut self, pod: &str, left: usize) {
        let text = format!("pod {pod} is ready; clients are given time to find it ({left} to go)");
        self.doing(Reason::Rolling, text);
    }

    /// Restarts a pod some other time. `before` is what was so since when.
    pub(crate) async fn postpone(
        &mut self,
        pod: &str,
        why: &str,
        before: &[Condition],
        timeout_seconds: i64,
    ) {
        let text = format!("pod {pod} is to be restarted, but not now: {why}");
        let waited = seconds_since(before, condition::PROGRESSING, self.context.now());
        if waited.is_some_and(|waited| waited > timeout_seconds) {
            self.complain(Reason::WaitingForReplicas, &text).await;
        }
        self.doing(Reason::WaitingForReplicas, text);
    }

    /// Waits for pods that are to be no more, if nothing keeps them.
    pub(crate) fn see_off(&mut self) {
        if !self.wrong.is_empty() {
            return;
        }
        let stays = |name: &String| self.nodes.iter().any(|node| node.pod == *name);
        let leaving = self.observed.pods.keys().filter(|name| !stays(name));
        let leaving: Vec<&str> = leaving.map(String::as_str).collect();
        if !leaving.is_empty() {
            let text = format!("waiting for {} to be gone", leaving.join(", "));
            self.doing(Reason::ScalingIn, text);
        }
    }

    /// Why a pod is not ready, as a sentence.
    fn not_ready(&self, pod: &str) -> String {
        let known = self.observed.pods.get(pod);
        let trouble = known.and_then(|pod| pod.trouble.clone());
        let why = trouble.map(|trouble| format!(" ({trouble})"));
        let often = match known.map_or(0, |pod| pod.restarts) {
            0 => String::new(),
            times => format!(", its container was started {} times", times + 1),
        };
        format!("pod {pod} is not ready{}{often}", why.unwrap_or_default())
    }

    /// When to look again.
    pub(crate) fn again(&self) -> Action {
        Action::requeue(match (self.doing.is_empty(), self.wrong.is_empty()) {
            (false, _) => BUSY,
            (true, false) => TROUBLED,
            (true, true) if self.holds_pods => disruptions::LOOK_AGAIN,
            (true, true) => QUIET,
        })
    }
}

/// What to do about a pod that does not become ready, with `left` others that wait for it.
fn way_out(pod: &str, left: usize) -> String {
    if left > 0 {
        format!(
            "; {left} other pods are not changed until it is: look into `kubectl logs {pod}`, and edit \
             the resource, which makes this pod anew first"
        )
    } else {
        format!("; look into `kubectl logs {pod}` and `kubectl describe pod {pod}`")
    }
}
