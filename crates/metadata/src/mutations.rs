//! How much a client may still change (KIP-599).

use ottla_model::ErrorCode;
use serde::{Deserialize, Serialize};

use crate::command::Refusal;

/// The partitions that a client may still create or delete.
///
/// As in Kafka, who has anything left gets the whole of the next topic, and owes the difference:
/// a topic larger than all that one can ever have could not be created otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MutationAllowance {
    /// None is no limit; below zero nothing goes any more.
    left: Option<i64>,
}

impl MutationAllowance {
    /// No limit.
    pub const UNLIMITED: MutationAllowance = MutationAllowance { left: None };

    /// What a token bucket holds; below zero, it is overdrawn.
    #[must_use]
    pub fn of_tokens(tokens: f64) -> Self {
        MutationAllowance {
            // Partitions are whole: half a token more or less lets no other number of them pass.
            left: Some(tokens.floor() as i64),
        }
    }

    /// Takes what one topic needs, or refuses it.
    pub(crate) fn take(&mut self, partitions: usize) -> Result<(), Refusal> {
        let Some(left) = &mut self.left else {
            return Ok(());
        };
        if *left < 0 {
            return Err(Refusal::new(
                ErrorCode::ThrottlingQuotaExceeded,
                "The throttling quota has been exceeded: controller_mutation_rate limits how many \
                 partitions this client creates and deletes. Try again after throttle_time_ms.",
            ));
        }
        *left = left.saturating_sub_unsigned(partitions as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_topic_may_overdraw_and_the_next_is_refused() {
        let mut allowance = MutationAllowance::of_tokens(2.5);
        assert!(allowance.take(2).is_ok());
        assert!(
            allowance.take(100).is_ok(),
            "nothing is left, but nothing is owed"
        );
        let refusal = allowance.take(1).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::ThrottlingQuotaExceeded);
        assert!(MutationAllowance::of_tokens(-0.5).take(1).is_err());
        let mut unlimited = MutationAllowance::UNLIMITED;
        assert!((0..100).all(|_| unlimited.take(usize::MAX).is_ok()));
    }
}
