//! How many clients may come in how fast (`BlueThrottle`).
//!
//! A bucket of tokens is filled over time, and a client takes some of them or is turned away. On top
//! of that, clients may be turned away by chance: with a probability that grows as long as the
//! bucket is found empty, and shrinks again when it is found (nearly) full. Under a constant flood
//! that is fairer than the bucket alone, from which those take all who come first after each
//! filling.

use ottla_config::ConnectionThrottle;

/// What a client comes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A new session.
    New,
    /// A session that it has.
    Renewed,
}

/// A bucket of tokens and a probability.
#[derive(Debug)]
pub(crate) struct BlueThrottle {
    config: ConnectionThrottle,
    /// What the bucket holds at most, and how much is put in at a time.
    tokens_max: u64,
    fill_count: u64,
    tokens: u64,
    filled_ms: i64,
    probability: f64,
    judged_ms: i64,
}

impl BlueThrottle {
    pub(crate) fn new(config: &ConnectionThrottle, now_ms: i64) -> Self {
        // What is configured is meant for new sessions.
        let weight = if config.weight_enabled {
            config.global_session_weight
        } else {
            1
        };
        let tokens_max = config.tokens.saturating_mul(weight);
        BlueThrottle {
            config: config.clone(),
            tokens_max,
            fill_count: config.fill_count.saturating_mul(weight),
            tokens: tokens_max,
            filled_ms: now_ms,
            probability: 0.0,
            judged_ms: now_ms,
        }
    }

    /// Takes a client's tokens; how many are missing in the bucket then. `chance` is drawn evenly
    /// from 0 to 1. An error turns the client away.
    pub(crate) fn admit(&mut self, arrival: Arrival, now_ms: i64, chance: f64) -> Result<u64, ()> {
        let needed = match (self.config.weight_enabled, arrival) {
            (false, _) => 1,
            (true, Arrival::New) => self.config.global_session_weight,
            (true, Arrival::Renewed) => self.config.renew_session_weight,
        };
        self.fill(now_ms);
        if let Some(freeze_ms) = self.config.freeze_time_ms {
            self.judge(now_ms, freeze_ms);
            if chance < self.probability {
                return Err(());
            }
        }
        self.tokens = self.tokens.checked_sub(needed).ok_or(())?;
        Ok(self.tokens_max - self.tokens)
    }

    pub(crate) fn drop_probability(&self) -> f64 {
        self.probability
    }

    fn fill(&mut self, now_ms: i64) {
        let every_ms = self.config.fill_time_ms.max(1);
        let passed_ms = u64::try_from(now_ms - self.filled_ms).unwrap_or(0);
        if passed_ms > every_ms {
            let new = u128::from(passed_ms) * u128::from(self.fill_count) / u128::from(every_ms);
            let new = u64::try_from(new).unwrap_or(u64::MAX);
            self.tokens = self.tokens.saturating_add(new).min(self.tokens_max);
            self.filled_ms = now_ms;
        }
    }

    /// Changes the probability, if the last change is long enough ago.
    fn judge(&mut self, now_ms: i64, freeze_ms: u64) {
        let passed_ms = u64::try_from(now_ms - self.judged_ms).unwrap_or(0);
        if passed_ms <= freeze_ms {
            return;
        }
        let missing = self.tokens_max - self.tokens;
        let few = (self.tokens_max as f64 * self.config.decrease_ratio).round();
        if self.tokens == 0 {
            self.probability = (self.probability + self.config.drop_increase).min(1.0);
        } else if missing as f64 <= few {
            self.probability = (self.probability - self.config.drop_decrease).max(0.0);
        }
        self.judged_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(tokens: u64) -> ConnectionThrottle {
        ConnectionThrottle {
            tokens,
            fill_time_ms: 10,
            fill_count: 1,
            freeze_time_ms: None,
            drop_increase: 0.25,
            drop_decrease: 0.25,
            decrease_ratio: 0.0,
            weight_enabled: false,
            global_session_weight: 3,
            renew_session_weight: 2,
        }
    }

    #[test]
    fn a_burst_passes_and_then_as_many_as_the_bucket_is_filled_with() {
        let mut throttle = BlueThrottle::new(&config(3), 0);
        for missing in 1..=3 {
            assert_eq!(throttle.admit(Arrival::New, 0, 0.0), Ok(missing));
        }
        assert_eq!(
            throttle.admit(Arrival::New, 10, 0.0),
            Err(()),
            "only after its time"
        );
        assert_eq!(
            throttle.admit(Arrival::New, 20, 0.0),
            Ok(2),
            "two came, one is taken"
        );
        assert_eq!(throttle.admit(Arrival::New, 20, 0.0), Ok(3));
        assert_eq!(throttle.admit(Arrival::New, 20, 0.0), Err(()));
        assert_eq!(
            throttle.admit(Arrival::New, 1_000_000, 0.0),
            Ok(1),
            "no more than it holds"
        );
    }

    #[test]
    fn with_weights_a_new_session_costs_more_than_one_that_comes_back() {
        let mut config = config(2);
        config.weight_enabled = true;
        let mut throttle = BlueThrottle::new(&config, 0);
        assert_eq!(throttle.admit(Arrival::New, 0, 0.0), Ok(3));
        assert_eq!(throttle.admit(Arrival::Renewed, 0, 0.0), Ok(5));
        assert_eq!(throttle.admit(Arrival::Renewed, 0, 0.0), Err(()));
        assert_eq!(
            throttle.admit(Arrival::New, 20, 0.0),
            Ok(3),
            "six were filled in"
        );
    }

    #[test]
    fn the_probability_grows_while_the_bucket_is_empty_and_shrinks_when_it_is_full() {
        let mut config = config(1);
        config.freeze_time_ms = Some(100);
        config.fill_time_ms = 100_000;
        let mut throttle = BlueThrottle::new(&config, 0);
        assert!(throttle.admit(Arrival::New, 0, 0.0).is_ok());
        for (now_ms, wanted) in [
            (101, 0.25),
            (150, 0.25),
            (202, 0.5),
            (303, 0.75),
            (404, 1.0),
            (505, 1.0),
        ] {
            assert!(throttle.admit(Arrival::New, now_ms, 0.9).is_err());
            assert!(
                (throttle.drop_probability() - wanted).abs() < 1e-9,
                "at {now_ms} ms"
            );
        }
        // The bucket is full again: with a chance that is not below 0.75 the client comes in.
        assert_eq!(throttle.admit(Arrival::New, 200_000, 0.8), Ok(1));
        assert!((throttle.drop_probability() - 0.75).abs() < 1e-9);
    }

    #[test]
    fn clocks_that_jump_and_numbers_without_measure_do_no_harm() {
        let mut config = config(u64::MAX);
        config.fill_count = u64::MAX;
        config.weight_enabled = true;
        let mut throttle = BlueThrottle::new(&config, i64::MAX);
        assert!(throttle.admit(Arrival::New, 0, 0.0).is_ok());
        assert!(throttle.admit(Arrival::New, i64::MAX, 0.0).is_ok());
    }
}
