use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const GIB: u64 = 1 << 30;

/// Brokers numbered from 1, each with its rack; `-` is none.
fn brokers(racks: &[&str]) -> Layout {
    let place = |(id, rack): (i32, &&str)| {
        let rack = (*rack != "-").then(|| (*rack).to_owned());
        let place = BrokerPlace {
            rack,
            receives: true,
            is_drained: false,
        };
        (id, place)
    };
    Layout {
        brokers: (1..).zip(racks).map(place).collect(),
        partitions: Vec::new(),
    }
}

fn add(layout: &mut Layout, topic: &str, partitions: &[&[i32]], bytes: u64) {
    for (partition, replicas) in (0..).zip(partitions) {
        layout.partitions.push(Placed {
            topic: topic.to_owned(),
            partition,
            replicas: replicas.to_vec(),
            isr: replicas.to_vec(),
            bytes,
        });
    }
}

fn counts(layout: &Layout) -> Vec<usize> {
    layout.loads().values().map(|load| load.replicas).collect()
}

fn leaders(layout: &Layout) -> Vec<usize> {
    layout.loads().values().map(|load| load.leaders).collect()
}

#[test]
fn a_new_broker_gets_its_share_with_as_few_moves_as_possible() {
    let mut layout = brokers(&["-", "-", "-"]);
    let on_two: Vec<&[i32]> = vec![&[1, 2], &[2, 1], &[1, 2], &[2, 1], &[1, 2], &[2, 1]];
    add(&mut layout, "t", &on_two, GIB);
    let plan = rebalance(&layout, Limits::default());
    assert_eq!(counts(&plan.after), [4, 4, 4]);
    assert_eq!(leaders(&plan.after), [2, 2, 2]);
    assert_eq!(plan.copies(), 4);
    assert_eq!(plan.bytes(), 4 * GIB);
}

#[test]
fn leaders_are_evened_out_by_order_alone() {
    let mut layout = brokers(&["-", "-", "-"]);
    let all_led_by_one: Vec<&[i32]> = vec![&[1, 2, 3]; 9];
    add(&mut layout, "t", &all_led_by_one, GIB);
    let plan = rebalance(&layout, Limits::default());
    assert_eq!(leaders(&plan.after), [3, 3, 3]);
    assert_eq!((plan.copies(), plan.bytes(), plan.moves.len()), (0, 0, 6));
}

#[test]
fn leaders_go_by_way_of_others_where_no_replica_is_shared() {
    let mut layout = brokers(&["-", "-", "-"]);
    add(
        &mut layout,
        "t",
        &[&[1, 2], &[1, 2], &[1, 2], &[2, 3], &[3, 2]],
        0,
    );
    add(&mut layout, "u", &[&[2, 3]], 0);
    let limits = Limits {
        leaders_only: true,
        ..Limits::default()
    };
    assert_eq!(leaders(&layout), [3, 2, 1]);
    assert_eq!(leaders(&rebalance(&layout, limits).after), [2, 2, 2]);
}

#[test]
fn racks_win_over_even_counts() {
    let mut layout = brokers(&["a", "b", "b"]);
    add(&mut layout, "t", &[&[2, 3], &[3, 2], &[2, 3], &[3, 2]], GIB);
    let plan = rebalance(&layout, Limits::default());
    assert_eq!(counts(&plan.after), [4, 2, 2]);
    for placed in &plan.after.partitions {
        assert!(placed.replicas.contains(&1), "{placed:?}");
    }
}

#[test]
fn bytes_are_evened_out_by_exchanges_that_keep_the_counts() {
    let mut layout = brokers(&["-", "-"]);
    add(&mut layout, "large", &[&[1], &[1]], 10 * GIB);
    add(&mut layout, "small", &[&[2], &[2]], GIB);
    let plan = rebalance(&layout, Limits::default());
    assert_eq!(counts(&plan.after), [2, 2]);
    let bytes: Vec<u64> = plan.after.loads().values().map(|l| l.bytes).collect();
    assert_eq!(bytes, [11 * GIB, 11 * GIB]);
}

#[test]
fn small_differences_in_bytes_are_not_worth_a_copy() {
    let mut layout = brokers(&["-", "-"]);
    add(&mut layout, "a", &[&[1], &[1]], 1000);
    add(&mut layout, "b", &[&[2], &[2]], 10);
    assert_eq!(rebalance(&layout, Limits::default()).moves, []);
}

#[test]
fn a_broker_that_does_not_run_keeps_what_it_has_and_gets_nothing() {
    let mut layout = brokers(&["-", "-", "-"]);
    layout.brokers.get_mut(&3).unwrap().receives = false;
    add(
        &mut layout,
        "t",
        &[&[1, 3], &[1, 3], &[1, 3], &[1, 2], &[1, 2]],
        0,
    );
    let plan = rebalance(&layout, Limits::default());
    assert_eq!(counts(&plan.after)[2], 3);
    for change in &plan.moves {
        assert!(change.adding().all(|id| id != 3), "{change:?}");
        assert!(change.removing().all(|id| id != 3), "{change:?}");
        assert_ne!(change.to.first(), Some(&3));
    }
}

