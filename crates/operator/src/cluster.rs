//! Keeps a `KafkaCluster` as its resource says.
//!
//! ```text
//!   resource ─▶ validate ─▶ observe ─▶ sizes ─▶ apply manifests ─▶ tell pods what they are
//!                                                     │
//!        ┌────────────────── a client's view ◀────────┘ (once a broker is ready)
//!        ▼
//!   volumes ─▶ what is lost ─▶ quorum ─▶ roll ─▶ balance ─▶ status
//! ```
//!
//! Each reconciliation looks at everything anew and takes at most the next step, so it goes on where
//! it was after a restart of the operator, at whatever step that was. Nothing is remembered but what
//! the status says.

mod balance;
mod evictions;
mod lost;
mod quorum;
mod rolling;
mod scale;
mod status;
mod told;
mod volumes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api::{KafkaCluster, KafkaClusterStatus, Reason, condition};
use crate::apply::{self, Owner};
use crate::conditions::Conditions;
use crate::context::Context;
use crate::disruptions;
use crate::error::{Asked, Error};
use crate::kafka::{self, View};
use crate::observed::{self, Observed};
use crate::progress::Progress;
use crate::render::{self, Evictions, LastKnown, Manifest, Node, Sizes};
use crate::validate;
use balance::Owed;

/// When nothing is under way, how long until the next look.
const QUIET: Duration = Duration::from_secs(30);
/// And when something is.
const BUSY: Duration = Duration::from_millis(500);

/// What one reconciliation has found and done.
pub(crate) struct Round<'a> {
    pub(crate) context: &'a Context,
    pub(crate) cluster: &'a KafkaCluster,
    pub(crate) about: ObjectReference,
    pub(crate) namespace: String,
    pub(crate) observed: Observed,
    /// The pods that there shall be now.
    pub(crate) nodes: Vec<Node>,
    pub(crate) view: Option<View>,
    /// What is under way, the most important first.
    pub(crate) doing: Vec<(Reason, String)>,
    /// What is wrong, the most important first.
    pub(crate) wrong: Vec<(Reason, String)>,
    /// Brokers that wait for their share.
    pub(crate) owed: Owed,
    /// Whether some pods must not be evicted now.
    pub(crate) holds_pods: bool,
}

impl Progress for Round<'_> {
    fn context(&self) -> &Context {
        self.context
    }

    fn about(&self) -> &ObjectReference {
        &self.about
    }

    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn is_doing(&mut self, reason: Reason, what: String) {
        self.doing(reason, what);
    }

    fn is_wrong(&mut self, reason: Reason, what: String) {
        self.wrong(reason, what);
    }
}

impl Round<'_> {
    pub(crate) fn doing(&mut self, reason: Reason, what: impl Into<String>) {
        self.doing.push((reason, what.into()));
    }

    pub(crate) fn wrong(&mut self, reason: Reason, what: impl Into<String>) {
        self.wrong.push((reason, what.into()));
    }

    pub(crate) async fn say(&self, reason: Reason, note: impl Into<String>) {
        self.context.say(&self.about, reason, note).await;
    }

    pub(crate) async fn warn(&self, reason: Reason, note: impl Into<String>) {
        self.context.warn(&self.about, reason, note).await;
    }
}

