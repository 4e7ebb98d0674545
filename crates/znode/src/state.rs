//! The state: the tree and the sessions.

use std::collections::BTreeMap;

use ottla_jute::Acl;

use crate::command::Command;
use crate::digest;
use crate::incoming::Incoming;
use crate::kind::Kind;
use crate::node::{Node, NodeId, Rare};
use crate::path;
use crate::quota::{self, Quotas, Role};
use crate::session::Session;
use crate::tree::Tree;

/// The whole state of a ZooKeeper service.
///
/// Commands change it, in the order of the log; everything else only reads it. The same commands
/// give the same state on every member.
#[derive(Debug)]
pub struct State {
    pub(crate) tree: Tree,
    pub(crate) sessions: BTreeMap<i64, Session>,
    pub(crate) sessions_digest: u64,
    pub(crate) quotas: Quotas,
    pub(crate) last_zxid: i64,
    /// What is to take the place of all this.
    pub(crate) incoming: Option<Incoming>,
}

impl Default for State {
    fn default() -> Self {
        State::new()
    }
}

impl State {
    /// The state of a new service: the root and what is ZooKeeper's own (`DataTree`).
    #[must_use]
    pub fn new() -> Self {
        let node = |name: &str| Node::new(name, Some(b""), 0, 0, Kind::Persistent);
        let anyone = &[Acl::open()];
        let mut tree = Tree::new(node(""), anyone);
        // These are there from the beginning, and nobody counted them as they were created.
        let uncounted = |_: &mut Rare| {};
        let at = path::ZOOKEEPER;
        let own = tree.insert(NodeId::ROOT, at, node("zookeeper"), anyone, uncounted);
        tree.insert(own, path::QUOTA, node("quota"), anyone, uncounted);
        let readable = [Acl::readable()];
        let mut config = node("config");
        // It was set in the name of nobody.
        config.change_rare(|rare| rare.aversion = -1);
        tree.insert(own, path::CONFIG_PATH, config, &readable, uncounted);
        State {
            tree,
            sessions: BTreeMap::new(),
            sessions_digest: 0,
            quotas: Quotas::default(),
            last_zxid: 0,
            incoming: None,
        }
    }

