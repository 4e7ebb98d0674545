//! ACLs, each kept once: most nodes have one of a few (`ReferenceCountedACLCache`).

use std::collections::HashMap;
use std::sync::Arc;

use ottla_jute::Acl;

use crate::digest;

/// The number of the ACL that most nodes have; it is always there.
pub(crate) const OPEN: u32 = 0;

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) acl: Arc<[Acl]>,
    /// The same on all members, unlike the entry's number.
    pub(crate) hash: u64,
    nodes: usize,
}

/// Numbers for ACLs.
#[derive(Debug)]
pub(crate) struct AclTable {
    entries: Vec<Option<Entry>>,
    numbers: HashMap<Arc<[Acl]>, u32>,
    free: Vec<u32>,
}

impl AclTable {
    pub(crate) fn new() -> Self {
        let mut table = AclTable {
            entries: Vec::new(),
            numbers: HashMap::new(),
            free: Vec::new(),
        };
        // One more than the nodes that have it, so that it stays.
        table.take(&[Acl::open()]);
        table
    }

    /// The number of an ACL for one more node.
    pub(crate) fn take(&mut self, acl: &[Acl]) -> u32 {
        if let Some(number) = self.numbers.get(acl) {
            let number = *number;
            if let Some(Some(entry)) = self.entries.get_mut(number as usize) {
                entry.nodes += 1;
            }
            return number;
        }
        let acl: Arc<[Acl]> = acl.into();
        let entry = Entry {
            hash: digest::acl(&acl),
            acl: Arc::clone(&acl),
            nodes: 1,
        };
        let number = self.free.pop().unwrap_or(self.entries.len() as u32);
        match self.entries.get_mut(number as usize) {
            Some(place) => *place = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        self.numbers.insert(acl, number);
        number
    }

    /// One node less has the ACL.
    pub(crate) fn give_back(&mut self, number: u32) {
        let Some(place) = self.entries.get_mut(number as usize) else {
            return;
        };
        let Some(entry) = place else { return };
        entry.nodes -= 1;
        if entry.nodes == 0 {
            self.numbers.remove(&entry.acl);
            self.free.push(number);
            *place = None;
        }
    }

    /// The ACL of a number that a node has.
    ///
    /// # Panics
    ///
    /// If it is not there: then the counters are broken.
    pub(crate) fn get(&self, number: u32) -> &Entry {
        match &self.entries[number as usize] {
            Some(entry) => entry,
            None => panic!("a node has ACL {number}, which is not in the table"),
        }
    }

    /// All ACLs by their numbers, for a view.
    pub(crate) fn all(&self) -> Vec<Option<Arc<[Acl]>>> {
        let acl = |entry: &Option<Entry>| entry.as_ref().map(|entry| Arc::clone(&entry.acl));
        self.entries.iter().map(acl).collect()
    }

    /// Compares the counters with the numbers that nodes have.
    pub(crate) fn check(&self, of_nodes: impl Iterator<Item = u32>) -> Result<(), String> {
        let mut nodes = vec![0_usize; self.entries.len()];
        nodes[OPEN as usize] = 1;
        for number in of_nodes {
            *nodes
                .get_mut(number as usize)
                .ok_or_else(|| format!("a node has ACL {number}, which is not in the table"))? += 1;
        }
        for (number, (entry, nodes)) in self.entries.iter().zip(nodes).enumerate() {
            let counted = entry.as_ref().map_or(0, |entry| entry.nodes);
            if counted != nodes {
                return Err(format!(
                    "ACL {number} has {nodes} nodes, and {counted} were counted"
                ));
            }
            let known = entry.as_ref().map(|entry| self.numbers.get(&entry.acl));
            if known.is_some_and(|known| known != Some(&(number as u32))) {
                return Err(format!("ACL {number} cannot be found"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acl_lives_as_long_as_nodes_have_it() {
        let mut table = AclTable::new();
        assert_eq!(table.take(&[Acl::open()]), OPEN);
        let first = table.take(&[Acl::readable()]);
        assert_eq!(table.take(&[Acl::readable()]), first);
        assert_eq!(&*table.get(first).acl, [Acl::readable()]);
        table.give_back(first);
        table
            .check([first, OPEN].into_iter())
            .expect("one node is left");
        table.give_back(first);
        table.give_back(OPEN);
        table.check(std::iter::empty()).expect("no node is left");
        assert_eq!(table.take(&[Acl::creator()]), first);
        assert_eq!(&*table.get(OPEN).acl, [Acl::open()]);
    }
}
