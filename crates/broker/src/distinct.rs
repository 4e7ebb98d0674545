//! Lists of a request without repetitions.
//!
//! A request names each thing once; one that names the same topic or group a million times would
//! otherwise have an answer many thousand times its own size.

use std::collections::HashSet;
use std::hash::Hash;

/// Keeps the first of those items that have the same key, in their order.
pub(crate) fn distinct<T, K: Hash + Eq>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = HashSet::with_capacity(items.len().min(1024));
    items
        .into_iter()
        .filter(|item| seen.insert(key(item)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::distinct;

    #[test]
    fn the_first_of_equals_stays_in_its_place() {
        let kept = distinct(vec![(1, 'a'), (2, 'b'), (1, 'c'), (3, 'd')], |(n, _)| *n);
        assert_eq!(kept, [(1, 'a'), (2, 'b'), (3, 'd')]);
    }
}
