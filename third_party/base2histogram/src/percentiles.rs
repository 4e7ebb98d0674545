//! What a histogram tells in one line.

use std::fmt;

/// Percentiles of recorded values, each within an eighth of the true one; zeros when nothing was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many values were recorded
    pub samples: u64,
    /// One value in a thousand is no greater
    pub p0_1: u64,
    /// One in a hundred is no greater
    pub p1: u64,
    /// One in twenty is no greater
    pub p5: u64,
    /// One in ten is no greater
    pub p10: u64,
    /// The median
    pub p50: u64,
    /// Nine of ten are no greater
    pub p90: u64,
    /// 99 of a hundred are no greater
    pub p99: u64,
    /// 999 of a thousand are no greater
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            ("P0.1", self.p0_1),
            ("P1", self.p1),
            ("P5", self.p5),
            ("P10", self.p10),
            ("P50", self.p50),
            ("P90", self.p90),
            ("P99", self.p99),
            ("P99.9", self.p99_9),
        ];
        write!(f, "[samples: {}", self.samples)?;
        for (name, value) in named {
            write!(f, ", {name}: {value}")?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_percentiles_are_shown_in_order() {
        let stats = PercentileStats {
            samples: 9,
            p50: 4,
            p99_9: 7,
            ..PercentileStats::default()
        };
        let shown = "[samples: 9, P0.1: 0, P1: 0, P5: 0, P10: 0, P50: 4, P90: 0, P99: 0, P99.9: 7]";
        assert_eq!(stats.to_string(), shown);
    }
}
