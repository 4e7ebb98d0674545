//! Takes over the state of a real ZooKeeper: its last snapshot, and the transactions of its log
//! behind that.
//!
//! Transactions are carried out as `DataTree.processTxn` does when ZooKeeper starts: they were decided
//! long ago, and a snapshot that was written while the server worked may have the effects of some of
//! them already. What has happened before is not an error then.

use std::io::Read;

use ottla_jute::files::{LogEntry, SnapshotNode, SnapshotReader, Txn, TxnHeader};
use ottla_jute::{Acl, StatPersisted};

use crate::commit::Moment;
use crate::error::Error;
use crate::kind::Kind;
use crate::node::Node;
use crate::path;
use crate::quota::{self, Role};
use crate::session::{Owner, Session};
use crate::state::State;

/// A state on its way in.
///
/// In this order: a snapshot ([`Import::snapshot`], or its sessions and nodes one by one), if there is
/// one; then the entries of the log, from the one behind the snapshot's zxid on; then
/// [`Import::finish`].
#[derive(Debug, Default)]
pub struct Import {
    state: State,
}

/// Nobody speaks for a session until its client has come back.
const NOBODY: Owner = Owner {
    server: 0,
    attach: 0,
};

impl Import {
    /// Nothing so far.
    #[must_use]
    pub fn new() -> Self {
        Import::default()
    }

    /// A whole snapshot, decompressed. The last change is the newest one that the snapshot names; the
    /// name of its file may tell of a newer one ([`Import::snapshot_zxid`]).
    pub fn snapshot(&mut self, source: impl Read) -> Result<(), Error> {
        let mut reader = SnapshotReader::new(source)?;
        for (id, timeout_ms) in reader.sessions() {
            self.session(*id, *timeout_ms);
        }
        while let Some(node) = reader.next() {
            let node = node?;
            self.node(&node, reader.acl(node.acl))?;
            let stat = &node.stat;
            for zxid in [stat.czxid, stat.mzxid, stat.pzxid] {
                self.snapshot_zxid(zxid);
            }
        }
        let of_digest = reader.digest().map(|digest| digest.zxid);
        for zxid in of_digest.into_iter().chain(reader.last_zxid()) {
            self.snapshot_zxid(zxid);
        }
        Ok(())
    }

    /// A session of the snapshot.
    pub fn session(&mut self, id: i64, timeout_ms: i32) {
        if Kind::is_session_id(id) {
            let session = Session {
                password: password(id),
                timeout_ms,
                owner: NOBODY,
            };
            self.state.put_session(id, session);
        }
    }

    /// A node of the snapshot and its ACL. Without an ACL, which the snapshot may lack, nobody but
    /// `super` may use the node.
    pub fn node(&mut self, node: &SnapshotNode, acl: Option<&[Acl]>) -> Result<(), Error> {
        let nobody = [Acl::new(0, ottla_jute::Id::anyone())];
        let acl = acl.unwrap_or(&nobody);
        let data = node.data.as_deref();
        let stat = &node.stat;
        let fill = |of: &mut Node| {
            // The owner says what kind the node is, and that one is kept.
            let ephemeral_owner = of.rare().owner;
            of.set_persisted(&StatPersisted {
                ephemeral_owner,
                ..*stat
            });
        };
        let tree = &mut self.state.tree;
        // ZooKeeper's own nodes are there from the beginning.
        if let Some(id) = tree.find(&node.path) {
            tree.set_data(id, data);
            tree.set_acl(id, acl);
            tree.change(id, fill);
            return Ok(());
        }
        let contradiction = |reason: &str| Error::Snapshot {
            at: node.path.clone(),
            reason: reason.into(),
        };
        if !path::is_valid(&node.path) || !tree.has_room() {
            return Err(contradiction("no node can have this path"));
        }
        let parent = path::parent(&node.path).and_then(|parent| tree.find(parent));
        let parent = parent.ok_or_else(|| contradiction("its parent is missing"))?;
        if matches!(tree.node(parent).kind(), Kind::Ephemeral { .. }) {
            return Err(contradiction("its parent is ephemeral"));
        }
        let kind = Kind::of_owner(stat.ephemeral_owner);
        let mut new = Node::new(path::name(&node.path), data, 0, 0, kind);
        fill(&mut new);
        tree.insert(parent, &node.path, new, acl, |_| {});
        Ok(())
    }

    /// The zxid of the snapshot's name.
    pub fn snapshot_zxid(&mut self, zxid: i64) {
        self.state.last_zxid = self.state.last_zxid.max(zxid);
    }

    /// A transaction of the log.
    pub fn replay(&mut self, entry: &LogEntry) {
        self.carry_out(&entry.header, &entry.txn);
        self.state.last_zxid = self.state.last_zxid.max(entry.header.zxid);
    }

