//! What is counted, with atomics alone: a request costs a handful of additions.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Values below this have a bucket of their own; above, each doubling is cut into as many buckets.
const STEPS: u64 = 16;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Larger values count as this one: 19 hours in microseconds.
const VALUE_MAX: u64 = (1 << 36) - 1;
const BUCKETS: usize = bucket_of(VALUE_MAX) + 1;

/// A number that only grows, until everything is reset.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The number before this one more was counted.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The newest size of something, the smallest and the largest (`BufferStats`).
#[derive(Debug)]
pub(crate) struct Sizes {
    last: AtomicI64,
    min: AtomicI64,
    max: AtomicI64,
}

/// What was no size yet.
const NO_SIZE: i64 = -1;

impl Default for Sizes {
    fn default() -> Self {
        let none = || AtomicI64::new(NO_SIZE);
        Sizes {
            last: none(),
            min: none(),
            max: none(),
        }
    }
}

impl Sizes {
    pub(crate) fn add(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.last.store(bytes, Ordering::Relaxed);
        if bytes > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(bytes, Ordering::Relaxed);
        }
        let min = self.min.load(Ordering::Relaxed);
        if min == NO_SIZE || bytes < min {
            let smaller = |known| (known == NO_SIZE || bytes < known).then_some(bytes);
            // Another one may have been smaller in the meantime, and stays.
            let _: Result<i64, i64> =
                self.min
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, smaller);
        }
    }

    pub(crate) fn read(&self) -> SizesRead {
        SizesRead {
            last: self.last.load(Ordering::Relaxed),
            min: self.min.load(Ordering::Relaxed),
            max: self.max.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn reset(&self) {
        for size in [&self.last, &self.min, &self.max] {
            size.store(NO_SIZE, Ordering::Relaxed);
        }
    }
}

/// Sizes in bytes; -1 while there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizesRead {
    /// The newest one.
    pub last: i64,
    /// The smallest one.
    pub min: i64,
    /// The largest one.
    pub max: i64,
}

impl Default for SizesRead {
    fn default() -> Self {
        Sizes::default().read()
    }
}

/// How values are spread: their number, sum, least and greatest one, and percentiles to within 6 %.
///
/// The number is that of the buckets together, so that a value costs two additions.
#[derive(Debug)]
pub(crate) struct Summary {
    total: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

impl Default for Summary {
    fn default() -> Self {
        Summary {
            total: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
            buckets: std::iter::repeat_with(AtomicU64::default)
                .take(BUCKETS)
                .collect(),
        }
    }
}

const fn bucket_of(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let doublings = value.ilog2() - STEP_BITS;
    let step = (value >> doublings) & (STEPS - 1);
    (doublings as usize + 1) * STEPS as usize + step as usize
}

/// The value in the middle of a bucket.
fn middle_of(bucket: usize) -> u64 {
    let (bucket, steps) = (bucket as u64, STEPS);
    if bucket < steps {
        return bucket;
    }
    let doublings = bucket / steps - 1;
    let width = 1 << doublings;
    ((steps + bucket % steps) << doublings) + width / 2
}

impl Summary {
    pub(crate) fn add(&self, value: u64) {
        let value = value.min(VALUE_MAX);
        self.buckets[bucket_of(value)].fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(value, Ordering::Relaxed);
        if value < self.min.load(Ordering::Relaxed) {
            self.min.fetch_min(value, Ordering::Relaxed);
        }
        if value > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// Adds a duration in microseconds.
    pub(crate) fn took(&self, duration: Duration) {
        self.add(micros(duration));
    }

    pub(crate) fn read(&self) -> SummaryRead {
        let buckets = self.buckets.iter().map(|b| b.load(Ordering::Relaxed));
        let buckets: Vec<u64> = buckets.collect();
        let count: u64 = buckets.iter().sum();
        if count == 0 {
            return SummaryRead::default();
        }
        SummaryRead {
            count,
            total: self.total.load(Ordering::Relaxed),
            min: self.min.load(Ordering::Relaxed),
            max: self.max.load(Ordering::Relaxed),
            buckets,
        }
    }

    pub(crate) fn reset(&self) {
        self.buckets
            .iter()
            .for_each(|b| b.store(0, Ordering::Relaxed));
        self.total.store(0, Ordering::Relaxed);
        self.min.store(u64::MAX, Ordering::Relaxed);
        self.max.store(0, Ordering::Relaxed);
    }
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What a summary held at one moment, in the unit of its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SummaryRead {
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub total: u64,
    /// The least one; 0 if there was none.
    pub min: u64,
    /// The greatest one; 0 if there was none.
    pub max: u64,
    /// How many fell into which bucket; empty if there was none.
    buckets: Vec<u64>,
}

impl SummaryRead {
    /// The mean; 0 if there was no value.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match self.count {
            0 => 0.0,
            count => self.total as f64 / count as f64,
        }
    }

