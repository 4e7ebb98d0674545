//! Histograms as bars of text.

use std::collections::BTreeMap;
use std::fmt;

use crate::Histogram;
use crate::histogram::bounds;

/// How long the longest bar is, in characters.
const BAR_LENGTH: u64 = 40;

/// One for each histogram, and from the front again when there are more.
const FILLS: [char; 6] = ['#', '=', '+', '-', 'o', '.'];

/// Bars of some histograms, one line for each bucket, with the histograms' shares behind each other.
#[derive(Clone, Debug)]
pub struct AsciiChart<T = ()> {
    series: Vec<(String, Histogram<T>)>,
}

impl<T> Default for AsciiChart<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> AsciiChart<T> {
    /// A chart of nothing.
    pub fn new() -> Self {
        Self { series: Vec::new() }
    }

    /// With a histogram more.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "openraft knows it by this name"
    )]
    pub fn add(mut self, name: &str, histogram: Histogram<T>) -> Self {
        self.series.push((name.to_owned(), histogram));
        self
    }

    /// What the chart looks like: names, bars, and each histogram's percentiles.
    pub fn detailed(&self) -> impl fmt::Display {
        Detailed(self)
    }

    /// For each bucket that has values, the counts of all histograms.
    fn rows(&self) -> BTreeMap<usize, Vec<u64>> {
        let mut rows = BTreeMap::new();
        for (at, (_, histogram)) in self.series.iter().enumerate() {
            for (bucket, count) in histogram.filled() {
                let row = rows.entry(bucket);
                let row: &mut Vec<u64> = row.or_insert_with(|| vec![0; self.series.len()]);
                row[at] = count;
            }
        }
        rows
    }

    fn named(&self) -> impl Iterator<Item = (char, &str, &Histogram<T>)> {
        let fills = FILLS.iter().cycle();
        let series = self.series.iter().zip(fills);
        series.map(|((name, histogram), fill)| (*fill, name.as_str(), histogram))
    }
}

struct Detailed<'a, T>(&'a AsciiChart<T>);

impl<T> fmt::Display for Detailed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chart = self.0;
        let rows = chart.rows();
        let longest = rows.values().map(|row| sum(row)).max().unwrap_or(0);
        for (bucket, row) in &rows {
            let (least, greatest) = bounds(*bucket);
            let range = format!("{least}..{greatest}");
            let mut bar = String::new();
            for ((fill, ..), count) in chart.named().zip(row) {
                let share = u128::from(*count) * u128::from(BAR_LENGTH);
                // What is there is seen.
                let length = share.div_ceil(longest.max(1)) as usize;
                bar.extend(std::iter::repeat_n(fill, length));
            }
            writeln!(f, "{range:>20} {bar} {}", sum(row))?;
        }
        for (fill, name, histogram) in chart.named() {
            writeln!(f, "{fill} {name} {}", histogram.percentile_stats())?;
        }
        Ok(())
    }
}

fn sum(row: &[u64]) -> u128 {
    row.iter().map(|count| u128::from(*count)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_of_two_histograms_stand_behind_each_other() {
        let mut fast: Histogram = Histogram::new();
        fast.record_n(3, 30);
        let mut slow = Histogram::new();
        slow.record_n(3, 10);
        slow.record_n(100, 1);
        let shown = AsciiChart::new()
            .add("fast", fast)
            .add("slow", slow)
            .detailed()
            .to_string();
        let lines: Vec<&str> = shown.lines().map(str::trim_start).collect();
        let bar = format!("3..3 {}{} 40", "#".repeat(30), "=".repeat(10));
        assert_eq!(lines[0], bar);
        assert_eq!(lines[1], "96..103 = 1");
        assert!(lines[2].starts_with("# fast [samples: 30"), "{shown}");
        assert!(lines[3].starts_with("= slow [samples: 11"), "{shown}");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn a_chart_of_nothing_is_empty() {
        assert_eq!(AsciiChart::<()>::default().detailed().to_string(), "");
        let empty = AsciiChart::new().add("idle", Histogram::<()>::new());
        assert_eq!(empty.detailed().to_string().lines().count(), 1);
    }
}
