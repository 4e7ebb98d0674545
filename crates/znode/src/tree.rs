//! The nodes: found by their path, linked with their relatives, counted and summed up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use ottla_jute::Acl;

use crate::acl_table::AclTable;
use crate::digest;
use crate::kind::Kind;
use crate::node::{Node, NodeId, Rare};
use crate::pages::{Pages, Slab};
use crate::path;

/// All nodes and what is derived from them.
#[derive(Debug)]
pub(crate) struct Tree {
    slab: Slab,
    /// Nodes by the hash of their path.
    by_path: HashTable<NodeId>,
    acls: AclTable,
    /// The ephemeral nodes of each session that has some.
    ephemerals: BTreeMap<i64, BTreeSet<NodeId>>,
    ephemerals_count: usize,
    containers: BTreeSet<NodeId>,
    with_ttl: BTreeSet<NodeId>,
    /// Of all paths and data, in ZooKeeper's units.
    data_size: u64,
    digest: u64,
}

impl Tree {
    /// A tree of nothing but this root.
    pub(crate) fn new(mut root: Node, acl: &[Acl]) -> Self {
        let mut tree = Tree {
            slab: Slab::new(),
            by_path: HashTable::new(),
            acls: AclTable::new(),
            ephemerals: BTreeMap::new(),
            ephemerals_count: 0,
            containers: BTreeSet::new(),
            with_ttl: BTreeSet::new(),
            data_size: 0,
            digest: 0,
        };
        root.acl = tree.acls.take(acl);
        root.hash = digest::path(path::ROOT);
        let id = tree.slab.insert(root);
        debug_assert_eq!(id, NodeId::ROOT);
        tree.enter(id, path::ROOT);
        tree.sum_up();
        tree
    }

    /// Room for so many more nodes.
    pub(crate) fn reserve(&mut self, nodes: usize) {
        let pages = self.slab.pages();
        self.by_path.reserve(nodes, |id| pages.node(*id).hash);
    }

    pub(crate) fn count(&self) -> usize {
        self.slab.count()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.slab.has_room()
    }

    pub(crate) fn data_size(&self) -> u64 {
        self.data_size
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn ephemerals_count(&self) -> usize {
        self.ephemerals_count
    }

    pub(crate) fn containers(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.containers.iter().copied()
    }

    pub(crate) fn with_ttl(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.with_ttl.iter().copied()
    }

    /// The sessions that have ephemeral nodes, and how many.
    pub(crate) fn ephemeral_owners(&self) -> impl Iterator<Item = (i64, usize)> + '_ {
        self.ephemerals
            .iter()
            .map(|(session, nodes)| (*session, nodes.len()))
    }

    /// The paths of a session's ephemeral nodes, in their order.
    pub(crate) fn ephemerals(&self, session: i64) -> Vec<String> {
        let nodes = self.ephemerals.get(&session);
        let mut paths: Vec<_> = nodes
            .into_iter()
            .flatten()
            .map(|id| self.path(*id))
            .collect();
        // The nodes' places differ between members.
        paths.sort_unstable();
        paths
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        self.slab.node(id)
    }

    pub(crate) fn pages(&self) -> &Pages {
        self.slab.pages()
    }

    pub(crate) fn acls(&self) -> &AclTable {
        &self.acls
    }

    pub(crate) fn acl(&self, node: &Node) -> &Arc<[Acl]> {
        &self.acls.get(node.acl).acl
    }

    /// Finds a node. The empty path means the root, as in ZooKeeper.
    pub(crate) fn find(&self, path: &str) -> Option<NodeId> {
        if matches!(path, path::ROOT | "") {
            return Some(NodeId::ROOT);
        }
        let hash = digest::path(path);
        let pages = self.slab.pages();
        let found = self.by_path.find(hash, |id| {
            pages.node(*id).hash == hash && has_path(pages, *id, path)
        });
        found.copied()
    }

