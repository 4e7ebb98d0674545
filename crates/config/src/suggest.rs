//! "Did you mean": the known name that is nearest to a mistyped one.

/// The name with the smallest edit distance, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // The distance costs the product of the lengths, so what is far longer than any name is left.
    if wrong.len() > 100 {
        return None;
    }
    let limit = (wrong.len() / 4).clamp(1, 4);
    names
        .map(|name| (distance(wrong, name), name))
        .filter(|&(distance, _)| distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX);
            let replaced = at(&row, j) + usize::from(from != *to);
            let removed = at(&row, j + 1) + 1;
            let added = at(&next, j) + 1;
            next.push(replaced.min(removed).min(added));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_name() {
        let names = ["num.partitions", "log.dirs", "log.retention.ms"];
        assert_eq!(
            nearest("num.partition", names.into_iter()),
            Some("num.partitions")
        );
        assert_eq!(nearest("log.dris", names.into_iter()), Some("log.dirs"));
        assert_eq!(nearest("something.else", names.into_iter()), None);
    }
}
