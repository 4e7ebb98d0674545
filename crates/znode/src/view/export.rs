//! The state at one moment as a snapshot of ZooKeeper's own format, which ZooKeeper's servers read,
//! and [`crate::Import`].
//!
//! Sessions go without their passwords: the format has no place for them, as ZooKeeper computes them.

use std::sync::Arc;

use bytes::Bytes;
use ottla_jute::Acl;
use ottla_jute::files::SnapshotWriter;

use super::{CHUNK_BYTES, Inner, View, depth_of};
use crate::node::NodeId;
use crate::tree::next_below;

/// The parts of such a snapshot, made as they are asked for.
#[derive(Debug)]
pub struct ZooKeeperSnapshot {
    view: Arc<Inner>,
    writer: SnapshotWriter,
    /// The next node and its depth; none behind the last one.
    next: Option<(NodeId, u32)>,
    /// The path of the last node, and the lengths of the paths above it by their depths.
    path: String,
    lengths: Vec<usize>,
}

impl View {
    /// The snapshot in parts of some hundred KiB, one for each piece of data that is larger.
    #[must_use]
    pub fn zookeeper_snapshot(&self) -> ZooKeeperSnapshot {
        let view = Arc::clone(&self.0);
        let sessions = view.sessions.iter().map(|(id, s)| (*id, s.timeout_ms));
        let mut writer = SnapshotWriter::new(sessions);
        let acls = view.acls.iter().enumerate();
        let acls: Vec<(i64, &[Acl])> = acls
            .filter_map(|(entry, acl)| Some((entry, &**acl.as_ref()?)))
            .filter(|(_, acl)| !is_open(acl))
            .map(|(entry, acl)| (number(entry), acl))
            .collect();
        writer.acls(acls.into_iter());
        ZooKeeperSnapshot {
            view,
            writer,
            next: Some((NodeId::ROOT, 0)),
            path: String::new(),
            lengths: Vec::new(),
        }
    }
}

fn is_open(acl: &[Acl]) -> bool {
    acl == [Acl::open()]
}

/// The number of an entry of the table; they begin with 1.
fn number(entry: usize) -> i64 {
    i64::try_from(entry).unwrap_or(i64::MAX - 1) + 1
}

impl ZooKeeperSnapshot {
    fn write_node(&mut self, id: NodeId, depth: u32) {
        let view = Arc::clone(&self.view);
        let node = view.pages.node(id);
        let depth_now = depth as usize;
        if depth_now > 0 {
            let above = self.lengths.get(depth_now - 1).copied().unwrap_or(0);
            self.path.truncate(above);
            self.path.push('/');
            self.path.push_str(node.name());
        }
        self.lengths.truncate(depth_now);
        self.lengths.push(self.path.len());
        let path = if self.path.is_empty() {
            "/"
        } else {
            &self.path
        };
        let acl = view.acls.get(node.acl as usize).and_then(Option::as_ref);
        let acl = match acl {
            Some(acl) if is_open(acl) => SnapshotWriter::OPEN_ACL,
            _ => number(node.acl as usize),
        };
        self.writer.node(path, node.data(), acl, &node.persisted());
        self.next = next_below(&view.pages, id, NodeId::ROOT)
            .map(|next| (next, depth_of(&view.pages, id, depth, next)));
        if self.next.is_none() {
            self.writer.end(view.last_zxid);
        }
    }
}

impl Iterator for ZooKeeperSnapshot {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while self.writer.len() < CHUNK_BYTES
            && let Some((id, depth)) = self.next
        {
            self.write_node(id, depth);
        }
        (!self.writer.is_empty()).then(|| self.writer.take())
    }
}
