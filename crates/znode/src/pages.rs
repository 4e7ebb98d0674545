//! Nodes in pages that are copied when they change while a view shares them: a view of a million
//! nodes is some ten thousand counted references.

use std::sync::Arc;

use crate::node::{Node, NodeId};

/// So many nodes and the page's counters fill 8 KiB, or nearly, which wastes little in allocators with
/// size classes.
const NODES: usize = 92;

type Page = [Node; NODES];

/// All places of nodes.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pages: Vec<Arc<Page>>,
}

/// The pages, and what is known about their vacant places.
#[derive(Debug)]
pub(crate) struct Slab {
    pages: Pages,
    /// How many nodes each page has.
    used: Vec<u8>,
    free: Vec<NodeId>,
    /// What stands for pages without nodes, so that they take no memory.
    vacant: Arc<Page>,
    count: usize,
}

fn place(id: NodeId) -> (usize, usize) {
    let index = id.0 as usize;
    (index / NODES, index % NODES)
}

impl Pages {
    /// The node; a vacant place counts as none.
    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        let (page, at) = place(id);
        self.pages
            .get(page)
            .and_then(|page| page.get(at))
            .filter(|node| !node.is_vacant())
    }

    /// A node that is there.
    ///
    /// # Panics
    ///
    /// If it is not: then the tree's links are broken.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        let (page, at) = place(id);
        &self.pages[page][at]
    }

    /// Every place that has a node.
    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        let places = self.pages.len() * NODES;
        (0..places)
            .map(|index| NodeId(index as u32))
            .filter(|id| self.get(*id).is_some())
    }
}

impl Slab {
    pub(crate) fn new() -> Self {
        Slab {
            pages: Pages { pages: Vec::new() },
            used: Vec::new(),
            free: Vec::new(),
            vacant: Arc::new(std::array::from_fn(|_| Node::vacant())),
            count: 0,
        }
    }

    /// How many nodes there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        self.pages.get(id)
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        self.pages.node(id)
    }

    /// The node, to be changed; what views see stays as it is.
    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        let (page, at) = place(id);
        &mut Arc::make_mut(&mut self.pages.pages[page])[at]
    }

    /// Whether one more node finds a place: links have 32 bits.
    pub(crate) fn has_room(&self) -> bool {
        self.count < (u32::MAX - 1) as usize - NODES
    }

    pub(crate) fn insert(&mut self, node: Node) -> NodeId {
        if self.free.is_empty() {
            let first = self.pages.pages.len() * NODES;
            self.pages.pages.push(Arc::clone(&self.vacant));
            self.used.push(0);
            let places = (first..first + NODES).rev();
            self.free.extend(places.map(|index| NodeId(index as u32)));
        }
        let id = self.free.pop().unwrap_or(NodeId::NONE);
        *self.node_mut(id) = node;
        self.used[place(id).0] += 1;
        self.count += 1;
        id
    }

    pub(crate) fn remove(&mut self, id: NodeId) -> Node {
        let page = place(id).0;
        let node = std::mem::replace(self.node_mut(id), Node::vacant());
        self.used[page] -= 1;
        if self.used[page] == 0 {
            self.pages.pages[page] = Arc::clone(&self.vacant);
        }
        self.free.push(id);
        self.count -= 1;
        node
    }

    /// Compares the counters with the places.
    pub(crate) fn check(&self) -> Result<(), String> {
        let count = self.pages.ids().count();
        if count != self.count {
            return Err(format!("{count} nodes where {} were counted", self.count));
        }
        for (page, used) in self.used.iter().enumerate() {
            let nodes = self.pages.pages[page]
                .iter()
                .filter(|node| !node.is_vacant())
                .count();
            if nodes != usize::from(*used) {
                return Err(format!(
                    "page {page} has {nodes} nodes, and {used} were counted"
                ));
            }
        }
        let places = self.pages.pages.len() * NODES;
        if self.free.len() + count != places {
            return Err(format!("{} of {places} places are free", self.free.len()));
        }
        let vacant = |id: &NodeId| self.get(*id).is_none();
        if !self.free.iter().all(vacant) {
            return Err("a free place has a node".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    fn node(name: &str) -> Node {
        Node::new(name, None, 1, 1, Kind::Persistent)
    }

    #[test]
    fn a_page_fills_its_size_class() {
        // A counted allocation has two counters in front.
        let bytes = size_of::<Page>() + 16;
        assert!(bytes <= 8192 && bytes + size_of::<Node>() > 8192, "{bytes}");
    }

    #[test]
    fn a_clone_of_the_pages_does_not_see_changes() {
        let mut slab = Slab::new();
        let ids: Vec<_> = (0..200)
            .map(|n| slab.insert(node(&n.to_string())))
            .collect();
        let before = slab.pages().clone();
        for id in &ids[..100] {
            slab.remove(*id);
        }
        slab.node_mut(ids[150]).version = 7;
        slab.insert(node("new"));
        slab.check().expect("the counters are right");
        assert_eq!(slab.count(), 101);
        assert_eq!(before.ids().count(), 200);
        for (n, id) in ids.iter().enumerate() {
            let seen = before.get(*id).map(|node| (node.name(), node.version));
            assert_eq!(seen, Some((n.to_string().as_str(), 0)));
        }
    }

    #[test]
    fn pages_without_nodes_take_no_memory_and_are_used_again() {
        let mut slab = Slab::new();
        let ids: Vec<_> = (0..3 * NODES).map(|_| slab.insert(node("n"))).collect();
        for id in &ids {
            slab.remove(*id);
        }
        slab.check().expect("the counters are right");
        let is_vacant = |page: &Arc<Page>| Arc::ptr_eq(page, &slab.vacant);
        assert!(slab.pages.pages.iter().all(is_vacant));
        for _ in &ids {
            slab.insert(node("n"));
        }
        assert_eq!(slab.pages.pages.len(), 3);
        slab.check().expect("the counters are right");
    }
}
