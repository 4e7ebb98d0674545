//! Quotas: bounds for the number of nodes and the bytes of data below a path.
//!
//! They are nodes themselves: `/zookeeper/quota<path>/zookeeper_limits` says what is allowed, and
//! `…/zookeeper_stats` what there is (`Quotas`, `StatsTrack`, `PathTrie`).

use std::collections::{BTreeMap, BTreeSet};

use crate::path;

const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// The data of such a node: `count=4,bytes=10=;byteHardLimit=20;countHardLimit=8`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Numbers(BTreeMap<String, i64>);

impl Numbers {
    /// Reads the data; `None` if they are something else.
    pub(crate) fn parse(data: Option<&[u8]>) -> Option<Self> {
        let text = std::str::from_utf8(data?).ok()?;
        let mut numbers = BTreeMap::new();
        // Java's `split` does not count empty parts at the end.
        let text = text.trim_end_matches([',', ';']);
        if text.is_empty() {
            return Some(Numbers(numbers));
        }
        let mut separated = false;
        for pair in text.split([',', ';']) {
            // Several separators count as one.
            if pair.is_empty() && separated {
                continue;
            }
            separated = true;
            let mut parts = pair.split('=');
            let (name, value) = (parts.next()?, parts.next()?);
            numbers.insert(name.to_owned(), value.parse().ok()?);
        }
        Some(Numbers(numbers))
    }

    /// The value, -1 if it is not there.
    fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(-1)
    }

    pub(crate) fn new(count: i64, bytes: i64) -> Self {
        let pairs = [("count", count), ("bytes", bytes)];
        Numbers(pairs.map(|(name, value)| (name.to_owned(), value)).into())
    }

    pub(crate) fn add(&mut self, count: i64, bytes: i64) {
        for (name, more) in [("count", count), ("bytes", bytes)] {
            let value = self.get(name).wrapping_add(more);
            self.0.insert(name.to_owned(), value);
        }
    }

    /// The data. The odd `=` behind the bytes lets very old clients read the rest as nothing.
    pub(crate) fn to_data(&self) -> Vec<u8> {
        let mut text = format!("count={},bytes={}", self.get("count"), self.get("bytes"));
        let others = self
            .0
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "count" | "bytes"));
        for (index, (name, value)) in others.enumerate() {
            let separator = if index == 0 { "=;" } else { ";" };
            text.push_str(&format!("{separator}{name}={value}"));
        }
        text.into_bytes()
    }

    /// Whether this limit forbids so much more on top of what there is. Only hard limits do.
    pub(crate) fn forbids(&self, stats: &Numbers, count: i64, bytes: i64) -> bool {
        let above = |name: &str, limit: &str, more: i64| {
            let limit = self.get(limit);
            more != 0 && limit > -1 && stats.get(name).saturating_add(more) > limit
        };
        above("count", "countHardLimit", count) || above("bytes", "byteHardLimit", bytes)
    }

    /// Whether so much more has to be compared with what there is.
    pub(crate) fn bounds(&self, count: i64, bytes: i64) -> bool {
        let set = |limit: &str| self.get(limit) > -1;
        (count != 0 && (set("count") || set("countHardLimit")))
            || (bytes != 0 && (set("bytes") || set("byteHardLimit")))
    }
}

/// Which paths have a quota.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Quotas {
    paths: BTreeSet<String>,
}

impl Quotas {
    /// The closest path, the given one or one above it, that has a quota.
    pub(crate) fn closest<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.paths.is_empty() {
            return None;
        }
        path::upwards(path).find(|path| self.paths.contains(*path))
    }

    pub(crate) fn insert(&mut self, path: &str) {
        self.paths.insert(path.to_owned());
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.paths.remove(path);
    }
}

