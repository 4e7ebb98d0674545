//! A look into consumers' subscriptions: which topics a group reads.

use std::collections::BTreeSet;
use std::sync::Arc;

/// The topics of a `ConsumerProtocolSubscription`. Every version begins like version 0: the
/// version, then an array of names; what follows does not matter here. `None` when the bytes are
/// something else, as they may be: the protocol is the clients' own affair.
pub(crate) fn topics(metadata: &[u8]) -> Option<BTreeSet<Arc<str>>> {
    let (version, rest) = metadata.split_first_chunk::<2>()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = i32::from_be_bytes(*count);
    if count < 0 {
        return None;
    }
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        let (len, after) = rest.split_first_chunk::<2>()?;
        let len = usize::try_from(i16::from_be_bytes(*len)).ok()?;
        let name = std::str::from_utf8(after.get(..len)?).ok()?;
        topics.insert(name.into());
        rest = after.get(len..)?;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::topics;

    #[test]
    fn topics_are_found_in_every_version() {
        let v3 = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff";
        let found: Vec<_> = topics(v3).unwrap().into_iter().collect();
        assert_eq!(found, vec!["a".into(), "bc".into()]);
    }

    #[test]
    fn other_bytes_are_not_a_subscription() {
        assert!(topics(b"").is_none());
        assert!(topics(b"\0\0\x7f\xff\xff\xff\0\x01a").is_none());
        assert!(topics(b"\0\0\xff\xff\xff\xff").is_none());
        assert!(topics(b"\0\0\0\0\0\x01\0\x02\xff\xff").is_none());
    }
}