#[test]
fn evacuation_names_what_has_no_place_to_go() {
    let mut layout = brokers(&["-", "-", "-"]);
    add(&mut layout, "t", &[&[1, 2], &[1, 2, 3]], 0);
    layout.brokers.get_mut(&1).unwrap().receives = false;
    let plan = evacuate(&layout, 1);
    assert_eq!(plan.moves.len(), 1);
    assert_eq!(plan.moves[0].to, [3, 2]);
    let stuck = "t-1: it has 3 replicas, and no broker is left that runs and has none of them";
    assert_eq!(plan.stuck, [stuck]);
}

#[test]
fn a_drained_broker_comes_last_and_its_leaders_are_spread() {
    let mut layout = brokers(&["-", "-", "-"]);
    add(
        &mut layout,
        "t",
        &[&[1, 2, 3], &[1, 2, 3], &[2, 1, 3], &[1, 3, 2], &[1]],
        0,
    );
    layout.partitions[3].isr = vec![1, 2];
    let plan = drain(&layout, 1);
    assert_eq!(plan.stuck, ["t-4: it has no other replica"]);
    let after: Vec<&[i32]> = plan.after.partitions.iter().map(|p| &*p.replicas).collect();
    let expected: [&[i32]; 5] = [&[3, 2, 1], &[2, 3, 1], &[2, 3, 1], &[2, 3, 1], &[1]];
    // Broker 2 leads one already, so the first goes to 3; but 3 cannot have the one that it
    // has not caught up with.
    assert_eq!(after[0], expected[0]);
    assert_eq!(after[3..], expected[3..]);
    assert!(plan.moves.iter().all(Move::is_reorder));
    // Once more changes nothing; taking it back gives the broker its share.
    assert_eq!(drain(&plan.after, 1).moves, []);
    let back = undrain(&plan.after, 1);
    assert_eq!(leaders(&back.after), [2, 2, 1]);
}

#[test]
fn one_that_was_drained_before_leads_only_where_nobody_else_can() {
    let mut layout = brokers(&["-", "-", "-", "-"]);
    let rotated: [&[i32]; 8] = [
        &[1, 2, 3],
        &[2, 3, 4],
        &[3, 4, 1],
        &[4, 1, 2],
        &[1, 3, 2],
        &[2, 4, 3],
        &[3, 1, 4],
        &[4, 2, 1],
    ];
    add(&mut layout, "t", &rotated, 0);
    let nobody = BTreeSet::new();
    assert_eq!(drained(&layout, &nobody, &nobody), nobody);
    let mut now = layout;
    for (id, expected) in [(1, [0, 3, 3, 2]), (2, [0, 0, 4, 4]), (3, [1, 1, 0, 6])] {
        now.spare_drained();
        now = drain(&now, id).after;
        assert_eq!(leaders(&now), expected);
        assert!(drained(&now, &nobody, &nobody).contains(&id));
    }
}

#[test]
fn who_was_drained_gets_replicas_and_no_leaders_of_one_that_goes() {
    let mut layout = brokers(&["-", "-", "-", "-"]);
    let all: [&[i32]; 4] = [&[4, 2], &[4, 3], &[2, 3], &[3, 2]];
    add(&mut layout, "t", &all, 0);
    layout.brokers.get_mut(&1).unwrap().is_drained = true;
    layout.brokers.get_mut(&4).unwrap().receives = false;
    let plan = evacuate(&layout, 4);
    assert_eq!(counts(&plan.after), [2, 3, 3, 0]);
    assert_eq!(leaders(&plan.after), [0, 2, 2, 0]);
    // It is the only one left.
    let mut layout = brokers(&["-", "-"]);
    add(&mut layout, "t", &[&[2], &[2, 1]], 0);
    layout.brokers.get_mut(&1).unwrap().is_drained = true;
    assert_eq!(leaders(&drain(&layout, 2).after), [1, 1]);
    assert_eq!(leaders(&evacuate(&layout, 2).after), [1, 1]);
}

#[test]
fn who_leads_again_leaves_the_drained_behind_the_others() {
    let mut layout = brokers(&["-", "-", "-"]);
    let all: [&[i32]; 4] = [&[1, 2, 3], &[2, 3, 1], &[3, 1, 2], &[1, 3, 2]];
    add(&mut layout, "t", &all, 0);
    let mut now = layout;
    for id in [2, 1] {
        now.spare_drained();
        now = drain(&now, id).after;
    }
    assert_eq!(leaders(&now), [0, 0, 4]);
    let after = undrain(&now, 1).after;
    assert_eq!(leaders(&after), [2, 0, 2]);
    let nobody = BTreeSet::new();
    assert_eq!(drained(&after, &nobody, &nobody), BTreeSet::from([2]));
}

