//! Carries out what was decided (`DataTree`).

use std::sync::Arc;

use bytes::Bytes;
use ottla_jute::{MultiResult, Response, Stat};

use crate::decide::Planned;
use crate::node::{Node, NodeId};
use crate::outcome::{Change, ChangeKind};
use crate::path;
use crate::quota::{self, Numbers, Role};
use crate::state::State;

/// When a change happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) zxid: i64,
    pub(crate) now_ms: i64,
}

/// What a change is answered with.
#[derive(Debug)]
pub(crate) enum Done {
    Created { path: String, stat: Option<Stat> },
    Deleted,
    DataSet(Stat),
    AclSet(Stat),
    Checked,
}

impl Done {
    pub(crate) fn response(self) -> Response {
        match self {
            Done::Created { path, stat: None } => Response::Create { path },
            Done::Created {
                path,
                stat: Some(stat),
            } => Response::Create2 { path, stat },
            Done::Deleted | Done::Checked => Response::Empty,
            Done::DataSet(stat) | Done::AclSet(stat) => Response::Stat(stat),
        }
    }

    pub(crate) fn result(self) -> MultiResult {
        match self {
            Done::Created { path, stat: None } => MultiResult::Create { path },
            Done::Created {
                path,
                stat: Some(stat),
            } => MultiResult::Create2 { path, stat },
            Done::Deleted => MultiResult::Delete,
            Done::DataSet(stat) | Done::AclSet(stat) => MultiResult::SetData(stat),
            Done::Checked => MultiResult::Check,
        }
    }
}

impl State {
    /// Carries out one change that was decided on this state.
    pub(crate) fn commit(
        &mut self,
        planned: Planned<'_>,
        at: Moment,
        changes: &mut Vec<Change>,
    ) -> Done {
        match planned {
            Planned::Create {
                path,
                data,
                acl,
                kind,
                with_stat,
            } => {
                let data = data.as_deref();
                let node = Node::new(path::name(&path), data, at.zxid, at.now_ms, kind);
                let stat = node.stat();
                changes.extend(self.create_node(&path, node, &acl, at.zxid));
                Done::Created {
                    path: path.into_owned(),
                    stat: with_stat.then_some(stat),
                }
            }
            Planned::Delete { path } => {
                changes.extend(self.delete_node(path, at.zxid));
                Done::Deleted
            }
            Planned::SetData {
                path,
                data,
                version,
            } => Done::DataSet(self.set_node_data(path, data, version, at, changes)),
            Planned::SetAcl { path, acl, version } => {
                let Some(id) = self.tree.find(path) else {
                    return Done::AclSet(Stat::default());
                };
                self.tree.set_acl(id, &acl);
                self.tree.change_rare(id, |node| node.aversion = version);
                Done::AclSet(self.tree.node(id).stat())
            }
            Planned::Check => Done::Checked,
        }
    }

    /// Adds a node below a parent that is there. The parent counts it.
    pub(crate) fn create_node(
        &mut self,
        path: &str,
        node: Node,
        acl: &[ottla_jute::Acl],
        zxid: i64,
    ) -> Option<Change> {
        let parent = self.tree.find(path::parent(path)?)?;
        let bytes = node.data_length() as i64;
        let id = self.tree.insert(parent, path, node, acl, |parent| {
            parent.cversion = parent.cversion.wrapping_add(1);
            parent.pzxid = zxid;
        });
        match quota::role(path) {
            Some(Role::Limits(of)) => self.quotas.insert(of),
            Some(Role::Stats(of)) => self.count_quota(of, id),
            None => {}
        }
        self.add_to_quota(path, 1, bytes);
        Some(self.change(ChangeKind::Created, path, id, Some(parent)))
    }

    /// Takes a node away that has no children.
    pub(crate) fn delete_node(&mut self, path: &str, zxid: i64) -> Option<Change> {
        let id = self.tree.find(path)?;
        let parent = self.tree.node(id).parent;
        let change = self.change(ChangeKind::Deleted, path, id, Some(parent));
        let node = self.tree.remove(id, path, |parent| {
            parent.pzxid = parent.pzxid.max(zxid);
        });
        if let Some(Role::Limits(of)) = quota::role(path) {
            self.quotas.remove(of);
        }
        self.add_to_quota(path, -1, -(node.data_length() as i64));
        Some(change)
    }

    pub(crate) fn set_node_data(
        &mut self,
        path: &str,
        data: &Option<Bytes>,
        version: i32,
        at: Moment,
        changes: &mut Vec<Change>,
    ) -> Stat {
        let Some(id) = self.tree.find(path) else {
            return Stat::default();
        };
        let before = self.tree.node(id).data_length() as i64;
        self.tree.set_data(id, data.as_deref());
        self.tree.change(id, |node| {
            node.version = version;
            node.mzxid = at.zxid;
            node.mtime_ms = at.now_ms;
        });
        let node = self.tree.node(id);
        let (stat, after) = (node.stat(), node.data_length() as i64);
        self.add_to_quota(path, 0, after - before);
        changes.push(self.change(ChangeKind::DataChanged, path, id, None));
        stat
    }

    /// Deletes the ephemeral nodes of a session, in the order of their paths.
    pub(crate) fn delete_ephemerals(&mut self, session: i64, zxid: i64) -> Vec<Change> {
        let paths = self.tree.ephemerals(session);
        paths
            .iter()
            .filter_map(|path| self.delete_node(path, zxid))
            .collect()
    }

    fn change(&self, kind: ChangeKind, path: &str, id: NodeId, parent: Option<NodeId>) -> Change {
        let acl = |id| Arc::clone(self.tree.acl(self.tree.node(id)));
        Change {
            kind,
            path: path.into(),
            acl: acl(id),
            parent_acl: parent.map(acl),
        }
    }

    /// Adds to what is counted for the closest quota. The node with the sums changes its data
    /// only: nobody has set them.
    fn add_to_quota(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(of) = self.quotas.closest(path) else {
            return;
        };
        let Some(id) = self.tree.find(&quota::stats_path(of)) else {
            return;
        };
        if let Some(mut numbers) = Numbers::parse(self.tree.node(id).data()) {
            numbers.add(count, bytes);
            self.tree.set_data(id, Some(&numbers.to_data()));
        }
    }

    /// Counts anew what there is at and below a path (`DataTree.updateQuotaForPath`).
    pub(crate) fn count_quota(&mut self, of: &str, stats: NodeId) {
        let (mut count, mut bytes) = (0, 0);
        if let Some(top) = self.tree.find(of) {
            for id in std::iter::once(top).chain(self.tree.below(top)) {
                count += 1;
                bytes += self.tree.node(id).data_length() as i64;
            }
        }
        let numbers = Numbers::new(count, bytes);
        self.tree.set_data(stats, Some(&numbers.to_data()));
    }
}
