//! Hashes that are the same on all members.
//!
//! The state's digest is a sum over its parts, so that their order does not matter and a change
//! costs no more than the part that it changes: for every node one term for what its stat and its
//! ACL are, one for its data, for every session one, and one for a state that is on its way in.

use ottla_jute::Acl;
use twox_hash::XxHash3_64;

use crate::node::Node;
use crate::session::Session;

const DATA_SEED: u64 = 1;
const NULL_DATA_SEED: u64 = 2;
const SESSION_SEED: u64 = 3;
const INCOMING_SEED: u64 = 4;

/// The hash of a path, by which nodes are found.
pub(crate) fn path(path: &str) -> u64 {
    XxHash3_64::oneshot(path.as_bytes())
}

/// The hash of an ACL.
pub(crate) fn acl(acl: &[Acl]) -> u64 {
    let mut bytes = Vec::new();
    for entry in acl {
        bytes.extend_from_slice(&entry.perms.to_le_bytes());
        for text in [&entry.id.scheme, &entry.id.id] {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    XxHash3_64::oneshot(&bytes)
}

fn words<const N: usize>(seed: u64, words: [u64; N]) -> u64 {
    // Nodes have 10 words, sessions fewer.
    let mut bytes = [0_u8; 80];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    XxHash3_64::oneshot_with_seed(seed, &bytes)
}

fn pair(high: i32, low: i32) -> u64 {
    (u64::from(high.cast_unsigned()) << 32) | u64::from(low.cast_unsigned())
}

/// A node's term for everything but its data.
pub(crate) fn stat(node: &Node, acl_hash: u64) -> u64 {
    let rare = node.rare();
    words(
        node.hash,
        [
            node.czxid().cast_unsigned(),
            node.mzxid.cast_unsigned(),
            rare.pzxid.cast_unsigned(),
            node.ctime_ms.cast_unsigned(),
            node.mtime_ms.cast_unsigned(),
            rare.owner.cast_unsigned(),
            pair(node.version, rare.cversion),
            pair(rare.aversion, rare.children.cast_signed()),
            acl_hash,
            node.hash,
        ],
    )
}

/// A node's term for its data.
pub(crate) fn data(node: &Node) -> u64 {
    match node.data() {
        Some(data) => XxHash3_64::oneshot_with_seed(node.hash ^ DATA_SEED, data),
        None => XxHash3_64::oneshot_with_seed(node.hash ^ NULL_DATA_SEED, &[]),
    }
}

/// The hash of parts of a state that is on its way in, with one more.
pub(crate) fn part(before: u64, ends: bool, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(before.wrapping_mul(2) | u64::from(ends), bytes)
}

/// The term of a state that is on its way in.
pub(crate) fn incoming(restore: u64, last_ms: i64, parts: u64, hash: u64) -> u64 {
    words(
        INCOMING_SEED,
        [restore, last_ms.cast_unsigned(), parts, hash],
    )
}

/// A session's term.
pub(crate) fn session(id: i64, session: &Session) -> u64 {
    let password = u128::from_le_bytes(session.password);
    words(
        SESSION_SEED,
        [
            id.cast_unsigned(),
            u64::from(session.timeout_ms.cast_unsigned()),
            session.owner.server,
            session.owner.attach,
            password as u64,
            (password >> 64) as u64,
        ],
    )
}
