use proptest::prelude::*;

use super::*;

/// Kafka's defaults: 11 samples of a second.
const WINDOW: Window = Window {
    samples: 11,
    sample_ms: 1000,
};

/// Records and says how long to pause.
fn record(rate: &mut WindowedRate, bound: f64, value: f64, now_ms: i64) -> i32 {
    rate.record(WINDOW, value, now_ms);
    rate.throttle_ms(WINDOW, bound, now_ms)
}

#[test]
fn the_pause_is_that_of_kafkas_formula() {
    let mut rate = WindowedRate::default();
    // Ten seconds below the bound, once a second.
    for second in 0..10 {
        assert_eq!(record(&mut rate, 500.0, 400.0, second * 1000), 0);
    }
    // 6,300 bytes over 10.5 seconds are 600 a second: (600 - 500) / 500 * 10.5 s.
    assert_eq!(record(&mut rate, 500.0, 2300.0, 10_500), 2100);
    // The spike goes on to be felt until its sample has left the window.
    let after = 10_500 + 2100;
    for second in 0..10 {
        rate.record(WINDOW, 400.0, after + second * 1000);
    }
    assert_eq!(record(&mut rate, 500.0, 0.0, after + 10_000), 0);
}

#[test]
fn one_burst_of_a_newcomer_counts_over_ten_seconds() {
    let mut rate = WindowedRate::default();
    assert_eq!(record(&mut rate, 100.0, 1000.0, 7), 0);
    assert_eq!(record(&mut rate, 100.0, 1000.0, 7), 10_000);
    assert_eq!(rate.throttle_ms(WINDOW, 200.0, 7), 0);
    assert_eq!(rate.throttle_ms(WINDOW, 1e-9, 7), i32::MAX);
}

#[test]
fn what_is_taken_back_was_never_used() {
    let mut rate = WindowedRate::default();
    assert!(record(&mut rate, 100.0, 5000.0, 0) > 0);
    assert_eq!(record(&mut rate, 100.0, -5000.0, 0), 0);
    assert!(rate.per_second(WINDOW, 0).abs() < f64::EPSILON);
}

#[test]
fn what_is_older_than_the_window_is_forgotten() {
    let mut rate = WindowedRate::default();
    rate.record(WINDOW, 1000.0, 0);
    assert!(!rate.is_at_rest(WINDOW, 1.0, 10_999));
    assert!(rate.per_second(WINDOW, 10_999) > 0.0);
    assert!(rate.is_at_rest(WINDOW, 1.0, 11_000));
    assert!(rate.per_second(WINDOW, 11_000).abs() < f64::EPSILON);
    assert!(rate.samples.len() == 1);
}

proptest! {
    /// Whoever pauses as told gets what the bound allows, however it cuts its requests. (Not so
    /// with requests of many seconds' worth: as in Kafka, the window forgets them.)
    #[test]
    fn a_client_that_pauses_as_told_converges_to_its_bound(
        bound in 1000.0..1e9f64,
        sizes in prop::collection::vec(0.01..0.5f64, 1000),
        start_ms in 0..1_000_000i64,
    ) {
        let mut rate = WindowedRate::default();
        let (mut now_ms, mut sent) = (start_ms, 0.0);
        for size in sizes {
            let bytes = bound * size;
            sent += bytes;
            now_ms += i64::from(record(&mut rate, bound, bytes, now_ms));
        }
        // What may run ahead is one window's worth, and the rest is exact within a tenth.
        let seconds = (now_ms - start_ms) as f64 / 1000.0;
        prop_assert!(sent <= bound * (seconds * 1.1 + 11.0), "{sent} in {seconds} s");
        prop_assert!(sent >= bound * (seconds * 0.9), "{sent} in {seconds} s");
        prop_assert!(rate.samples.len() <= 12);
    }
}