#[test]
fn assigning_keeps_what_is_right() {
    let mut layout = brokers(&["a", "b", "c", "a"]);
    add(&mut layout, "t", &[&[1, 2], &[2, 3], &[3, 1]], 0);
    let more = Assign {
        replicas: Some(3),
        ..Assign::default()
    };
    let plan = assign(&layout, &more);
    for (old, new) in layout.partitions.iter().zip(&plan.after.partitions) {
        assert!(old.replicas.iter().all(|id| new.replicas.contains(id)));
        assert_eq!(plan.after.spread(new.replicas.iter().copied()), 3);
    }
    let only = Assign {
        brokers: Some(BTreeSet::from([2, 3, 4])),
        replicas: Some(2),
    };
    let plan = assign(&plan.after, &only);
    assert_eq!(counts(&plan.after), [0, 2, 2, 2]);
    let impossible = Assign {
        brokers: Some(BTreeSet::from([2])),
        replicas: Some(2),
    };
    assert_eq!(assign(&plan.after, &impossible).stuck.len(), 3);
}

prop_compose! {
    /// Up to seven brokers in up to three racks, and partitions that lie anywhere.
    fn any_layout()(
        racks in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "-"]), 1..8),
        places in prop::collection::vec((0..3usize, 1..4usize, any::<u32>(), 0..20u64), 0..40),
    ) -> Layout {
        let mut layout = brokers(&racks);
        let ids: Vec<i32> = layout.brokers.keys().copied().collect();
        let mut next = [0; 3];
        for (topic, factor, from, gib) in places {
            let start = from as usize;
            let step = 1 + start / ids.len() % ids.len();
            let mut replicas: Vec<i32> = Vec::new();
            for n in 0..ids.len() * 2 {
                let id = ids[(start + n * step + n / ids.len()) % ids.len()];
                if replicas.len() < factor && !replicas.contains(&id) {
                    replicas.push(id);
                }
            }
            layout.partitions.push(Placed {
                topic: format!("t{topic}"),
                partition: next[topic],
                isr: replicas.clone(),
                replicas,
                bytes: gib * GIB,
            });
            next[topic] += 1;
        }
        layout.partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        layout
    }
}

/// The lowest sum of squares that so many replicas can have: one after the other into the rack
/// that has the fewest and still a free broker.
fn best_spread(layout: &Layout, replicas: usize) -> usize {
    let mut racks: std::collections::BTreeMap<String, (usize, usize)> = Default::default();
    for id in layout.receivers() {
        let rack = layout.brokers[&id].rack.clone();
        racks
            .entry(rack.unwrap_or_else(|| format!("#{id}")))
            .or_default()
            .1 += 1;
    }
    for _ in 0..replicas {
        let free = racks.values_mut().filter(|(used, size)| used < size);
        if let Some((used, _)) = free.min_by_key(|(used, _)| *used) {
            *used += 1;
        }
    }
    racks.values().map(|(used, _)| used * used).sum()
}

fn squares(layout: &Layout, of: impl Fn(&Load) -> u128) -> u128 {
    layout.loads().values().map(|load| of(load).pow(2)).sum()
}