    /// The number of the last change.
    #[must_use]
    pub fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// How many nodes there are, as ZooKeeper counts them: the root twice.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.tree.count() + 1
    }

    /// The length of all paths and data (`approximate_data_size`).
    #[must_use]
    pub fn approximate_data_size(&self) -> u64 {
        self.tree.data_size()
    }

    /// How many ephemeral nodes there are.
    #[must_use]
    pub fn ephemerals_count(&self) -> usize {
        self.tree.ephemerals_count()
    }

    /// The sessions that have ephemeral nodes, and how many.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = (i64, usize)> + '_ {
        self.tree.ephemeral_owners()
    }

    /// All sessions in the order of their ids.
    pub fn sessions(&self) -> impl Iterator<Item = (i64, &Session)> + '_ {
        self.sessions.iter().map(|(id, session)| (*id, session))
    }

    /// How many sessions there are.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// A session.
    #[must_use]
    pub fn session(&self, id: i64) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// A hash of everything that members must agree upon. Two members that have applied the same
    /// commands have the same; the order of parts that have none does not matter.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let last = self.last_zxid.cast_unsigned();
        self.tree
            .digest()
            .wrapping_add(self.sessions_digest)
            .wrapping_add(self.incoming.as_ref().map_or(0, Incoming::digest))
            .wrapping_add(last.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The version of the members' configuration: the change that has set it.
    #[must_use]
    pub fn config_version(&self) -> i64 {
        let config = self.tree.find(path::CONFIG_PATH);
        config.map_or(0, |id| self.tree.node(id).mzxid)
    }

    /// Commands for what should be deleted by now: containers without children and nodes whose time
    /// to live is over, at most so many of them (`ContainerManager`), and a restore that nobody goes
    /// on with. `never_used_ms` is as in [`Command::ReapContainer`].
    #[must_use]
    pub fn reapable(&self, now_ms: i64, never_used_ms: i64, max: usize) -> Vec<Command> {
        let containers = self
            .tree
            .containers()
            .filter(|id| is_reapable_container(self.tree.node(*id), now_ms, never_used_ms))
            .map(|id| Command::ReapContainer {
                path: self.tree.path(id),
                never_used_ms,
            });
        let with_ttl = self
            .tree
            .with_ttl()
            .filter(|id| is_over(self.tree.node(*id), now_ms))
            .map(|id| Command::ReapTtl {
                path: self.tree.path(id),
            });
        let stale = self
            .incoming
            .iter()
            .filter(|incoming| incoming.is_stale(now_ms))
            .map(|incoming| Command::RestoreAbort {
                restore: incoming.restore,
            });
        stale.chain(containers).chain(with_ttl).take(max).collect()
    }

    pub(crate) fn put_session(&mut self, id: i64, session: Session) {
        let sum = self.sessions_digest;
        self.sessions_digest = sum.wrapping_add(digest::session(id, &session));
        if let Some(old) = self.sessions.insert(id, session) {
            let sum = self.sessions_digest;
            self.sessions_digest = sum.wrapping_sub(digest::session(id, &old));
        }
    }

    pub(crate) fn remove_session(&mut self, id: i64) {
        if let Some(old) = self.sessions.remove(&id) {
            let sum = self.sessions_digest;
            self.sessions_digest = sum.wrapping_sub(digest::session(id, &old));
        }
    }

    /// Finds the quotas of a tree that was not built by commands.
    pub(crate) fn find_quotas(&mut self) {
        self.quotas = self.quotas_of_tree();
    }

    fn quotas_of_tree(&self) -> Quotas {
        let mut quotas = Quotas::default();
        let Some(top) = self.tree.find(path::QUOTA) else {
            return quotas;
        };
        for id in self.tree.below(top) {
            if let Some(Role::Limits(of)) = quota::role(&self.tree.path(id)) {
                quotas.insert(of);
            }
        }
        quotas
    }

    /// Compares everything that is derived with what it is derived from. Slow; for tests, and for
    /// whoever doubts.
    pub fn check(&self) -> Result<(), String> {
        self.tree.check()?;
        for at in [path::ROOT, path::ZOOKEEPER, path::QUOTA, path::CONFIG_PATH] {
            if self.tree.find(at).is_none() {
                return Err(format!("{at} is missing"));
            }
        }
        for (session, nodes) in self.tree.ephemeral_owners() {
            if nodes == 0 || !self.sessions.contains_key(&session) {
                return Err(format!(
                    "{nodes} ephemeral nodes of session {session:#x}, which there is not"
                ));
            }
        }
        let sum = self.sessions().fold(0_u64, |sum, (id, session)| {
            sum.wrapping_add(digest::session(id, session))
        });
        if sum != self.sessions_digest {
            return Err("the digest of the sessions was not kept up".into());
        }
        if self.quotas != self.quotas_of_tree() {
            return Err("the quotas are not those of the tree".into());
        }
        Ok(())
    }
}

/// Whether a container may go.
pub(crate) fn is_reapable_container(node: &Node, now_ms: i64, never_used_ms: i64) -> bool {
    let age_ms = now_ms.saturating_sub(node.mtime_ms);
    let was_used = node.rare().cversion > 0;
    let too_old = never_used_ms != 0 && age_ms > never_used_ms;
    node.kind() == Kind::Container && node.children() == 0 && (was_used || too_old)
}

/// Whether a node's time to live is over.
pub(crate) fn is_over(node: &Node, now_ms: i64) -> bool {
    let age_ms = now_ms.saturating_sub(node.mtime_ms);
    match node.kind() {
        Kind::Ttl { ttl_ms } => node.children() == 0 && ttl_ms != 0 && age_ms > ttl_ms,
        _ => false,
    }
}
