use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::fixture::{fence, image_with_brokers};

/// An image whose brokers lie in these zones, the first in that of the first letter.
fn zoned(zones: &str) -> Image {
    let count = i32::try_from(zones.len()).unwrap();
    let ids: Vec<_> = (0..count).collect();
    let mut image = image_with_brokers(&ids);
    for (id, zone) in (0..).zip(zones.chars()) {
        let brokers = std::sync::Arc::make_mut(&mut image.brokers);
        let broker = brokers.get_mut(&BrokerId(id)).unwrap();
        std::sync::Arc::make_mut(broker).rack = Some(zone.to_string());
    }
    image
}

fn loads(placed: &[Vec<BrokerId>]) -> (BTreeMap<BrokerId, usize>, BTreeMap<BrokerId, usize>) {
    let (mut leads, mut holds) = (BTreeMap::new(), BTreeMap::new());
    for replicas in placed {
        *leads.entry(replicas[0]).or_default() += 1;
        for id in replicas {
            *holds.entry(*id).or_default() += 1;
        }
    }
    (leads, holds)
}

#[test]
fn replicas_of_a_partition_are_distinct_and_spread_evenly() {
    for brokers in 1..=7i32 {
        let numbers: Vec<_> = (0..brokers).map(|i| i * 10).collect();
        let image = image_with_brokers(&numbers);
        for factor in 1..=numbers.len() {
            let partitions = numbers.len() * 6;
            let placed = place(&image, partitions, factor, 4).unwrap();
            for replicas in &placed {
                let distinct: BTreeSet<_> = replicas.iter().collect();
                assert_eq!((replicas.len(), distinct.len()), (factor, factor));
            }
            let (leads, holds) = loads(&placed);
            assert!(leads.values().all(|&n| n == 6), "{brokers} {leads:?}");
            assert!(
                holds.values().all(|&n| n == 6 * factor),
                "{brokers} {holds:?}"
            );
        }
    }
}

#[test]
fn replicas_of_a_partition_lie_in_different_zones_as_far_as_there_are_enough() {
    for zones in [
        "abc",
        "aabbcc",
        "aabbc",
        "aaabbc",
        "aaaabbbbcccc",
        "ab",
        "aaab",
    ] {
        let image = zoned(zones);
        let distinct: BTreeSet<_> = zones.chars().collect();
        for factor in 1..=zones.len().min(4) {
            for seed in 0..20 {
                for replicas in place(&image, 12, factor, seed).unwrap() {
                    let of = |id: &BrokerId| zones.as_bytes()[usize::try_from(id.0).unwrap()];
                    let used: BTreeSet<_> = replicas.iter().map(of).collect();
                    assert_eq!(
                        used.len(),
                        factor.min(distinct.len()),
                        "{zones} {replicas:?}"
                    );
                    let distinct: BTreeSet<_> = replicas.iter().collect();
                    assert_eq!(distinct.len(), factor);
                }
            }
        }
    }
}

#[test]
fn brokers_of_equal_zones_lead_and_hold_equally_much() {
    let image = zoned("aabbcc");
    let (leads, holds) = loads(&place(&image, 60, 3, 9).unwrap());
    assert!(leads.values().all(|&n| n == 10), "{leads:?}");
    assert!(holds.values().all(|&n| n == 30), "{holds:?}");
}

#[test]
fn another_seed_gives_another_placement_and_the_same_one_the_same() {
    let image = zoned("aabbcc");
    let placed = |seed| place(&image, 12, 3, seed).unwrap();
    assert_eq!(placed(1), placed(1));
    assert!((2..6).any(|seed| placed(seed) != placed(1)));
}

#[test]
fn a_failed_brokers_leaders_have_followers_on_all_others() {
    let image = image_with_brokers(&[0, 1, 2, 3]);
    let placed = place(&image, 40, 2, 0).unwrap();
    let next: BTreeSet<_> = placed
        .iter()
        .filter(|replicas| replicas[0] == BrokerId(0))
        .map(|replicas| replicas[1])
        .collect();
    assert_eq!(next.len(), 3);
}

#[test]
fn fenced_brokers_never_lead_and_hold_only_what_nobody_else_can() {
    let mut image = image_with_brokers(&[0, 1, 2]);
    fence(&mut image, 1);
    let placed = place(&image, 6, 3, 0).unwrap();
    assert!(placed.iter().all(|replicas| replicas[0].0 != 1));
    let placed = place(&image, 6, 2, 0).unwrap();
    assert!(placed.iter().flatten().all(|id| id.0 != 1));
    let mut same_zone = zoned("aaa");
    fence(&mut same_zone, 1);
    let placed = place(&same_zone, 6, 2, 0).unwrap();
    assert!(placed.iter().flatten().all(|id| id.0 != 1));
    assert_eq!(
        place(&image, 1, 4, 0),
        Err(PlacementError::TooFewBrokers { usable: 3 })
    );
    fence(&mut image, 0);
    fence(&mut image, 2);
    assert_eq!(place(&image, 1, 1, 0), Err(PlacementError::NoLiveBroker));
}
