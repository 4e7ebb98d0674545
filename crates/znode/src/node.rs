//! One node in memory.

use std::sync::Arc;

use ottla_jute::Stat;

use crate::kind::Kind;

/// The place of a node in the pages. It is this member's own: after a restart, or on another
/// member, the same node may be elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) u32);

impl NodeId {
    /// The root's.
    pub(crate) const ROOT: NodeId = NodeId(0);
    /// No node: the end of a list.
    pub(crate) const NONE: NodeId = NodeId(u32::MAX);

    /// `None` for [`NodeId::NONE`].
    pub(crate) fn get(self) -> Option<NodeId> {
        (self != NodeId::NONE).then_some(self)
    }
}

/// In `name_bytes`: the data are null, which is not the same as empty.
const NULL: u32 = 1 << 31;

/// A node. There may be millions of them: name and data share one allocation, and everything else
/// lies in these 112 bytes.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The name, then the data.
    payload: Arc<[u8]>,
    /// The hash of the path.
    pub(crate) hash: u64,
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
    pub(crate) pzxid: i64,
    pub(crate) ctime_ms: i64,
    pub(crate) mtime_ms: i64,
    /// See [`Kind`].
    pub(crate) owner: i64,
    pub(crate) version: i32,
    /// How many children were ever created.
    pub(crate) cversion: i32,
    pub(crate) aversion: i32,
    name_bytes: u32,
    pub(crate) parent: NodeId,
    pub(crate) next: NodeId,
    /// The one before; that of the first child is the last one.
    pub(crate) previous: NodeId,
    pub(crate) first_child: NodeId,
    pub(crate) children: u32,
    /// The number of the ACL in the table.
    pub(crate) acl: u32,
}

/// A vacant place's name cannot be so long.
const VACANT: u32 = NULL - 1;

impl Node {
    /// A node without relatives that was created by this transaction.
    pub(crate) fn new(name: &str, data: Option<&[u8]>, zxid: i64, now_ms: i64, kind: Kind) -> Self {
        let mut node = Node {
            payload: Arc::default(),
            hash: 0,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime_ms: now_ms,
            mtime_ms: now_ms,
            owner: kind.owner(),
            version: 0,
            cversion: 0,
            aversion: 0,
            name_bytes: 0,
            parent: NodeId::NONE,
            next: NodeId::NONE,
            previous: NodeId::NONE,
            first_child: NodeId::NONE,
            children: 0,
            acl: 0,
        };
        node.fill(name.as_bytes(), data);
        node
    }

    /// What a place has while no node is there.
    pub(crate) fn vacant() -> Self {
        let mut node = Node::new("", None, 0, 0, Kind::Persistent);
        node.name_bytes = VACANT;
        node
    }

    pub(crate) fn is_vacant(&self) -> bool {
        self.name_bytes == VACANT
    }

    fn fill(&mut self, name: &[u8], data: Option<&[u8]>) {
        let bytes = data.unwrap_or_default();
        self.payload = if bytes.len() < COPY_BYTES {
            name.iter().chain(bytes).copied().collect()
        } else {
            [name, bytes].concat().into()
        };
        // A name is part of a frame, which is shorter.
        let length = u32::try_from(name.len()).unwrap_or(0);
        self.name_bytes = length | if data.is_none() { NULL } else { 0 };
    }

    fn name_length(&self) -> usize {
        (self.name_bytes & !NULL) as usize
    }

    pub(crate) fn name_bytes(&self) -> &[u8] {
        self.payload.get(..self.name_length()).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        // It was a `str` when it came.
        std::str::from_utf8(self.name_bytes()).unwrap_or_default()
    }

    pub(crate) fn data(&self) -> Option<&[u8]> {
        if self.name_bytes & NULL != 0 {
            return None;
        }
        self.payload.get(self.name_length()..)
    }

    pub(crate) fn data_length(&self) -> usize {
        self.data().map_or(0, <[u8]>::len)
    }

    pub(crate) fn set_data(&mut self, data: Option<&[u8]>) {
        let payload = Arc::clone(&self.payload);
        let name = payload.get(..self.name_length()).unwrap_or_default();
        self.fill(name, data);
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::of_owner(self.owner)
    }

    /// What clients see. They count changes of the children: each one that is not there any more
    /// was created and deleted (`DataNode.copyStat`).
    pub(crate) fn stat(&self) -> Stat {
        let children = self.children.cast_signed();
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime_ms,
            mtime: self.mtime_ms,
            version: self.version,
            cversion: self.cversion.wrapping_mul(2).wrapping_sub(children),
            aversion: self.aversion,
            ephemeral_owner: self.kind().visible_owner(),
            data_length: i32::try_from(self.data_length()).unwrap_or(i32::MAX),
            num_children: children,
            pzxid: self.pzxid,
        }
    }
}

/// Shorter data are copied byte by byte into their place; longer ones at once, but twice.
const COPY_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_small() {
        assert_eq!(size_of::<Node>(), 112);
    }

    #[test]
    fn name_and_data_are_told_apart_and_null_is_not_empty() {
        let long = vec![9; 2 * COPY_BYTES];
        for data in [None, Some(&b""[..]), Some(b"data"), Some(&long)] {
            let mut node = Node::new("name", data, 1, 2, Kind::Persistent);
            assert_eq!((node.name(), node.data()), ("name", data));
            for other in [Some(&b"x"[..]), None, Some(b""), Some(&long)] {
                node.set_data(other);
                assert_eq!((node.name(), node.data()), ("name", other));
                assert_eq!(node.data_length(), other.map_or(0, <[u8]>::len));
            }
        }
        assert!(Node::vacant().is_vacant());
        assert!(!Node::new("", None, 0, 0, Kind::Persistent).is_vacant());
    }

    #[test]
    fn clients_see_the_changes_of_children() {
        let mut node = Node::new("n", None, 1, 2, Kind::Container);
        node.cversion = 5;
        node.children = 2;
        let stat = node.stat();
        assert_eq!((stat.cversion, stat.num_children), (8, 2));
        assert_eq!(stat.ephemeral_owner, 0);
    }
}
