//! Durations in buckets that grow with them: a few kilobytes, however many are counted.

use std::time::Duration;

/// Each power of two is cut into so many buckets, so that a duration is told within 1.6 %.
const STEPS: u64 = 64;

/// Counted durations, in microseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Histogram {
    pub(super) fn add(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let index = bucket(us);
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
        }
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The longest, in milliseconds.
    pub(super) fn max_ms(&self) -> f64 {
        self.max_us as f64 / 1000.0
    }

    /// What so many in a thousand do not exceed, in milliseconds.
    pub(super) fn per_mille_ms(&self, per_mille: u64) -> f64 {
        let rank = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_us(index).min(self.max_us) as f64 / 1000.0;
            }
        }
        self.max_ms()
    }
}

fn bucket(us: u64) -> usize {
    // Below 2 * STEPS each microsecond has a bucket of its own.
    let shift = u64::from((us / STEPS).checked_ilog2().unwrap_or(0));
    let index = shift * STEPS + (us >> shift);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The longest duration in a bucket.
fn upper_us(index: usize) -> u64 {
    let index = index as u64;
    let shift = (index / STEPS).saturating_sub(1);
    let lower = (index - shift * STEPS) << shift;
    lower + ((1_u64 << shift) - 1)
}
