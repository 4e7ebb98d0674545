//! Whether pods may be evicted: budgets follow what clusters and ensembles bear at the moment.
//!
//! Kubernetes counts pods that are ready. A pod is ready before its replicas are in sync again, and one
//! can fall behind while all are ready: then the next eviction would be one too many, and the budget
//! allows none. The operator's own restarts do not go by budgets: it looks at the same state itself.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;
use ottla_runtime::Instant;
use parking_lot::Mutex;

use crate::error::{Asked, Error};
use crate::progress::Progress;
use crate::render::Disruptions;

/// While none is allowed, how long until the next look: whoever drains a node waits for it.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// All has to be well for so long before evictions are allowed again. Between two restarts of a roll
/// they are not, so that a budget changes once with each of its ends and not with each pod.
const CALM: Duration = Duration::from_secs(10);

/// A resource's uid and its budget's name.
type Key = (String, String);

/// When something was in the way of evictions last, by budget. An operator that begins anew does not know,
/// and at most allows evictions ten seconds earlier.
#[derive(Default)]
pub(crate) struct Troubles(Mutex<HashMap<Key, Instant>>);

impl Troubles {
    fn judge(&self, key: Key, bears_a_loss: bool, now: Instant) -> Disruptions {
        let mut known = self.0.lock();
        if !bears_a_loss {
            known.insert(key, now);
            return Disruptions::Forbidden;
        }
        match known.get(&key) {
            Some(last) if now.duration_since(*last) < CALM => Disruptions::Forbidden,
            _ => {
                known.remove(&key);
                Disruptions::Allowed
            }
        }
    }

    pub(crate) fn forget(&self, uid: &str) {
        self.0.lock().retain(|(owner, _), _| owner != uid);
    }
}

/// What a budget shall say now. Where nobody knows what can be borne, because nothing answers, it stays
/// as it is.
pub(crate) async fn judge(
    round: &Progress<'_>,
    budget: &str,
    bears_a_loss: Option<bool>,
) -> Result<Disruptions, Error> {
    let context = round.context;
    if let Some(bears_a_loss) = bears_a_loss {
        let uid = round.about.uid.clone().unwrap_or_default();
        let now = context.runtime.clock.instant();
        let key = (uid, budget.to_owned());
        return Ok(context.troubles.judge(key, bears_a_loss, now));
    }
    let budgets: Api<PodDisruptionBudget> =
        Api::namespaced(context.client.clone(), &round.namespace);
    let present = budgets.get_opt(budget).await;
    let present = present.when(|| format!("asking for PodDisruptionBudget {budget}"))?;
    let allowed = present.and_then(|present| present.spec?.max_unavailable);
    Ok(match allowed {
        Some(IntOrString::Int(0)) => Disruptions::Forbidden,
        _ => Disruptions::Allowed,
    })
}

/// Whether a quorum still has a majority after one more loss. One that has all its voters bears what
/// its size bears, which the budget says.
pub(crate) fn quorum_bears_a_loss(voters: usize, in_step: usize) -> bool {
    in_step >= voters || in_step.saturating_sub(1) > voters / 2
}

#[cfg(test)]
mod tests {
    use ottla_runtime::Runtime;

    use super::*;

    #[tokio::test]
    async fn evictions_are_forbidden_at_once_and_allowed_after_a_while() {
        let troubles = Troubles::default();
        let begin = Runtime::real().clock.instant();
        let judge = |bears, after| {
            let key = ("uid".to_owned(), "shop-broker".to_owned());
            troubles.judge(key, bears, begin + Duration::from_secs(after))
        };
        assert_eq!(judge(true, 0), Disruptions::Allowed);
        assert_eq!(judge(false, 1), Disruptions::Forbidden);
        // Between two pods of a roll.
        assert_eq!(judge(true, 3), Disruptions::Forbidden);
        assert_eq!(judge(false, 4), Disruptions::Forbidden);
        assert_eq!(judge(true, 13), Disruptions::Forbidden);
        assert_eq!(judge(true, 14), Disruptions::Allowed);
        assert_eq!(judge(true, 15), Disruptions::Allowed);
    }

    #[test]
    fn a_quorum_that_lacks_one_bears_no_loss_unless_it_is_large() {
        assert!(quorum_bears_a_loss(1, 1));
        assert!(quorum_bears_a_loss(3, 3));
        assert!(!quorum_bears_a_loss(3, 2));
        assert!(quorum_bears_a_loss(5, 4));
        assert!(!quorum_bears_a_loss(5, 3));
        assert!(!quorum_bears_a_loss(3, 0));
    }
}
