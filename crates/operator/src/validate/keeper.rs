//! Whether an ensemble can be as its resource says.

use super::config::Origin;
use super::{Existing, Findings, size, variables};
use crate::api::KeeperEnsemble;
use crate::render::{self, keeper, names};

/// Checks an ensemble by itself, and beside what is there already.
#[must_use]
pub fn keeper_ensemble(ensemble: &KeeperEnsemble, existing: &Existing) -> Findings {
    let mut findings = Findings::default();
    let spec = &ensemble.spec;
    size(
        "spec.storage",
        keeper::POOL,
        &spec.storage.size,
        existing,
        &mut findings,
    );
    variables("spec.pod", &spec.pod.env, &mut findings);
    let origin = Origin {
        text: render::zoo_cfg(ensemble, spec.replicas, "cluster.local"),
        is_keeper: true,
        pod: &names::keeper_pod(ensemble, 0),
        fields: vec![("spec.config".to_owned(), &spec.config)],
        listeners: "spec.config",
    };
    origin.judge(&mut findings);
    if spec.replicas == 1 {
        findings.warn(
            "spec.replicas",
            "without the only server nothing is answered: with 3 any one may fail",
        );
    }
    findings
}
