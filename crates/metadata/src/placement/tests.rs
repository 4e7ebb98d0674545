use std::collections::BTreeMap;

use super::*;
use crate::fixture::image_with_brokers;

fn ids(lists: &[&[i32]]) -> Vec<Vec<BrokerId>> {
    lists
        .iter()
        .map(|list| list.iter().copied().map(BrokerId).collect())
        .collect()
}

#[test]
fn leaders_go_round_and_followers_move_away_each_round() {
    let image = image_with_brokers(&[0, 1, 2]);
    let placed = place(&image, 6, 2, 0).unwrap();
    assert_eq!(
        placed,
        ids(&[&[0, 1], &[1, 2], &[2, 0], &[0, 2], &[1, 0], &[2, 1]])
    );
    // The start moves the first leader, whatever its size.
    let placed = place(&image, 2, 1, 3 * 7 + 2).unwrap();
    assert_eq!(placed, ids(&[&[2], &[0]]));
}

#[test]
fn replicas_of_a_partition_are_distinct_and_spread_evenly() {
    for brokers in 1..=7i32 {
        let numbers: Vec<_> = (0..brokers).map(|i| i * 10).collect();
        let image = image_with_brokers(&numbers);
        for factor in 1..=numbers.len() {
            let partitions = numbers.len() * 6;
            let placed = place(&image, partitions, factor, 4).unwrap();
            let mut load: BTreeMap<BrokerId, usize> = BTreeMap::new();
            for replicas in &placed {
                let mut distinct = replicas.clone();
                distinct.sort_unstable();
                distinct.dedup();
                assert_eq!(distinct.len(), factor);
                for id in replicas {
                    *load.entry(*id).or_default() += 1;
                }
            }
            assert!(
                load.values().all(|&n| n == 6 * factor),
                "{brokers} {factor} {load:?}"
            );
        }
    }
}

#[test]
fn fenced_brokers_get_no_replicas() {
    let mut image = image_with_brokers(&[0, 1, 2]);
    crate::fixture::fence(&mut image, 1);
    let placed = place(&image, 4, 2, 0).unwrap();
    assert!(placed.iter().flatten().all(|id| id.0 != 1));
    assert_eq!(
        place(&image, 1, 3, 0),
        Err(PlacementError::TooFewBrokers { live: 2 })
    );
    crate::fixture::fence(&mut image, 0);
    crate::fixture::fence(&mut image, 2);
    assert_eq!(place(&image, 1, 1, 0), Err(PlacementError::NoLiveBroker));
}