    /// The value that the given part of all (0.5 is the median) does not exceed.
    #[must_use]
    pub fn quantile(&self, part: f64) -> u64 {
        let rank = (self.count as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return middle_of(bucket).clamp(self.min, self.max.max(self.min));
            }
        }
        self.max
    }

    /// Both together.
    #[must_use]
    pub fn merged(&self, other: &SummaryRead) -> SummaryRead {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { other } else { self }.clone();
        }
        let buckets = self.buckets.iter().zip(&other.buckets);
        SummaryRead {
            count: self.count + other.count,
            total: self.total.saturating_add(other.total),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            buckets: buckets.map(|(one, other)| one + other).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_near_the_middle_of_its_bucket() {
        for value in (0..1_000).chain((10..36).map(|bits| (1 << bits) + 12_345 % (1 << bits))) {
            let middle = middle_of(bucket_of(value));
            assert!(
                middle.abs_diff(value) * 16 <= value,
                "{value} is counted as {middle}"
            );
        }
        assert_eq!(bucket_of(VALUE_MAX), BUCKETS - 1);
    }

    #[test]
    fn buckets_ascend_without_holes() {
        let mut last = 0;
        for value in 0..100_000 {
            let bucket = bucket_of(value);
            assert!(
                bucket == last || bucket == last + 1,
                "{value} falls into {bucket}"
            );
            last = bucket;
        }
    }

    #[test]
    fn a_summary_tells_number_mean_extremes_and_percentiles() {
        let summary = Summary::default();
        assert_eq!(summary.read(), SummaryRead::default());
        for value in 1..=1_000 {
            summary.add(value);
        }
        let read = summary.read();
        assert_eq!(
            (read.count, read.total, read.min, read.max),
            (1_000, 500_500, 1, 1_000)
        );
        assert!((read.mean() - 500.5).abs() < 1e-9);
        for (part, wanted) in [(0.5, 500_u64), (0.95, 950), (0.99, 990), (0.999, 999)] {
            let told = read.quantile(part);
            assert!(told.abs_diff(wanted) * 16 <= wanted, "{part}: {told}");
        }
        assert_eq!(read.quantile(1.0), 1_000.min(middle_of(bucket_of(1_000))));
        summary.reset();
        assert_eq!(summary.read(), SummaryRead::default());
    }

    #[test]
    fn a_value_beyond_all_bounds_is_counted_as_the_greatest() {
        let summary = Summary::default();
        summary.add(u64::MAX);
        assert_eq!(summary.read().max, VALUE_MAX);
        assert_eq!(summary.read().quantile(0.5), VALUE_MAX);
    }

    #[test]
    fn summaries_merge_into_what_one_would_have_told() {
        let (one, other, both) = (Summary::default(), Summary::default(), Summary::default());
        for value in [5, 900, 40_000] {
            one.add(value);
            both.add(value);
        }
        assert_eq!(one.read().merged(&other.read()), both.read());
        for value in [1, 70_000] {
            other.add(value);
            both.add(value);
        }
        assert_eq!(one.read().merged(&other.read()), both.read());
    }

    #[test]
    fn sizes_tell_the_last_the_least_and_the_greatest() {
        let sizes = Sizes::default();
        assert_eq!(
            sizes.read(),
            SizesRead {
                last: -1,
                min: -1,
                max: -1
            }
        );
        for bytes in [20, 16, 80, 40] {
            sizes.add(bytes);
        }
        assert_eq!(
            sizes.read(),
            SizesRead {
                last: 40,
                min: 16,
                max: 80
            }
        );
        sizes.reset();
        assert_eq!(sizes.read(), SizesRead::default());
    }

    #[test]
    fn numbers_that_are_added_at_once_are_all_counted() {
        let (summary, counter) = (Summary::default(), Counter::default());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (summary, counter) = (&summary, &counter);
                scope.spawn(move || {
                    for value in 0..5_000 {
                        summary.add(value + thread);
                        counter.add(2);
                    }
                });
            }
        });
        assert_eq!(summary.read().count, 20_000);
        assert_eq!((summary.read().min, summary.read().max), (0, 5_002));
        assert_eq!(counter.get(), 40_000);
    }
}