/// Takes the next steps, and says when to look again.
pub(crate) async fn reconcile(
    cluster: Arc<KafkaCluster>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let namespace = cluster.namespace().unwrap_or_default();
    let about = cluster.object_ref(&());
    if cluster.metadata.deletion_timestamp.is_some() {
        // What it owns goes with it; volumes stay.
        context.forget(&cluster.uid().unwrap_or_default());
        let name = cluster.name_any();
        context
            .metrics
            .set_resource_ready("KafkaCluster", &namespace, &name, None);
        context.canaries.stop(&namespace, &name);
        return Ok(Action::await_change());
    }
    if cluster.spec.paused {
        let message = "the resource says paused: true; nothing is changed";
        return refuse(
            &cluster,
            &context,
            &namespace,
            Reason::Paused,
            message.to_owned(),
        )
        .await;
    }
    let selector = observed::of_cluster(&cluster.name_any());
    let topology_key = &cluster.spec.zones.topology_key;
    let observed = Observed::of(&context, &namespace, &selector, topology_key).await?;
    let verdict = validate::kafka_cluster(&cluster, &volumes::existing(&cluster, &observed));
    if !verdict.errors.is_empty() {
        let errors = verdict.errors.iter().map(ToString::to_string);
        let message = errors.collect::<Vec<_>>().join("; ");
        context.warn(&about, Reason::Invalid, message.clone()).await;
        return refuse(&cluster, &context, &namespace, Reason::Invalid, message).await;
    }
    let before = cluster.status.clone().unwrap_or_default();
    let mut round = Round {
        context: &context,
        cluster: &cluster,
        about,
        namespace,
        nodes: Vec::new(),
        view: None,
        doing: Vec::new(),
        wrong: Vec::new(),
        owed: Owed::default(),
        holds_pods: false,
        observed,
    };
    for warning in &verdict.warnings {
        round.warn(Reason::Invalid, warning.to_string()).await;
    }
    let sizes = scale::sizes_now(&cluster, &round.observed);
    round.nodes = render::kafka::nodes(&cluster, &sizes);
    round.look().await;
    let sizes = scale::shrink(&mut round, sizes).await?;
    round.nodes = render::kafka::nodes(&cluster, &sizes);
    round.owed = Owed::of(&before, &round.nodes);
    round.apply(&sizes).await?;
    told::tell(&mut round).await?;
    volumes::grow(&mut round).await?;
    lost::rebuild(&mut round).await?;
    if quorum::mend(&mut round).await? {
        rolling::step(&mut round).await?;
    }
    balance::balance(&mut round).await?;
    let again = match round.doing.is_empty() {
        true if round.holds_pods => disruptions::LOOK_AGAIN,
        true => QUIET,
        false => BUSY,
    };
    status::write(&mut round, &before).await?;
    Ok(Action::requeue(again))
}

