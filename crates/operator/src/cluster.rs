//! Keeps a `KafkaCluster` as its resource says.
//!
//! ```text
//!   resource ─▶ validate ─▶ observe ─▶ sizes ─▶ apply manifests ─▶ tell pods what they are
//!                                                     │
//!        ┌────────────────── a client's view ◀────────┘ (once a broker is ready)
//!        ▼
//!   volumes ─▶ config ─▶ what is lost ─▶ quorum ─▶ roll ─▶ balance ─▶ status
//! ```
//!
//! Each reconciliation looks at everything anew and takes at most the next step, so it goes on where
//! it was after a restart of the operator, at whatever step that was. Nothing is remembered but what
//! the status says, and claims (`lost`).

mod balance;
mod config;
mod evictions;
mod lost;
mod quorum;
mod rolling;
mod scale;
mod status;
mod throttle;
mod told;
mod volumes;

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use kube::api::Patch;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api::{KafkaCluster, Reason};
use crate::apply::{self, Owner};
use crate::context::{Context, patching};
use crate::error::{Asked, Error};
use crate::kafka::{self, View};
use crate::observed::{self, Observed};
use crate::progress::Progress;
use crate::render::{self, Evictions, LastKnown, Manifest, Sizes};
use crate::status::{refuse_invalid, refuse_paused};
use crate::validate;
use balance::Owed;

/// What one reconciliation has found and done.
pub(crate) struct Round<'a> {
    progress: Progress<'a>,
    pub(crate) cluster: &'a KafkaCluster,
    pub(crate) view: Option<View>,
    /// Brokers that wait for their share.
    pub(crate) owed: Owed,
    /// Properties that were set for all brokers while they ran.
    set_properties: BTreeSet<String>,
    /// Topics of which what is copied is limited.
    throttled: BTreeSet<String>,
}

impl<'a> Deref for Round<'a> {
    type Target = Progress<'a>;

    fn deref(&self) -> &Self::Target {
        &self.progress
    }
}

impl DerefMut for Round<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.progress
    }
}

/// Takes the next steps, and says when to look again.
pub(crate) async fn reconcile(
    cluster: Arc<KafkaCluster>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    if cluster.metadata.deletion_timestamp.is_some() {
        // What it owns goes with it; volumes stay.
        context.forget(&cluster.uid().unwrap_or_default());
        let metrics = &context.metrics;
        metrics.set_resource_ready("KafkaCluster", &namespace, &name, None);
        context.canaries.stop(&namespace, &name);
        return Ok(Action::await_change());
    }
    if cluster.spec.paused {
        return refuse_paused(&context, &*cluster).await;
    }
    let selector = observed::of_cluster(&name);
    let topology_key = &cluster.spec.zones.topology_key;
    let observed = Observed::of(&context, &namespace, &selector, topology_key).await?;
    let verdict = validate::kafka_cluster(&cluster, &volumes::existing(&cluster, &observed));
    if let Some(refused) = refuse_invalid(&context, &*cluster, &verdict).await? {
        return Ok(refused);
    }
    let before = cluster.status.clone().unwrap_or_default();
    let mut round = Round {
        progress: Progress::new(&context, cluster.object_ref(&()), observed),
        cluster: &cluster,
        view: None,
        owed: Owed::default(),
        set_properties: before.set_properties.iter().cloned().collect(),
        throttled: before.throttled.iter().cloned().collect(),
    };
    let sizes = scale::sizes_now(&cluster, &round.observed);
    round.nodes = render::kafka::nodes(&cluster, &sizes);
    round.look().await;
    // Nothing else waits for it.
    if let Err(error) = throttle::keep(&mut round, &[]).await {
        round.complain(Reason::Error, error.to_string()).await;
    }
    let sizes = scale::shrink(&mut round, sizes).await?;
    round.nodes = render::kafka::nodes(&cluster, &sizes);
    round.owed = Owed::of(&before, &round.nodes);
    round.apply(&sizes).await?;
    told::tell(&mut round).await?;
    volumes::grow(&mut round).await?;
    config::set(&mut round).await?;
    lost::rebuild(&mut round).await?;
    if quorum::mend(&mut round).await? {
        rolling::step(&mut round).await?;
    }
    round.see_off();
    balance::balance(&mut round).await?;
    status::write(&round, &before).await?;
    Ok(round.again())
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
        self.applied(&outcome).await;
        Ok(())
    }

    /// Changes the annotations of a pod.
    pub(crate) async fn annotate(&self, pod: &str, key: &str, value: &str) -> Result<(), Error> {
        use k8s_openapi::api::core::v1::Pod;
        let pods: Api<Pod> = Api::namespaced(self.context.client.clone(), &self.namespace);
        let patch = json!({"metadata": {"annotations": {key: value}}});
        let patched = pods
            .patch_metadata(pod, &patching(), &Patch::Merge(patch))
            .await;
        patched.when(|| format!("annotating pod {pod}"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
