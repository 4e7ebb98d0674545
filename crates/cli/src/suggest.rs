//! "Did you mean": the known names that are closest to a mistyped one.

/// How many suggestions are made at most.
const SHOWN: usize = 3;

/// The known names that could have been meant, the closest first.
pub(crate) fn closest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    // One mistake for every three letters, as a hand makes them.
    let allowed = (wanted.chars().count() / 3).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|name| *name != wanted)
        .map(|name| (distance(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            *distance <= allowed || (wanted.len() >= 4 && name.starts_with(wanted))
        })
        .collect();
    near.sort();
    near.dedup();
    near.truncate(SHOWN);
    near.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// `did you mean a or b? `, or nothing.
pub(crate) fn question(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!("did you mean {}? ", names.join(" or "))
}

/// How many letters must be added, removed, replaced, or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_comes_first() {
        let known = ["orders", "order", "payments", "orders-v2"];
        assert_eq!(closest("ordres", known), ["orders", "order"]);
        assert_eq!(closest("Orders", known), ["orders", "order"]);
        assert_eq!(closest("pay", known), Vec::<String>::new());
        assert_eq!(closest("paym", known), ["payments"]);
        assert_eq!(closest("orders", known), ["order", "orders-v2"]);
        assert_eq!(question(&closest("nothing-like-it", known)), "");
        assert_eq!(
            question(&closest("ordres", ["orders"])),
            "did you mean orders? "
        );
    }

    #[test]
    fn swapped_neighbours_are_one_mistake() {
        assert_eq!(distance("ordres", "orders"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("retention.mss", "retention.ms"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