impl Round<'_> {
    /// Asks the cluster itself, if a broker is there to answer.
    async fn look(&mut self) {
        let bootstrap = self.bootstrap();
        if bootstrap.is_empty() {
            return;
        }
        match self.context.clusters.view(&bootstrap).await {
            Ok(view) => self.view = Some(view),
            Err(error) => {
                tracing::debug!(cluster = %self.cluster.name_any(), "no view: {error}");
                if self.observed.pods.values().any(|pod| pod.ready) {
                    self.wrong(
                        Reason::Unreachable,
                        format!("the brokers do not answer: {error}"),
                    );
                }
            }
        }
    }

    /// Where brokers that run are reached.
    pub(crate) fn bootstrap(&self) -> Vec<String> {
        let domain = &self.context.settings.cluster_domain;
        kafka::bootstrap(self.cluster, &self.nodes, domain, |pod| {
            self.observed.pods.get(pod).is_some_and(|pod| pod.ready)
        })
    }

    /// Stateful sets that the resource does not speak of any more and that have pods stay, with their
    /// configuration: only a pool of the resource can be emptied.
    fn keep_sets_with_pods(&mut self, manifests: &[Value]) -> BTreeSet<String> {
        let rendered = |name: &str| {
            manifests.iter().any(|manifest| {
                manifest.pointer("/metadata/name").and_then(Value::as_str) == Some(name)
            })
        };
        let sets = self.observed.sets.keys();
        let sets = sets.filter(|set| !rendered(set) && self.observed.replicas(set) != Some(0));
        let sets: Vec<String> = sets.cloned().collect();
        let mut keeps = BTreeSet::new();
        for set in sets {
            self.wrong(
                Reason::ScalingIn,
                format!(
                    "StatefulSet {set} belongs to a pool that the resource does not name any more, and \
                     has pods: name the pool again with replicas: 0, and remove it when they are gone"
                ),
            );
            keeps.insert(format!("{set}-config"));
            keeps.insert(set);
        }
        keeps
    }

    async fn apply(&mut self, sizes: &Sizes) -> Result<(), Error> {
        let evictions = evictions::allowed(self).await?;
        self.holds_pods = evictions != Evictions::default();
        let last_known = LastKnown {
            by_pod: self.observed.last_told.clone(),
        };
        let manifests = render::kafka::manifests(
            self.cluster,
            &self.context.settings,
            sizes,
            evictions,
            &last_known,
            &self.observed.surroundings,
        );
        let manifests: Vec<Value> = manifests.into_iter().map(Manifest::into_value).collect();
        crate::volumes::release_templates(self, &manifests).await?;
        let uid = self.cluster.uid().unwrap_or_default();
        let keeps = self.keep_sets_with_pods(&manifests);
        let owner = Owner {
            namespace: &self.namespace,
            uid: &uid,
            selector: observed::of_cluster(&self.cluster.name_any()),
            keeps,
        };
        let outcome = apply::apply(self.context, &owner, &manifests).await?;
        if let Some(reason) = outcome.new_templates() {
            self.doing(reason, "stateful sets have new templates");
        } else if let Some(set) = self.observed.unseen_template() {
            let text = format!("StatefulSet {set} has a new template");
            self.doing(Reason::Rolling, text);
        }
        if !outcome.created.is_empty() {
            let note = format!("made {}", outcome.created.join(", "));
            self.say(Reason::Created, note).await;
        }
        let visible: Vec<&String> = outcome
            .changed
            .iter()
            // Addresses come and go with pods, and tell nobody anything.
            .filter(|what| !what.starts_with("EndpointSlice") && !what.starts_with("ConfigMap"))
            .collect();
        if !visible.is_empty() {
            let visible: Vec<&str> = visible.into_iter().map(String::as_str).collect();
            tracing::info!(cluster = %self.cluster.name_any(), "changed {}", visible.join(", "));
        }
        if !outcome.deleted.is_empty() {
            let note = format!("deleted {}", outcome.deleted.join(", "));
            self.say(Reason::Deleted, note).await;
        }
        Ok(())
    }

    /// Changes the annotations of a pod.
    pub(crate) async fn annotate(&self, pod: &str, key: &str, value: &str) -> Result<(), Error> {
        use k8s_openapi::api::core::v1::Pod;
        let pods: Api<Pod> = Api::namespaced(self.context.client.clone(), &self.namespace);
        let patch = json!({"metadata": {"annotations": {key: value}}});
        let patched = pods
            .patch_metadata(pod, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        patched.when(|| format!("annotating pod {pod}"))?;
        Ok(())
    }
}

/// Says why nothing is done.
async fn refuse(
    cluster: &KafkaCluster,
    context: &Context,
    namespace: &str,
    reason: Reason,
    message: String,
) -> Result<Action, Error> {
    let before = cluster.status.clone().unwrap_or_default();
    let generation = cluster.metadata.generation;
    let mut conditions = Conditions::of(&before.conditions, generation, context.now());
    match reason {
        // A cluster that is left alone is as ready as it was.
        Reason::Paused => conditions.set(condition::PROGRESSING, false, reason, message),
        _ => {
            conditions.set(condition::DEGRADED, true, reason, message.clone());
            conditions.set(condition::PROGRESSING, false, reason, message.clone());
            conditions.set(condition::READY, false, reason, message);
        }
    }
    let status = KafkaClusterStatus {
        conditions: conditions.into_vec(),
        observed_generation: generation,
        ..before.clone()
    };
    status::patch(context, namespace, &cluster.name_any(), &before, &status).await?;
    Ok(Action::requeue(QUIET))
}

#[cfg(test)]
mod tests;
