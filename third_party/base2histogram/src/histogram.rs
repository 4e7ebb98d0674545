//! Counts of values in buckets that widen with the values.
//!
//! ```text
//! value     0 1 2 … 7 | 8 9 … 15 | 16-17 18-19 … 30-31 | 32-35 36-39 … 60-63 | …
//! bucket    0 1 2 … 7 | 8 9 … 15 |    16    17 …    23 |    24    25 …    31 | …
//! ```
//!
//! Each doubling has eight buckets of equal width, so that a bucket is at most an eighth as wide as its values are great.
//! A bucket's number is the place of a value's highest bit and the three bits behind it: two shifts, and no table.

use std::marker::PhantomData;

use crate::PercentileStats;

/// How many bits of a value behind its highest one tell its bucket.
const PRECISION_BITS: u32 = 3;

/// The buckets of each doubling.
const BUCKETS_PER_DOUBLING: usize = 1 << PRECISION_BITS;

/// Counts of values.
///
/// It takes no memory beyond itself until something is recorded, then eight bytes for each bucket up to that of the greatest value: at most
/// 4 KiB. The parameter stands where the original has data of time slots, which openraft does not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    /// By bucket; the last one is never 0, so that equal histograms have equal lists.
    counts: Vec<u64>,
    of: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    /// An empty one.
    pub fn new() -> Self {
        let counts = Vec::new();
        Self {
            counts,
            of: PhantomData,
        }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value that was seen so many times.
    pub fn record_n(&mut self, value: u64, times: u64) {
        if times == 0 {
            return;
        }
        let bucket = bucket_of(value);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(times);
        }
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// The percentiles that one asks for.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.at_permille(1),
            p1: self.at_permille(10),
            p5: self.at_permille(50),
            p10: self.at_permille(100),
            p50: self.at_permille(500),
            p90: self.at_permille(900),
            p99: self.at_permille(990),
            p99_9: self.at_permille(999),
        }
    }

    /// The middle of the bucket in which that share of all values, in thousandths, is reached; 0 when there are none.
    fn at_permille(&self, permille: u64) -> u64 {
        let rank = (u128::from(self.total()) * u128::from(permille)).div_ceil(1000);
        let mut seen = 0;
        let reached = self.counts.iter().position(|count| {
            seen += u128::from(*count);
            seen > 0 && seen >= rank
        });
        reached.map_or(0, |bucket| {
            let (least, greatest) = bounds(bucket);
            least + (greatest - least) / 2
        })
    }

    /// The buckets that have values: their numbers and counts.
    pub(crate) fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        let all = self.counts.iter().copied().enumerate();
        all.filter(|(_, count)| *count > 0)
    }
}

/// The bucket that a value is counted in.
fn bucket_of(value: u64) -> usize {
    let Some(shift) = value
        .checked_ilog2()
        .and_then(|highest| highest.checked_sub(PRECISION_BITS))
    else {
        return value as usize;
    };
    // The highest bit is still in the shifted value, and counts as one doubling more.
    shift as usize * BUCKETS_PER_DOUBLING + (value >> shift) as usize
}

/// The least and the greatest value of a bucket.
pub(crate) fn bounds(bucket: usize) -> (u64, u64) {
    let doubling = bucket / BUCKETS_PER_DOUBLING;
    let Some(shift) = doubling.checked_sub(1) else {
        return (bucket as u64, bucket as u64);
    };
    let leading = (BUCKETS_PER_DOUBLING + bucket % BUCKETS_PER_DOUBLING) as u64;
    let least = leading << shift;
    (least, least + ((1 << shift) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::new();
        for value in values {
            histogram.record(value);
        }
        histogram
    }

    #[test]
    fn buckets_follow_each_other_without_gaps_up_to_the_greatest_value() {
        let mut next = 0;
        for bucket in 0..=bucket_of(u64::MAX) {
            let (least, greatest) = bounds(bucket);
            assert_eq!(least, next, "bucket {bucket}");
            assert_eq!(bucket_of(least), bucket);
            assert_eq!(bucket_of(greatest), bucket);
            assert!((greatest - least) <= least / BUCKETS_PER_DOUBLING as u64);
            next = greatest.wrapping_add(1);
        }
        assert_eq!(next, 0, "the last bucket ends with the greatest value");
    }

    #[test]
    fn nothing_recorded_takes_no_memory_and_has_no_percentiles() {
        let mut empty: Histogram = Histogram::default();
        empty.record_n(1000, 0);
        assert_eq!(empty.counts.capacity(), 0);
        assert_eq!(empty, Histogram::new());
        assert_eq!(empty.total(), 0);
        assert_eq!(empty.percentile_stats(), PercentileStats::default());
    }

    #[test]
    fn any_value_is_counted_in_four_kibibytes() {
        let histogram = histogram([0, 1, u64::MAX, u64::MAX]);
        assert_eq!(histogram.total(), 4);
        assert!(histogram.counts.len() * size_of::<u64>() <= 4096);
        assert!(histogram.percentile_stats().p99 > u64::MAX / 16 * 15);
    }

    #[test]
    fn small_values_are_exact() {
        let stats = histogram((0..10).flat_map(|n| [n; 10])).percentile_stats();
        assert_eq!(stats.samples, 100);
        assert_eq!((stats.p0_1, stats.p1, stats.p5, stats.p10), (0, 0, 0, 0));
        assert_eq!((stats.p50, stats.p90, stats.p99, stats.p99_9), (4, 8, 9, 9));
    }

    #[test]
    fn great_values_are_within_an_eighth() {
        let stats = histogram(1..=100_000).percentile_stats();
        let pairs = [
            (stats.p0_1, 100),
            (stats.p1, 1_000),
            (stats.p5, 5_000),
            (stats.p10, 10_000),
            (stats.p50, 50_000),
            (stats.p90, 90_000),
            (stats.p99, 99_000),
            (stats.p99_9, 99_900),
        ];
        for (told, truth) in pairs {
            assert!(told.abs_diff(truth) <= truth / 8, "{told} for {truth}");
        }
    }

    #[test]
    fn many_times_at_once_are_as_many_times_one_by_one() {
        let mut at_once: Histogram = Histogram::new();
        at_once.record_n(700, 3);
        assert_eq!(at_once, histogram([700, 700, 700]));
        assert_ne!(at_once, histogram([700, 700]));
        at_once.record_n(700, u64::MAX);
        assert_eq!(at_once.total(), u64::MAX, "a full count stays full");
    }
}