/// What a node means for quotas by its path.
pub(crate) enum Role<'p> {
    /// The limits for a path.
    Limits(&'p str),
    /// What there is below a path.
    Stats(&'p str),
}

/// The role of a node.
pub(crate) fn role(at: &str) -> Option<Role<'_>> {
    let of = path::parent(at)?.strip_prefix(path::QUOTA)?;
    if !of.starts_with('/') {
        return None;
    }
    match path::name(at) {
        LIMITS => Some(Role::Limits(of)),
        STATS => Some(Role::Stats(of)),
        _ => None,
    }
}

/// Where the limits for a path are.
pub(crate) fn limits_path(of: &str) -> String {
    format!("{}{of}/{LIMITS}", path::QUOTA)
}

/// Where it is counted what there is below a path.
pub(crate) fn stats_path(of: &str) -> String {
    format!("{}{of}/{STATS}", path::QUOTA)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Option<Numbers> {
        Numbers::parse(Some(text.as_bytes()))
    }

    #[test]
    fn data_of_old_and_new_clients() {
        for text in ["count=4,bytes=10", "count=-1,bytes=-1"] {
            let read = numbers(text).expect(text);
            assert_eq!(read.to_data(), text.as_bytes());
        }
        let text = "count=4,bytes=10=;byteHardLimit=20;countHardLimit=8";
        let read = numbers(text).expect(text);
        assert_eq!(read.get("countHardLimit"), 8);
        assert_eq!(read.to_data(), text.as_bytes());
        assert_eq!(numbers("").expect("empty").get("count"), -1);
        assert_eq!(
            numbers("count=1,,;bytes=2;").map(|n| n.get("bytes")),
            Some(2)
        );
        for text in ["count", "count=", "count=x", ",count=1", "foo"] {
            assert_eq!(numbers(text), None, "{text}");
        }
        assert_eq!(Numbers::parse(None), None);
    }

    #[test]
    fn only_hard_limits_forbid() {
        let stats = Numbers::new(4, 10);
        let soft = numbers("count=1,bytes=1").expect("valid");
        assert!(soft.bounds(1, 0) && !soft.forbids(&stats, 1, 1));
        let hard = numbers("count=-1,bytes=-1=;byteHardLimit=12;countHardLimit=5").expect("valid");
        assert!(!hard.forbids(&stats, 1, 2));
        assert!(hard.forbids(&stats, 2, 0));
        assert!(hard.forbids(&stats, 0, 3));
        assert!(!hard.forbids(&stats, 0, -3));
        // What is not changed is not compared, though it is too much already.
        assert!(!hard.forbids(&Numbers::new(9, 0), 0, 1));
    }

    #[test]
    fn sums_begin_at_what_is_missing() {
        let mut stats = Numbers::default();
        stats.add(1, 5);
        assert_eq!(stats.to_data(), b"count=0,bytes=4");
    }

    #[test]
    fn the_closest_quota_counts() {
        let mut quotas = Quotas::default();
        assert_eq!(quotas.closest("/a/b"), None);
        quotas.insert("/a");
        quotas.insert("/a/b/c");
        assert_eq!(quotas.closest("/a/b"), Some("/a"));
        assert_eq!(quotas.closest("/a/b/c"), Some("/a/b/c"));
        assert_eq!(quotas.closest("/a/b/cd"), Some("/a"));
        assert_eq!(quotas.closest("/ab"), None);
        quotas.remove("/a");
        assert_eq!(quotas.closest("/a/b"), None);
    }

    #[test]
    fn roles_are_told_by_paths() {
        let limits = |at| match role(at) {
            Some(Role::Limits(of)) => Some(of),
            _ => None,
        };
        assert_eq!(
            limits("/zookeeper/quota/a/b/zookeeper_limits"),
            Some("/a/b")
        );
        assert_eq!(limits("/zookeeper/quota/zookeeper_limits"), None);
        assert_eq!(limits("/zookeeper/quotas/zookeeper_limits"), None);
        assert_eq!(limits("/a/zookeeper_limits"), None);
        let stats = role("/zookeeper/quota/a/zookeeper_stats");
        assert!(matches!(stats, Some(Role::Stats("/a"))));
        assert!(role("/zookeeper/quota/a/other").is_none());
        assert!(role("/").is_none());
    }
}
