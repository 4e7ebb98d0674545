use std::collections::BTreeSet;
use std::time::Duration;

use ottla_runtime::Runtime;

use super::histogram::Histogram;
use super::produce::due;
use super::summary::{Figures, Summary};
use super::{Length, Values};
use crate::output::{OutputFormat, render};

#[test]
fn percentiles_are_right_within_two_percent_and_never_above_the_longest() {
    let mut histogram = Histogram::default();
    for us in 1..=100_000 {
        histogram.add(Duration::from_micros(us));
    }
    for (per_mille, exact_ms) in [(500, 50.0), (950, 95.0), (990, 99.0), (999, 99.9)] {
        let told = histogram.per_mille_ms(per_mille);
        assert!(
            (told - exact_ms).abs() / exact_ms < 0.02,
            "{per_mille}: {told}"
        );
    }
    assert_eq!(histogram.per_mille_ms(1000), 100.0);
    assert_eq!(histogram.max_ms(), 100.0);
}

#[test]
fn short_durations_are_told_exactly_and_the_longest_one_fits() {
    for us in [0, 1, 63, 64, 65, 127] {
        let mut histogram = Histogram::default();
        histogram.add(Duration::from_micros(us));
        histogram.add(Duration::from_secs(1));
        assert_eq!(histogram.per_mille_ms(500), us as f64 / 1000.0, "{us}");
    }
    let mut histogram = Histogram::default();
    histogram.add(Duration::MAX);
    assert_eq!(histogram.per_mille_ms(500), histogram.max_ms());
}

#[test]
fn a_rate_spreads_records_evenly() {
    assert_eq!(due(0, 100), Some(Duration::ZERO));
    assert_eq!(due(250, 100), Some(Duration::from_millis(2500)));
    assert_eq!(due(u64::MAX, 1), None);
}

#[tokio::test]
async fn it_ends_at_the_records_or_the_time_whichever_comes_first() {
    let began = Runtime::real().clock.instant();
    let after = |seconds| began + Duration::from_secs(seconds);
    let unlimited = Length {
        records: None,
        duration: None,
    };
    assert!(!unlimited.is_over(u64::MAX, began, after(9)));
    assert!(unlimited.is_over(0, began, after(10)));
    let records = Length {
        records: Some(5),
        duration: None,
    };
    assert!(!records.is_over(4, began, after(1000)));
    assert!(records.is_over(5, began, began));
}

#[tokio::test]
async fn values_have_the_size_and_differ() {
    let mut values = Values::new(&Runtime::real(), 100_000);
    let many: Vec<_> = (0..50).map(|_| values.next()).collect();
    assert!(many.iter().all(|value| value.len() == 100_000));
    assert_eq!(many.iter().collect::<BTreeSet<_>>().len(), 50);
}

#[test]
fn a_summary_of_nothing_has_numbers() {
    let summary = Summary::new("produce", "t".to_owned(), true, &Figures::default());
    let json = render(&summary, OutputFormat::Json).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["records_per_second"], 0.0);
    assert!(json["acknowledged_ms"].is_null());
    let text = render(&summary, OutputFormat::Table).unwrap();
    assert!(text.contains("produce of topic t (interrupted)"), "{text}");
}
