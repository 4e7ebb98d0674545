//! One node in memory.

use std::sync::Arc;

use ottla_jute::{Stat, StatPersisted};

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

/// A node. There may be millions of them: name and data share one allocation, what only some nodes
/// have lies apart, and everything else in these 88 bytes.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The name, then the data.
    payload: Arc<[u8]>,
    /// `None` for what [`Node::common`] says.
    rare: Option<Box<Rare>>,
    /// The hash of the path.
    pub(crate) hash: u64,
    czxid: i64,
    pub(crate) mzxid: i64,
    pub(crate) ctime_ms: i64,
    pub(crate) mtime_ms: i64,
    pub(crate) version: i32,
    name_bytes: u32,
    pub(crate) parent: NodeId,
    pub(crate) next: NodeId,
    /// The one before; that of the first child is the last one.
    pub(crate) previous: NodeId,
    /// The number of the ACL in the table.
    pub(crate) acl: u32,
}

/// What a node has that had children, is not simply persistent, or has got another ACL. Most nodes
/// are leaves that have none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rare {
    pub(crate) pzxid: i64,
    /// See [`Kind`].
    pub(crate) owner: i64,
    /// How many children were ever created.
    pub(crate) cversion: i32,
    pub(crate) aversion: i32,
    pub(crate) children: u32,
    pub(crate) first_child: NodeId,
}

/// A vacant place's name cannot be so long.
const VACANT: u32 = NULL - 1;

impl Node {
    /// A node without relatives that was created by this transaction.
    pub(crate) fn new(name: &str, data: Option<&[u8]>, zxid: i64, now_ms: i64, kind: Kind) -> Self {
        let mut node = Node {
            payload: Arc::default(),
            rare: None,
            hash: 0,
            czxid: zxid,
            mzxid: zxid,
            ctime_ms: now_ms,
            mtime_ms: now_ms,
            version: 0,
            name_bytes: 0,
            parent: NodeId::NONE,
            next: NodeId::NONE,
            previous: NodeId::NONE,
            acl: 0,
        };
        node.fill(name.as_bytes(), data);
        node.change_rare(|rare| rare.owner = kind.owner());
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

    /// What a persistent leaf has that nothing has happened to but changes of its data.
    fn common(&self) -> Rare {
        Rare {
            pzxid: self.czxid,
            owner: Kind::Persistent.owner(),
            cversion: 0,
            aversion: 0,
            children: 0,
            first_child: NodeId::NONE,
        }
    }

    pub(crate) fn rare(&self) -> Rare {
        self.rare.as_deref().copied().unwrap_or(self.common())
    }

    pub(crate) fn change_rare(&mut self, change: impl FnOnce(&mut Rare)) {
        let mut rare = self.rare();
        change(&mut rare);
        if rare == self.common() {
            self.rare = None;
        } else if let Some(place) = &mut self.rare {
            **place = rare;
        } else {
            self.rare = Some(Box::new(rare));
        }
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

    pub(crate) fn czxid(&self) -> i64 {
        self.czxid
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::of_owner(self.rare().owner)
    }

    pub(crate) fn children(&self) -> u32 {
        self.rare().children
    }

    pub(crate) fn first_child(&self) -> NodeId {
        self.rare().first_child
    }

    /// What snapshots have of it beside name, data and ACL.
    pub(crate) fn persisted(&self) -> StatPersisted {
        let rare = self.rare();
        StatPersisted {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime_ms,
            mtime: self.mtime_ms,
            version: self.version,
            cversion: rare.cversion,
            aversion: rare.aversion,
            ephemeral_owner: rare.owner,
            pzxid: rare.pzxid,
        }
    }

    /// The reverse of [`Node::persisted`].
    pub(crate) fn set_persisted(&mut self, stat: &StatPersisted) {
        // What is not kept follows from the node's own zxid, which changes here.
        let rare = Rare {
            pzxid: stat.pzxid,
            owner: stat.ephemeral_owner,
            cversion: stat.cversion,
            aversion: stat.aversion,
            ..self.rare()
        };
        self.czxid = stat.czxid;
        self.mzxid = stat.mzxid;
        self.ctime_ms = stat.ctime;
        self.mtime_ms = stat.mtime;
        self.version = stat.version;
        self.change_rare(|of| *of = rare);
    }

    /// What clients see. They count changes of the children: each one that is not there any more
    /// was created and deleted (`DataNode.copyStat`).
    pub(crate) fn stat(&self) -> Stat {
        let rare = self.rare();
        let children = rare.children.cast_signed();
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime_ms,
            mtime: self.mtime_ms,
            version: self.version,
            cversion: rare.cversion.wrapping_mul(2).wrapping_sub(children),
            aversion: rare.aversion,
            ephemeral_owner: self.kind().visible_owner(),
            data_length: i32::try_from(self.data_length()).unwrap_or(i32::MAX),
            num_children: children,
            pzxid: rare.pzxid,
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
        assert_eq!(size_of::<Node>(), 88);
        // A size class of allocators.
        assert_eq!(size_of::<Rare>(), 32);
    }

    #[test]
    fn what_most_nodes_have_takes_no_memory_of_its_own() {
        let mut node = Node::new("n", None, 7, 2, Kind::Persistent);
        assert!(node.rare.is_none());
        assert_eq!(node.rare().pzxid, 7);
        node.change_rare(|rare| rare.children = 1);
        assert_eq!((node.children(), node.rare().pzxid), (1, 7));
        node.change_rare(|rare| rare.children = 0);
        assert!(node.rare.is_none());
        assert!(Node::new("n", None, 7, 2, Kind::Container).rare.is_some());
    }

    #[test]
    fn a_stat_from_a_snapshot_is_taken_as_it_is() {
        let told = |czxid, pzxid, cversion| StatPersisted {
            czxid,
            mzxid: 3,
            ctime: 4,
            mtime: 5,
            version: 6,
            cversion,
            pzxid,
            ..StatPersisted::default()
        };
        let mut node = Node::new("n", None, 1, 2, Kind::Persistent);
        for stat in [told(7, 7, 0), told(8, 7, 0), told(7, 8, 1), told(9, 9, 0)] {
            node.set_persisted(&stat);
            assert_eq!(node.persisted(), stat);
        }
        assert!(node.rare.is_none());
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
        node.change_rare(|rare| (rare.cversion, rare.children) = (5, 2));
        let stat = node.stat();
        assert_eq!((stat.cversion, stat.num_children), (8, 2));
        assert_eq!(stat.ephemeral_owner, 0);
    }
}
