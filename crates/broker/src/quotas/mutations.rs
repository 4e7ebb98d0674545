//! The quota of CreateTopics, DeleteTopics and CreatePartitions (KIP-599).

use std::sync::Arc;

use ottla_metadata::{MutationAllowance, Refusal};
use ottla_model::{ErrorCode, QuotaKey};

use super::Charge;
use crate::context::Ctx;

/// One request's part of the quota.
///
/// The partitions that it asks for are taken when it begins, so that requests that come at the same
/// time do not all find the same tokens, and what was not used is given back at the end.
pub(crate) struct MutationQuota {
    charge: Option<Arc<Charge>>,
    is_strict: bool,
    taken: usize,
    allowance: MutationAllowance,
}

impl MutationQuota {
    /// Takes what a request may need. From version `strict_since` on, who owes something is refused
    /// with `THROTTLING_QUOTA_EXCEEDED`; older clients do not know that code and only pause.
    pub(crate) fn take(ctx: &Ctx, strict_since: i16, partitions: usize) -> Self {
        let mut quota = MutationQuota {
            charge: ctx.charge.clone(),
            is_strict: ctx.version >= strict_since,
            taken: 0,
            allowance: MutationAllowance::UNLIMITED,
        };
        let Some(charge) = &ctx.charge else {
            return quota;
        };
        let ((user, client_id), now_ms) = (charge.client(), charge.now_ms());
        let quotas = &charge.broker().quotas;
        let is_strict = quota.is_strict;
        let taken = quotas.with_mutations(user, client_id, now_ms, |bucket, window, limit| {
            let tokens = bucket.tokens(window, limit.bound, now_ms);
            let taken = if is_strict && tokens < 0.0 {
                0
            } else {
                partitions
            };
            bucket.take(window, limit.bound, taken as f64, now_ms);
            (taken, tokens)
        });
        if let Some((taken, tokens)) = taken {
            quota.taken = taken;
            if is_strict {
                quota.allowance = MutationAllowance::of_tokens(tokens);
            }
        }
        quota
    }

    /// What the controller is told.
    pub(crate) fn allowance(&self) -> MutationAllowance {
        self.allowance
    }

    /// Gives back what was not used, and notes the pause: for who was refused something, and for
    /// old clients also when they owe something now.
    pub(crate) fn settle(self, changed: usize, any_exceeded: bool) {
        let Some(charge) = &self.charge else {
            return;
        };
        let ((user, client_id), now_ms) = (charge.client(), charge.now_ms());
        let unused = self.taken as f64 - changed as f64;
        let quotas = &charge.broker().quotas;
        let ms = quotas.with_mutations(user, client_id, now_ms, |bucket, window, limit| {
            bucket.take(window, limit.bound, -unused, now_ms);
            bucket.throttle_ms(window, limit.bound, now_ms)
        });
        if any_exceeded || !self.is_strict {
            // Who is refused is told to pause, be it for a part of a millisecond.
            let least = i32::from(any_exceeded);
            let ms = ms.unwrap_or(0).max(least);
            charge.pause(QuotaKey::ControllerMutationRate, ms);
        }
    }
}

/// Whether the quota is why something was refused.
pub(crate) fn is_exceeded<T>(outcome: &Result<T, Refusal>) -> bool {
    let refusal = outcome.as_ref().err();
    refusal.is_some_and(|refusal| refusal.code == ErrorCode::ThrottlingQuotaExceeded)
}