    /// The path of a node.
    pub(crate) fn path(&self, id: NodeId) -> String {
        path_of(self.slab.pages(), id)
    }

    /// The children in the order in which they were created.
    pub(crate) fn children(&self, id: NodeId) -> Children<'_> {
        let node = self.node(id);
        Children {
            pages: self.slab.pages(),
            next: node.first_child(),
            left: node.children() as usize,
        }
    }

    /// All nodes below, not the node itself: parents before children, siblings in their order.
    pub(crate) fn below(&self, top: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let pages = self.slab.pages();
        std::iter::successors(next_below(pages, top, top), move |at| {
            next_below(pages, *at, top)
        })
    }

    /// Adds a node at the end of its parent's children, and changes the parent. The path must be
    /// free.
    pub(crate) fn insert(
        &mut self,
        parent: NodeId,
        at: &str,
        node: Node,
        acl: &[Acl],
        touch_parent: impl FnOnce(&mut Rare),
    ) -> NodeId {
        let id = self.place(parent, at, node, acl);
        self.change_rare(parent, |parent| {
            parent.children += 1;
            touch_parent(parent);
        });
        self.digest = self.digest.wrapping_add(self.terms(id));
        id
    }

    /// As [`Tree::insert`] for many nodes in a row, without keeping up the digest: when all are
    /// there, [`Tree::sum_up`] computes it. `None` if the path is not free.
    pub(crate) fn append(
        &mut self,
        parent: NodeId,
        at: &str,
        node: Node,
        acl: &[Acl],
    ) -> Option<NodeId> {
        if self.find(at).is_some() {
            return None;
        }
        let id = self.place(parent, at, node, acl);
        self.slab
            .node_mut(parent)
            .change_rare(|parent| parent.children += 1);
        Some(id)
    }

    /// Computes the digest anew.
    pub(crate) fn sum_up(&mut self) {
        let ids = self.slab.pages().ids();
        self.digest = ids.fold(0, |sum, id| sum.wrapping_add(self.terms(id)));
    }

    /// A node's part of the digest.
    fn terms(&self, id: NodeId) -> u64 {
        let node = self.node(id);
        let acl_hash = self.acls.get(node.acl).hash;
        digest::stat(node, acl_hash).wrapping_add(digest::data(node))
    }

    /// Finds a place for a node and links it with its relatives.
    fn place(&mut self, parent: NodeId, at: &str, mut node: Node, acl: &[Acl]) -> NodeId {
        node.acl = self.acls.take(acl);
        node.hash = digest::path(at);
        node.parent = parent;
        let id = self.slab.insert(node);
        let first = self.node(parent).first_child();
        let last = first.get().map(|first| self.node(first).previous);
        match last {
            None => {
                self.slab.node_mut(id).previous = id;
                self.set_first_child(parent, id);
            }
            Some(last) => {
                self.slab.node_mut(id).previous = last;
                self.slab.node_mut(last).next = id;
                self.slab.node_mut(first).previous = id;
            }
        }
        self.enter(id, at);
        id
    }

    /// Takes a node away that has no children and is not the root, and changes its parent.
    pub(crate) fn remove(
        &mut self,
        id: NodeId,
        at: &str,
        touch_parent: impl FnOnce(&mut Rare),
    ) -> Node {
        self.digest = self.digest.wrapping_sub(self.terms(id));
        self.leave(id, at);
        let node = self.slab.remove(id);
        let (parent, previous) = (node.parent, node.previous);
        let first = self.node(parent).first_child();
        if first == id {
            self.set_first_child(parent, node.next);
        } else {
            self.slab.node_mut(previous).next = node.next;
        }
        // Who comes behind it, or else the first one, which knows the last, has another neighbour.
        let behind = node.next.get().unwrap_or(first);
        if behind != id {
            self.slab.node_mut(behind).previous = previous;
        }
        self.change_rare(parent, |parent| {
            parent.children -= 1;
            touch_parent(parent);
        });
        self.acls.give_back(node.acl);
        node
    }

    /// Changes what belongs to the stat.
    pub(crate) fn change(&mut self, id: NodeId, change: impl FnOnce(&mut Node)) {
        let node = self.slab.node_mut(id);
        let acl_hash = self.acls.get(node.acl).hash;
        let before = digest::stat(node, acl_hash);
        change(node);
        let after = digest::stat(node, acl_hash);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
    }

    /// As [`Tree::change`], what only some nodes have.
    pub(crate) fn change_rare(&mut self, id: NodeId, change: impl FnOnce(&mut Rare)) {
        self.change(id, |node| node.change_rare(change));
    }

    fn set_first_child(&mut self, parent: NodeId, first: NodeId) {
        let parent = self.slab.node_mut(parent);
        parent.change_rare(|parent| parent.first_child = first);
    }

    /// Changes the data and nothing else.
    pub(crate) fn set_data(&mut self, id: NodeId, data: Option<&[u8]>) {
        let node = self.slab.node_mut(id);
        let before = digest::data(node);
        self.data_size -= node.data_length() as u64;
        node.set_data(data);
        self.data_size += node.data_length() as u64;
        let after = digest::data(node);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
    }

    /// Changes the ACL and nothing else.
    pub(crate) fn set_acl(&mut self, id: NodeId, acl: &[Acl]) {
        let number = self.acls.take(acl);
        let node = self.slab.node_mut(id);
        let (old, new) = (self.acls.get(node.acl).hash, self.acls.get(number).hash);
        let before = digest::stat(node, old);
        let after = digest::stat(node, new);
        let old = std::mem::replace(&mut node.acl, number);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
        self.acls.give_back(old);
    }

    /// Enters a node that has its place now everywhere but in the digest.
    fn enter(&mut self, id: NodeId, at: &str) {
        let pages = self.slab.pages();
        let node = pages.node(id);
        self.by_path
            .insert_unique(node.hash, id, |id| pages.node(*id).hash);
        self.data_size += size(node, at);
        match node.kind() {
            Kind::Persistent => {}
            Kind::Ephemeral { session } => {
                self.ephemerals.entry(session).or_default().insert(id);
                self.ephemerals_count += 1;
            }
            Kind::Container => {
                self.containers.insert(id);
            }
            Kind::Ttl { .. } => {
                self.with_ttl.insert(id);
            }
        }
    }

    /// The reverse of [`Tree::enter`].
    fn leave(&mut self, id: NodeId, at: &str) {
        let pages = self.slab.pages();
        let node = pages.node(id);
        let hash = node.hash;
        let entry = self
            .by_path
            .entry(hash, |other| *other == id, |id| pages.node(*id).hash);
        if let Entry::Occupied(entry) = entry {
            entry.remove();
        }
        self.data_size -= size(node, at);
        match node.kind() {
            Kind::Persistent => {}
            Kind::Ephemeral { session } => {
                if let Some(nodes) = self.ephemerals.get_mut(&session) {
                    self.ephemerals_count -= usize::from(nodes.remove(&id));
                    if nodes.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
            }
            Kind::Container => {
                self.containers.remove(&id);
            }
            Kind::Ttl { .. } => {
                self.with_ttl.remove(&id);
            }
        }
    }

    /// Compares everything that is derived with the nodes.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.slab.check()?;
        let pages = self.slab.pages();
        let mut reached = 1;
        let (mut data_size, mut sum) = (0, 0_u64);
        let (mut ephemeral, mut containers, mut with_ttl) = (0, 0, 0);
        for id in std::iter::once(NodeId::ROOT).chain(self.below(NodeId::ROOT)) {
            let node = self.node(id);
            let at = self.path(id);
            let children: Vec<_> = self.children(id).map(|(child, _)| child).collect();
            reached += children.len();
            if children.len() != node.children() as usize {
                return Err(format!(
                    "{at} has {} children, not {}",
                    children.len(),
                    node.children()
                ));
            }
            let first = node.first_child().get();
            let last = first.map(|first| self.node(first).previous);
            if last != children.last().copied() || first != children.first().copied() {
                return Err(format!("the children of {at} are not linked to a list"));
            }
            if self.find(&at) != Some(id) || node.hash != digest::path(&at) {
                return Err(format!("{at} cannot be found"));
            }
            data_size += size(node, &at);
            sum = sum.wrapping_add(self.terms(id));
            let indexed = match node.kind() {
                Kind::Persistent => true,
                Kind::Ephemeral { session } => {
                    ephemeral += 1;
                    let nodes = self.ephemerals.get(&session);
                    nodes.is_some_and(|nodes| nodes.contains(&id)) && node.children() == 0
                }
                Kind::Container => {
                    containers += 1;
                    self.containers.contains(&id)
                }
                Kind::Ttl { .. } => {
                    with_ttl += 1;
                    self.with_ttl.contains(&id)
                }
            };
            if !indexed {
                return Err(format!("{at} is not in the index of its kind"));
            }
        }
        let counts = [
            ("nodes that can be reached", reached, self.count()),
            ("paths", self.by_path.len(), self.count()),
            ("ephemeral nodes", ephemeral, self.ephemerals_count),
            ("containers", containers, self.containers.len()),
            ("nodes with a time to live", with_ttl, self.with_ttl.len()),
        ];
        for (what, found, counted) in counts {
            if found != counted {
                return Err(format!("{found} {what}, not {counted}"));
            }
        }
        if (data_size, sum) != (self.data_size, self.digest) {
            return Err("the size of the data or the digest was not kept up".into());
        }
        self.acls.check(pages.ids().map(|id| pages.node(id).acl))
    }
}

