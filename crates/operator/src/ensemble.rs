//! Keeps a `KeeperEnsemble` as its resource says.
//!
//! ```text
//!   resource ─▶ validate ─▶ observe ─▶ ask the servers ─▶ members that leave ─▶ apply manifests
//!                                                                                     │
//!        status ◀─ roll ◀─ members that come ◀─ what is lost ◀─ volumes ◀─────────────┘
//! ```
//!
//! As with clusters, each reconciliation looks at everything anew and takes at most the next step.

mod admin;
mod lost;
mod members;
mod rolling;
mod secret;
mod servers;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use serde_json::Value;

use crate::api::{KeeperEnsemble, KeeperEnsembleStatus, Reason};
use crate::apply::{self, Owner};
use crate::context::Context;
use crate::disruptions;
use crate::error::Error;
use crate::observed::{self, Observed};
use crate::progress::Progress;
use crate::quantity;
use crate::render::keeper::{self, POOL};
use crate::render::{Disruptions, Manifest, Node, Sizes, names};
use crate::validate::{self, Existing};
use crate::volumes;
use servers::Servers;

/// When nothing is under way, how long until the next look.
const QUIET: Duration = Duration::from_secs(30);
/// And when something is.
const BUSY: Duration = Duration::from_millis(500);

/// What one reconciliation has found and done.
struct Round<'a> {
    context: &'a Context,
    ensemble: &'a KeeperEnsemble,
    about: ObjectReference,
    namespace: String,
    observed: Observed,
    /// The pods that there shall be now.
    nodes: Vec<Node>,
    servers: Servers,
    /// The password of those who may change the members, if this operator has one.
    password: Option<String>,
    /// Whether pods must not be evicted now.
    holds_pods: bool,
    /// What is under way, the most important first.
    doing: Vec<(Reason, String)>,
    /// What is wrong, the most important first.
    wrong: Vec<(Reason, String)>,
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
        self.doing.push((reason, what));
    }

    fn is_wrong(&mut self, reason: Reason, what: String) {
        self.wrong.push((reason, what));
    }
}

/// Takes the next steps, and says when to look again.
pub(crate) async fn reconcile(
    ensemble: Arc<KeeperEnsemble>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let namespace = ensemble.namespace().unwrap_or_default();
    let name = ensemble.name_any();
    let about = ensemble.object_ref(&());
    if ensemble.metadata.deletion_timestamp.is_some() {
        // What it owns goes with it; volumes stay.
        context.forget(&ensemble.uid().unwrap_or_default());
        let metrics = &context.metrics;
        metrics.set_resource_ready("KeeperEnsemble", &namespace, &name, None);
        return Ok(Action::await_change());
    }
    let before = ensemble.status.clone().unwrap_or_default();
    let selector = observed::of_ensemble(&name);
    let topology_key = &ensemble.spec.zones.topology_key;
    let mut round = Round {
        observed: Observed::of(&context, &namespace, &selector, topology_key).await?,
        context: &context,
        ensemble: &ensemble,
        about,
        namespace,
        nodes: Vec::new(),
        servers: Servers::default(),
        password: None,
        holds_pods: false,
        doing: Vec::new(),
        wrong: Vec::new(),
    };
    if ensemble.spec.paused {
        let message = "the resource says paused: true; nothing is changed";
        status::refuse(&round, &before, Reason::Paused, message.to_owned()).await?;
        return Ok(Action::requeue(QUIET));
    }
    let verdict = validate::keeper_ensemble(&ensemble, &existing(&round));
    if !verdict.errors.is_empty() {
        let errors = verdict.errors.iter().map(ToString::to_string);
        let message = errors.collect::<Vec<_>>().join("; ");
        let warned = context.warn(&round.about, Reason::Invalid, message.clone());
        warned.await;
        status::refuse(&round, &before, Reason::Invalid, message).await?;
        return Ok(Action::requeue(QUIET));
    }
    for warning in &verdict.warnings {
        let warned = context.warn(&round.about, Reason::Invalid, warning.to_string());
        warned.await;
    }
    let digest = secret::digest(&mut round).await?;
    let sizes = sizes_now(&round);
    round.nodes = keeper::nodes(&ensemble, &sizes);
    round.servers = Servers::of(&round).await;
    let sizes = members::shrink(&mut round, sizes).await?;
    round.nodes = keeper::nodes(&ensemble, &sizes);
    round.apply(&sizes, digest.as_deref(), &before).await?;
    grow(&mut round).await?;
    lost::rebuild(&mut round).await?;
    members::join(&mut round).await?;
    rolling::step(&mut round).await?;
    if round.servers.leader().is_none() && round.doing.is_empty() {
        round.is_doing(Reason::PodsNotReady, "no server leads yet".to_owned());
    }
    let again = match round.doing.is_empty() {
        true if round.holds_pods => disruptions::LOOK_AGAIN,
        true => QUIET,
        false => BUSY,
    };
    status::write(&round, &before).await?;
    Ok(Action::requeue(again))
}

