use super::*;
use crate::quota::{TokenBucket, WindowedRate};

const WINDOW: Window = Window {
    samples: 11,
    sample_ms: 1000,
};

fn limit<'a>(user: Option<&'a str>, client_id: Option<&'a str>) -> Limit<'a> {
    Limit {
        bound: 10.0,
        share: Share { user, client_id },
    }
}

#[test]
fn a_share_has_one_meter_and_others_have_their_own() {
    let mut shares = Shares::<WindowedRate>::new(WINDOW);
    let all = [
        limit(Some("a"), Some("b")),
        limit(Some("a"), None),
        limit(None, Some("b")),
        limit(None, Some("a")),
    ];
    for (i, limit) in all.into_iter().enumerate() {
        let rate = shares.meter(limit, 0);
        assert!(rate.per_second(WINDOW, 0).abs() < f64::EPSILON);
        rate.record(WINDOW, 1.0 + i as f64, 0);
    }
    assert_eq!(shares.len(), 4);
    let again = shares.meter(all[2], 5).per_second(WINDOW, 0);
    assert!((again - 0.3).abs() < 1e-9);
}

#[test]
fn a_meter_is_dropped_when_it_says_nothing_any_more() {
    let mut rates = Shares::<WindowedRate>::new(WINDOW);
    rates
        .meter(limit(None, Some("a")), 0)
        .record(WINDOW, 1.0, 0);
    rates
        .meter(limit(None, Some("b")), 10_999)
        .record(WINDOW, 1.0, 10_999);
    assert_eq!(rates.len(), 2);
    rates.meter(limit(None, Some("b")), 11_000);
    assert_eq!(rates.len(), 1);
    let mut buckets = Shares::<TokenBucket>::new(WINDOW);
    // It owes 10 seconds beyond what a full bucket needs.
    buckets
        .meter(limit(None, Some("a")), 0)
        .take(WINDOW, 10.0, 210.0, 0);
    buckets.meter(limit(None, Some("b")), 11_000);
    assert_eq!(buckets.len(), 2, "a debt is not forgotten");
    buckets.meter(limit(None, Some("c")), 30_000);
    assert_eq!(buckets.len(), 1);
}

#[test]
fn inventing_client_ids_costs_bounded_memory_and_drops_the_longest_unused() {
    let mut shares = Shares::<WindowedRate>::new(WINDOW);
    for i in 0..3 * MAX_SHARES {
        let id = format!("client-{i}");
        // All within one window: nothing comes to rest.
        let now_ms = (i / 10) as i64;
        shares
            .meter(limit(None, Some(&id)), now_ms)
            .record(WINDOW, 1.0, now_ms);
        shares
            .meter(limit(None, Some("busy")), now_ms)
            .record(WINDOW, 1.0, now_ms);
        assert!(shares.len() <= MAX_SHARES);
    }
    let now_ms = (3 * MAX_SHARES / 10) as i64;
    let busy = shares.meter(limit(None, Some("busy")), now_ms);
    assert!(busy.per_second(WINDOW, now_ms) * 10.0 >= 2.9 * MAX_SHARES as f64);
}