/// What a node adds to the size of the data (`DataTree.getNodeSize`).
fn size(node: &Node, at: &str) -> u64 {
    (path::java_length(at) + node.data_length()) as u64
}

/// Compares a node's path with another one, from the end upwards.
fn has_path(pages: &Pages, id: NodeId, path: &str) -> bool {
    let mut rest = path.as_bytes();
    let mut at = id;
    while at != NodeId::ROOT {
        let node = pages.node(at);
        let above = rest
            .strip_suffix(node.name_bytes())
            .and_then(|rest| rest.strip_suffix(b"/"));
        let Some(above) = above else { return false };
        rest = above;
        at = node.parent;
    }
    rest.is_empty()
}

pub(crate) fn path_of(pages: &Pages, id: NodeId) -> String {
    if id == NodeId::ROOT {
        return path::ROOT.to_owned();
    }
    let mut names = Vec::new();
    let mut at = id;
    while at != NodeId::ROOT {
        let node = pages.node(at);
        names.push(node.name());
        at = node.parent;
    }
    let length = names.iter().map(|name| name.len() + 1).sum();
    let mut path = String::with_capacity(length);
    for name in names.iter().rev() {
        path.push('/');
        path.push_str(name);
    }
    path
}

/// The next node of a walk that goes through everything below `top`.
pub(crate) fn next_below(pages: &Pages, at: NodeId, top: NodeId) -> Option<NodeId> {
    let mut at = at;
    if let Some(child) = pages.node(at).first_child().get() {
        return Some(child);
    }
    while at != top {
        let node = pages.node(at);
        if let Some(next) = node.next.get() {
            return Some(next);
        }
        at = node.parent;
    }
    None
}

/// The children of a node.
#[derive(Debug, Clone)]
pub(crate) struct Children<'a> {
    pages: &'a Pages,
    next: NodeId,
    left: usize,
}

impl<'a> Iterator for Children<'a> {
    type Item = (NodeId, &'a Node);

    fn next(&mut self) -> Option<Self::Item> {
        let id = self.next.get()?;
        let node = self.pages.node(id);
        self.next = node.next;
        self.left = self.left.saturating_sub(1);
        Some((id, node))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Children<'_> {}