fn is_permutation_of_distinct(replicas: &[i32]) -> bool {
    replicas.iter().collect::<BTreeSet<_>>().len() == replicas.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_rebalance_loses_nothing_and_makes_nothing_worse(layout in any_layout()) {
        let plan = rebalance(&layout, Limits::default());
        prop_assert_eq!(plan.after.partitions.len(), layout.partitions.len());
        for (old, new) in layout.partitions.iter().zip(&plan.after.partitions) {
            prop_assert_eq!(old.replicas.len(), new.replicas.len());
            prop_assert!(is_permutation_of_distinct(&new.replicas));
            prop_assert!(new.replicas.iter().all(|id| layout.brokers.contains_key(id)));
            let spread = plan.after.spread(new.replicas.iter().copied());
            prop_assert_eq!(spread, best_spread(&layout, new.replicas.len()));
        }
        let spread_alike = layout.partitions.iter().all(|placed| {
            layout.spread(placed.replicas.iter().copied()) == best_spread(&layout, placed.replicas.len())
        });
        if spread_alike {
            let count = |load: &Load| load.replicas as u128;
            prop_assert!(squares(&plan.after, count) <= squares(&layout, count));
        }
    }

    #[test]
    fn a_balanced_layout_stays_as_it_is(layout in any_layout()) {
        let plan = rebalance(&layout, Limits::default());
        prop_assert_eq!(rebalance(&plan.after, Limits::default()).moves, vec![]);
    }

    #[test]
    fn without_racks_counts_differ_by_one_at_most(layout in any_layout()) {
        let mut layout = layout;
        layout.brokers.values_mut().for_each(|broker| broker.rack = None);
        let plan = rebalance(&layout, Limits::default());
        let counts = counts(&plan.after);
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        prop_assert!(most - least <= 1, "{:?}", counts);
        // Every copy took something from a broker with more than it should have.
        let mean = counts.iter().sum::<usize>() / counts.len();
        let before = layout.loads();
        let surplus: usize = before.values().map(|load| load.replicas.saturating_sub(mean)).sum();
        let is_even_in_bytes = layout.partitions.iter().all(|placed| placed.bytes == 0);
        if is_even_in_bytes {
            prop_assert!(plan.copies() <= surplus);
        }
    }

    #[test]
    fn moves_are_bounded_and_runs_in_parts_come_to_an_end(layout in any_layout()) {
        let limits = Limits { moves_max: Some(2), ..Limits::default() };
        let mut now = layout;
        for _ in 0..200 {
            let plan = rebalance(&now, limits);
            prop_assert!(plan.copies() <= 2);
            if plan.moves.is_empty() {
                prop_assert_eq!(rebalance(&now, Limits::default()).copies(), 0);
                return Ok(());
            }
            now = plan.after;
        }
        prop_assert!(false, "no end");
    }

    #[test]
    fn only_leaders_change_when_only_leaders_may(layout in any_layout()) {
        let limits = Limits { leaders_only: true, ..Limits::default() };
        let plan = rebalance(&layout, limits);
        prop_assert!(plan.moves.iter().all(Move::is_reorder));
        let count = |load: &Load| load.leaders as u128;
        prop_assert!(squares(&plan.after, count) <= squares(&layout, count));
    }

    #[test]
    fn an_evacuated_broker_holds_only_what_has_no_other_place(layout in any_layout()) {
        let mut layout = layout;
        layout.brokers.get_mut(&1).unwrap().receives = false;
        let plan = evacuate(&layout, 1);
        let left = plan.after.loads()[&1].replicas;
        prop_assert_eq!(left, plan.stuck.len());
        for (old, new) in layout.partitions.iter().zip(&plan.after.partitions) {
            prop_assert_eq!(old.replicas.len(), new.replicas.len());
            prop_assert!(is_permutation_of_distinct(&new.replicas));
            if !old.replicas.contains(&1) {
                prop_assert_eq!(&old.replicas, &new.replicas);
            }
            if new.replicas.contains(&1) {
                prop_assert_eq!(new.replicas.len(), layout.brokers.len());
            }
        }
    }

    #[test]
    fn draining_changes_only_the_order(layout in any_layout()) {
        let plan = drain(&layout, 1);
        prop_assert!(plan.moves.iter().all(Move::is_reorder));
        for placed in &plan.after.partitions {
            if placed.replicas.len() > 1 {
                prop_assert!(placed.replicas.first() != Some(&1));
            }
        }
        let back = undrain(&plan.after, 1);
        prop_assert!(back.moves.iter().all(Move::is_reorder));
        prop_assert!(undrain(&back.after, 1).moves.is_empty());
    }

    #[test]
    fn assigned_partitions_lie_where_they_should(layout in any_layout(), factor in 1..4usize) {
        let brokers: BTreeSet<i32> = layout.brokers.keys().copied().filter(|id| id % 2 == 1).collect();
        let count = brokers.len();
        let wished = Assign { brokers: Some(brokers.clone()), replicas: Some(factor) };
        let plan = assign(&layout, &wished);
        for placed in &plan.after.partitions {
            prop_assert_eq!(placed.replicas.len(), factor.min(count));
            prop_assert!(placed.replicas.iter().all(|id| brokers.contains(id)));
            prop_assert!(is_permutation_of_distinct(&placed.replicas));
        }
        prop_assert_eq!(plan.stuck.is_empty(), factor <= count || layout.partitions.is_empty());
        if plan.stuck.is_empty() {
            prop_assert_eq!(assign(&plan.after, &wished).moves, vec![]);
        }
    }
}

#[test]
fn what_is_copied_is_named_and_what_only_changes_its_order_is_not() {
    let one = |partition: i32, from: &[i32], to: &[i32]| Move {
        topic: "t".to_owned(),
        partition,
        from: from.to_vec(),
        to: to.to_vec(),
        bytes: 0,
    };
    let moves = [
        one(0, &[1, 2], &[2, 3]),
        one(1, &[1, 2], &[2, 1]),
        one(7, &[2], &[1]),
    ];
    let named = throttled(&moves).remove("t").unwrap();
    let [leaders, followers] = named.properties().map(|(_, value)| value);
    assert_eq!((&*leaders, &*followers), ("0:1,0:2,7:2", "0:3,7:1"));
}
