use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Insert(u16, u8),
    Remove(u16),
    Change(u16, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0u16..600;
    prop_oneof![
        3 => (key.clone(), any::<u8>()).prop_map(|(k, v)| Step::Insert(k, v)),
        2 => key.clone().prop_map(Step::Remove),
        1 => (key, any::<u8>()).prop_map(|(k, v)| Step::Change(k, v)),
    ]
}

fn run(map: &mut CowMap<u16, u8>, model: &mut BTreeMap<u16, u8>, steps: &[Step]) {
    for step in steps {
        match *step {
            Step::Insert(k, v) => assert_eq!(map.insert(k, v), model.insert(k, v)),
            Step::Remove(k) => assert_eq!(map.remove(&k), model.remove(&k)),
            Step::Change(k, v) => {
                assert_eq!(map.get(&k), model.get(&k));
                if let Some(value) = map.get_mut(&k) {
                    *value = v;
                }
                if let Some(value) = model.get_mut(&k) {
                    *value = v;
                }
            }
        }
        assert_eq!(map.len(), model.len());
    }
    assert!(map.iter().eq(model.iter()));
    assert!(
        map.chunks
            .iter()
            .all(|c| !c.is_empty() && c.len() <= CHUNK_LEN)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn behaves_as_an_ordered_map_and_leaves_its_clones_alone(
        first in prop::collection::vec(step(), 0..1500),
        second in prop::collection::vec(step(), 0..300),
    ) {
        let (mut map, mut model) = (CowMap::default(), BTreeMap::new());
        run(&mut map, &mut model, &first);
        let (old, old_model) = (map.clone(), model.clone());
        run(&mut map, &mut model, &second);
        prop_assert!(old.iter().eq(old_model.iter()));

        let (mut added, mut removed, mut changed) = (0, 0, Vec::new());
        map.diff(&old, |_, difference| match difference {
            Difference::Added(_) => added += 1,
            Difference::Removed(_) => removed += 1,
            Difference::Both { old, new } if old != new => changed.push((*old, *new)),
            Difference::Both { .. } => {}
        });
        prop_assert_eq!(added, model.keys().filter(|k| !old_model.contains_key(k)).count());
        prop_assert_eq!(removed, old_model.keys().filter(|k| !model.contains_key(k)).count());
        let expected: Vec<_> = model
            .iter()
            .filter_map(|(k, new)| Some((*old_model.get(k)?, *new)))
            .filter(|(old, new)| old != new)
            .collect();
        prop_assert_eq!(changed, expected);
    }
}

#[test]
fn a_change_among_many_entries_looks_at_one_chunk_only() {
    let mut map = CowMap::default();
    for key in 0..10_000 {
        map.insert(key, 0);
    }
    let old = map.clone();
    *map.get_mut(&5_000).unwrap() = 1;
    let mut looked_at = 0;
    map.diff(&old, |_, _| looked_at += 1);
    assert!((1..=CHUNK_LEN).contains(&looked_at), "{looked_at} entries");
    let copied = map
        .chunks
        .iter()
        .zip(&old.chunks)
        .filter(|(a, b)| !Arc::ptr_eq(a, b))
        .count();
    assert_eq!(copied, 1);
}
