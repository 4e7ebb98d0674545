//! The watchers of one path. Most paths have one, some have thousands.

use std::collections::BTreeMap;

use super::Modes;

/// More of them are kept in a map.
const FEW: usize = 64;

/// Watchers and their modes, in the order of the watchers.
#[derive(Debug, Default)]
pub(super) enum Watchers {
    #[default]
    None,
    One(u64, Modes),
    Few(Vec<(u64, Modes)>),
    Many(BTreeMap<u64, Modes>),
}

impl Watchers {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Watchers::None => true,
            Watchers::One(..) => false,
            Watchers::Few(few) => few.is_empty(),
            Watchers::Many(many) => many.is_empty(),
        }
    }

    /// The watcher's modes, 0 if it is not there.
    pub(super) fn get(&self, watcher: u64) -> Modes {
        match self {
            Watchers::None => 0,
            Watchers::One(one, modes) if *one == watcher => *modes,
            Watchers::One(..) => 0,
            Watchers::Few(few) => match few.binary_search_by_key(&watcher, |(one, _)| *one) {
                Ok(at) => few[at].1,
                Err(_) => 0,
            },
            Watchers::Many(many) => many.get(&watcher).copied().unwrap_or(0),
        }
    }

    /// Sets the watcher's modes; 0 takes it away.
    pub(super) fn set(&mut self, watcher: u64, modes: Modes) {
        match self {
            Watchers::None if modes == 0 => {}
            Watchers::None => *self = Watchers::One(watcher, modes),
            Watchers::One(one, _) if *one == watcher && modes == 0 => *self = Watchers::None,
            Watchers::One(one, has) if *one == watcher => *has = modes,
            Watchers::One(..) if modes == 0 => {}
            Watchers::One(one, has) => {
                let mut few = vec![(*one, *has), (watcher, modes)];
                few.sort_unstable();
                *self = Watchers::Few(few);
            }
            Watchers::Few(few) => {
                match few.binary_search_by_key(&watcher, |(one, _)| *one) {
                    Ok(at) if modes == 0 => {
                        few.remove(at);
                    }
                    Ok(at) => few[at].1 = modes,
                    Err(_) if modes == 0 => {}
                    Err(at) => few.insert(at, (watcher, modes)),
                }
                if few.len() > FEW {
                    *self = Watchers::Many(few.drain(..).collect());
                }
            }
            Watchers::Many(many) => {
                if modes == 0 {
                    many.remove(&watcher);
                } else {
                    many.insert(watcher, modes);
                }
            }
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = (u64, Modes)> + '_> {
        match self {
            Watchers::None => Box::new(std::iter::empty()),
            Watchers::One(one, modes) => Box::new(std::iter::once((*one, *modes))),
            Watchers::Few(few) => Box::new(few.iter().copied()),
            Watchers::Many(many) => Box::new(many.iter().map(|(one, modes)| (*one, *modes))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_watchers_in_any_order() {
        let mut watchers = Watchers::default();
        let mut model = BTreeMap::new();
        let mut random = 7_u64;
        for round in 0..4000_u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let watcher = (random >> 33) % 150;
            // It grows in the first half and shrinks in the second.
            let modes = if (random >> 50) % 3 == u64::from(round > 2000) {
                0
            } else {
                1 + (random >> 60) as Modes % 15
            };
            let modes = if round > 2000 { 0 } else { modes };
            watchers.set(watcher, modes);
            if modes == 0 {
                model.remove(&watcher);
            } else {
                model.insert(watcher, modes);
            }
            assert_eq!(watchers.get(watcher), modes);
            assert_eq!(watchers.is_empty(), model.is_empty());
            if round % 16 == 0 {
                assert!(watchers.iter().eq(model.iter().map(|(k, v)| (*k, *v))));
            }
        }
        assert!(watchers.is_empty());
    }
}