/// Never fewer servers than there are: they have to leave the ensemble first.
fn sizes_now(round: &Round<'_>) -> Sizes {
    let mut sizes = keeper::sizes(round.ensemble);
    let set = names::keeper_stateful_set(round.ensemble);
    let now = round.observed.replicas(&set).unwrap_or(0);
    let size = sizes.of(POOL).max(now);
    sizes.by_pool.insert(POOL.to_owned(), size);
    sizes
}

/// The largest volume.
fn existing(round: &Round<'_>) -> Existing {
    let mut existing = Existing::default();
    let nodes = keeper::nodes(round.ensemble, &keeper::sizes(round.ensemble));
    let claims = nodes.iter().filter_map(|node| {
        let claim = round.observed.claims.get(&names::claim(&node.pod))?;
        volumes::asked(claim)
    });
    let largest = claims.max_by(|one, other| {
        let bytes = |size| quantity::bytes(size).unwrap_or(0.0);
        bytes(one).total_cmp(&bytes(other))
    });
    if let Some(largest) = largest {
        existing.volumes.insert(POOL.to_owned(), largest);
    }
    existing
}

async fn grow(round: &mut Round<'_>) -> Result<(), Error> {
    let size = &round.ensemble.spec.storage.size;
    let claims = round.nodes.iter();
    let claims = claims.map(|node| (names::claim(&node.pod), size.clone()));
    let claims = claims.collect();
    volumes::grow(round, claims).await
}

impl Round<'_> {
    async fn say(&self, reason: Reason, note: impl Into<String>) {
        self.context.say(&self.about, reason, note).await;
    }

    async fn apply(
        &mut self,
        sizes: &Sizes,
        digest: Option<&str>,
        before: &KeeperEnsembleStatus,
    ) -> Result<(), Error> {
        let settings = &self.context.settings;
        let budget = names::keeper_stateful_set(self.ensemble);
        let disruptions = disruptions::judge(self, &budget, self.servers.bear_a_loss()).await?;
        self.holds_pods = disruptions == Disruptions::Forbidden;
        let manifests = keeper::manifests(self.ensemble, settings, sizes, disruptions, digest);
        let manifests: Vec<Value> = manifests.into_iter().map(Manifest::into_value).collect();
        volumes::release_templates(self, &manifests).await?;
        let uid = self.ensemble.uid().unwrap_or_default();
        let owner = Owner {
            namespace: &self.namespace,
            uid: &uid,
            selector: observed::of_ensemble(&self.ensemble.name_any()),
            keeps: BTreeSet::new(),
        };
        let outcome = apply::apply(self.context, &owner, &manifests).await?;
        if let Some(reason) = outcome.new_templates() {
            let text = "the stateful set has a new template".to_owned();
            self.doing.push((reason, text));
        } else if let Some(set) = self.observed.unseen_template() {
            let text = format!("StatefulSet {set} has a new template");
            self.doing.push((Reason::Rolling, text));
        }
        if !outcome.created.is_empty() {
            let note = format!("made {}", outcome.created.join(", "));
            self.say(Reason::Created, note).await;
        }
        if !outcome.deleted.is_empty() {
            let note = format!("deleted {}", outcome.deleted.join(", "));
            self.say(Reason::Deleted, note).await;
        }
        if before.conditions.is_empty() {
            self.is_doing(Reason::Creating, "pods are being made".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
