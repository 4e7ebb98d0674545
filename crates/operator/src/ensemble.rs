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
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use serde_json::Value;

use crate::api::{KeeperEnsemble, Reason};
use crate::apply::{self, Owner};
use crate::context::Context;
use crate::disruptions;
use crate::error::Error;
use crate::observed::{self, Observed};
use crate::progress::Progress;
use crate::quantity;
use crate::render::keeper::{self, POOL};
use crate::render::{Disruptions, Manifest, Sizes, names};
use crate::status::{refuse_invalid, refuse_paused};
use crate::validate::{self, Existing};
use crate::volumes;
use servers::Servers;

/// What one reconciliation has found and done.
struct Round<'a> {
    progress: Progress<'a>,
    ensemble: &'a KeeperEnsemble,
    servers: Servers,
    /// The password of those who may change the members, if this operator has one.
    password: Option<String>,
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
    ensemble: Arc<KeeperEnsemble>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let namespace = ensemble.namespace().unwrap_or_default();
    let name = ensemble.name_any();
    if ensemble.metadata.deletion_timestamp.is_some() {
        // What it owns goes with it; volumes stay.
        context.forget(&ensemble.uid().unwrap_or_default());
        let metrics = &context.metrics;
        metrics.set_resource_ready("KeeperEnsemble", &namespace, &name, None);
        return Ok(Action::await_change());
    }
    if ensemble.spec.paused {
        return refuse_paused(&context, &*ensemble).await;
    }
    let selector = observed::of_ensemble(&name);
    let topology_key = &ensemble.spec.zones.topology_key;
    let observed = Observed::of(&context, &namespace, &selector, topology_key).await?;
    let mut round = Round {
        progress: Progress::new(&context, ensemble.object_ref(&()), observed),
        ensemble: &ensemble,
        servers: Servers::default(),
        password: None,
    };
    let verdict = validate::keeper_ensemble(&ensemble, &existing(&round));
    if let Some(refused) = refuse_invalid(&context, &*ensemble, &verdict).await? {
        return Ok(refused);
    }
    let digest = secret::digest(&mut round).await?;
    let sizes = sizes_now(&round);
    round.nodes = keeper::nodes(&ensemble, &sizes);
    round.servers = Servers::of(&round).await;
    let sizes = members::shrink(&mut round, sizes).await?;
    round.nodes = keeper::nodes(&ensemble, &sizes);
    round.apply(&sizes, digest.as_deref()).await?;
    grow(&mut round).await?;
    lost::rebuild(&mut round).await?;
    members::join(&mut round).await?;
    rolling::step(&mut round).await?;
    round.see_off();
    if round.servers.leader().is_none() && round.doing.is_empty() {
        round.doing(Reason::PodsNotReady, "no server leads yet".to_owned());
    }
    status::write(&round).await?;
    Ok(round.again())
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
    async fn apply(&mut self, sizes: &Sizes, digest: Option<&str>) -> Result<(), Error> {
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
        self.applied(&outcome).await;
        if self.ensemble.status.is_none() {
            self.doing(Reason::Creating, "pods are being made".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