    fn carry_out(&mut self, header: &TxnHeader, txn: &Txn) {
        let zxid = header.zxid;
        match txn {
            Txn::CreateSession { timeout_ms } => self.session(header.session, *timeout_ms),
            Txn::CloseSession(close) => {
                for path in close.paths.iter().flatten() {
                    self.delete(path, zxid);
                }
                self.state.delete_ephemerals(header.session, zxid);
                self.state.remove_session(header.session);
            }
            Txn::Create(create) => {
                let kind = if create.ephemeral {
                    Kind::of_owner(header.session)
                } else {
                    Kind::Persistent
                };
                let data = create.data.as_deref();
                let cversion = create.parent_cversion;
                self.create(header, &create.path, data, &create.acl, kind, cversion);
            }
            Txn::CreateContainer(create) => {
                let data = create.data.as_deref();
                let cversion = create.parent_cversion;
                let kind = Kind::Container;
                self.create(header, &create.path, data, &create.acl, kind, cversion);
            }
            Txn::CreateTtl(create) => {
                let data = create.data.as_deref();
                let cversion = create.parent_cversion;
                let kind = Kind::Ttl {
                    ttl_ms: create.ttl_ms,
                };
                self.create(header, &create.path, data, &create.acl, kind, cversion);
            }
            Txn::Delete { path } => self.delete(path, zxid),
            Txn::SetData(set) => {
                let at = Moment {
                    zxid,
                    now_ms: header.time_ms,
                };
                self.state
                    .set_node_data(&set.path, &set.data, set.version, at, &mut Vec::new());
            }
            Txn::SetAcl(set) => {
                if let Some(id) = self.state.tree.find(&set.path) {
                    self.state.tree.set_acl(id, &set.acl);
                    self.state
                        .tree
                        .change_rare(id, |node| node.aversion = set.version);
                }
            }
            Txn::Multi(txns) => {
                let failed = txns.iter().any(|txn| matches!(txn, Txn::Error { .. }));
                for txn in txns.iter().filter(|_| !failed) {
                    self.carry_out(header, txn);
                }
            }
            Txn::Check(_) | Txn::Error { .. } => {}
        }
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        path: &str,
        data: Option<&[u8]>,
        acl: &[Acl],
        kind: Kind,
        parent_cversion: i32,
    ) {
        let zxid = header.zxid;
        let above = path::parent(path).unwrap_or(path::ROOT);
        let (Some(parent), true) = (self.state.tree.find(above), path::is_valid(path)) else {
            return;
        };
        let has = self.state.tree.node(parent);
        let (cversion, pzxid) = (has.rare().cversion, has.rare().pzxid);
        match self.state.tree.find(path) {
            // The snapshot has the node already, but perhaps not yet its ACL.
            Some(id) => self.state.tree.set_acl(id, acl),
            None => {
                let name = path::name(path);
                let node = Node::new(name, data, zxid, header.time_ms, kind);
                self.state.create_node(path, node, acl, zxid);
            }
        }
        // The counter of the transaction holds, unless the parent knows of more.
        let wanted = match parent_cversion {
            -1 => cversion.wrapping_add(1),
            wanted => wanted,
        };
        self.state.tree.change_rare(parent, |parent| {
            (parent.cversion, parent.pzxid) = if wanted > cversion {
                (wanted, zxid)
            } else {
                (cversion, pzxid)
            };
        });
    }

    fn delete(&mut self, path: &str, zxid: i64) {
        let Some(id) = self.state.tree.find(path) else {
            // The node is gone from the snapshot already, but perhaps its parent does not show it.
            let parent = path::parent(path).and_then(|parent| self.state.tree.find(parent));
            if let Some(parent) = parent {
                self.state.tree.change_rare(parent, |parent| {
                    parent.pzxid = parent.pzxid.max(zxid);
                });
            }
            return;
        };
        if !path::is_special(path) && self.state.tree.node(id).children() == 0 {
            self.state.delete_node(path, zxid);
        }
    }

    /// The state. Ephemeral nodes whose session is gone go, too, and what quotas count is counted
    /// anew (`ZooKeeperServer.loadData`, `DataTree.setupQuota`).
    #[must_use]
    pub fn finish(mut self) -> State {
        let state = &mut self.state;
        let owners: Vec<i64> = state.tree.ephemeral_owners().map(|(id, _)| id).collect();
        for session in owners {
            if state.session(session).is_none() {
                state.delete_ephemerals(session, state.last_zxid);
            }
        }
        state.find_quotas();
        let top = state.tree.find(path::QUOTA);
        let below = top.into_iter().flat_map(|top| state.tree.below(top));
        let paths: Vec<String> = below.map(|id| state.tree.path(id)).collect();
        for path in &paths {
            if let Some(Role::Limits(of)) = quota::role(path)
                && let Some(stats) = state.tree.find(&quota::stats_path(of))
            {
                state.count_quota(of, stats);
            }
        }
        self.state
    }
}

/// The password that a real ZooKeeper gives to a session: bytes of `java.util.Random`, whose seed is
/// the session's id mixed with a constant (`ZooKeeperServer.generatePasswd`). With it clients can come
/// back with the sessions that they have.
fn password(session: i64) -> [u8; 16] {
    const SECRET: u64 = 0xb341_5c00;
    const MULTIPLIER: u64 = 0x5_deec_e66d;
    const MASK: u64 = (1 << 48) - 1;
    let mut seed = (session.cast_unsigned() ^ SECRET ^ MULTIPLIER) & MASK;
    let mut password = [0; 16];
    for four in password.chunks_exact_mut(4) {
        seed = seed.wrapping_mul(MULTIPLIER).wrapping_add(0xb) & MASK;
        let number = (seed >> 16) as u32;
        four.copy_from_slice(&number.to_le_bytes());
    }
    password
}

#[cfg(test)]
mod tests;
