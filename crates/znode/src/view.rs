//! The state at one moment, written down as a snapshot.
//!
//! ```text
//!   head:     | 0 | version 1 | last zxid (8) | digest (8) | nodes (8) | sessions (8) |
//!   session:  | 1 | id (8) | password (16) | timeout (4) | owner's server (8), attachment (8) |
//!   ACL:      | 2 | entries |                              numbered from 0 in their order, each
//!                                                           before the first node that has it
//!   node:     | 3 | depth (4) | name | data | ACL (4) | czxid … |   parents first, siblings in order
//!   end:      | 4 |
//! ```
//!
//! Before the end, while a state is on its way in (see [`crate::incoming`]):
//!
//! ```text
//!   incoming: | 5 | restore (8) | time of the last part (8) |
//!   part:     | 6 | whether its chunk ends (1) | bytes |
//! ```
//!
//! A chunk is a number of whole items. Members with the same state write the same bytes. The depth tells where a node belongs: below the last one
//! before it that is less deep by one.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_jute::{Acl, Record, Writer};

use crate::incoming::Incoming;
use crate::node::{Node, NodeId};
use crate::pages::Pages;
use crate::session::Session;
use crate::state::State;
use crate::tree::next_below;

mod export;

pub use export::ZooKeeperSnapshot;

pub(crate) const VERSION: u8 = 1;
/// A chunk ends with the item that brings it to this size.
const CHUNK_BYTES: usize = 256 << 10;

pub(crate) mod item {
    pub(crate) const HEAD: u8 = 0;
    pub(crate) const SESSION: u8 = 1;
    pub(crate) const ACL: u8 = 2;
    pub(crate) const NODE: u8 = 3;
    pub(crate) const END: u8 = 4;
    pub(crate) const INCOMING: u8 = 5;
    pub(crate) const PART: u8 = 6;
}

/// The state as it was when [`State::view`] was called. Cheap to make, to clone and to keep; the
/// state copies what it changes while a view shares it.
#[derive(Debug, Clone)]
pub struct View(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pages: Pages,
    /// By the numbers that nodes have.
    acls: Vec<Option<Arc<[Acl]>>>,
    sessions: Vec<(i64, Session)>,
    nodes: usize,
    last_zxid: i64,
    digest: u64,
    incoming: Option<Incoming>,
}

impl State {
    /// The state as it is now.
    #[must_use]
    pub fn view(&self) -> View {
        View(Arc::new(Inner {
            pages: self.tree.pages().clone(),
            acls: self.tree.acls().all(),
            sessions: self
                .sessions()
                .map(|(id, session)| (id, *session))
                .collect(),
            nodes: self.tree.count(),
            last_zxid: self.last_zxid,
            digest: self.digest(),
            incoming: self.incoming.clone(),
        }))
    }
}

impl View {
    /// The snapshot in parts of some hundred KiB, one for each piece of data that is larger. The
    /// same view gives the same parts.
    #[must_use]
    pub fn chunks(&self) -> Chunks {
        Chunks {
            view: Arc::clone(&self.0),
            stage: Stage::Head,
            acl_numbers: Vec::new(),
            acls_written: 0,
        }
    }

    /// The number of the last change in it.
    #[must_use]
    pub fn last_zxid(&self) -> i64 {
        self.0.last_zxid
    }

    /// [`State::digest`] of that moment.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.0.digest
    }
}

enum Stage {
    Head,
    /// From this session on.
    Sessions(usize),
    /// From this node on.
    Nodes(NodeId, u32),
    Incoming,
    /// From this part on of what is on its way in.
    Parts(usize),
    End,
    Done,
}

/// The parts of a snapshot, made as they are asked for.
pub struct Chunks {
    view: Arc<Inner>,
    stage: Stage,
    /// The number in the snapshot of each entry of the table that was written.
    acl_numbers: Vec<Option<u32>>,
    acls_written: u32,
}

impl Iterator for Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if matches!(self.stage, Stage::Done) {
            return None;
        }
        let mut out = BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
        let view = Arc::clone(&self.view);
        while out.len() < CHUNK_BYTES && !matches!(self.stage, Stage::Done) {
            self.stage = self.write_item(&view, &mut Writer::new(&mut out));
        }
        Some(out.freeze())
    }
}

impl Chunks {
    /// Writes the next item; what comes behind it.
    fn write_item(&mut self, view: &Inner, w: &mut Writer<'_>) -> Stage {
        match self.stage {
            Stage::Head => {
                w.byte(item::HEAD);
                w.byte(VERSION);
                w.long(view.last_zxid);
                w.long(view.digest.cast_signed());
                w.long(view.nodes as i64);
                w.long(view.sessions.len() as i64);
                Stage::Sessions(0)
            }
            Stage::Sessions(at) => match view.sessions.get(at) {
                Some((id, session)) => {
                    write_session(w, *id, session);
                    Stage::Sessions(at + 1)
                }
                None => Stage::Nodes(NodeId::ROOT, 0),
            },
            Stage::Nodes(id, depth) => {
                let node = view.pages.node(id);
                let acl = self.number_acl(view, node.acl, w);
                write_node(w, node, depth, acl);
                match next_below(&view.pages, id, NodeId::ROOT) {
                    Some(next) => Stage::Nodes(next, depth_of(&view.pages, id, depth, next)),
                    None => Stage::Incoming,
                }
            }
            Stage::Incoming => match &view.incoming {
                Some(incoming) => {
                    w.byte(item::INCOMING);
                    w.long(incoming.restore.cast_signed());
                    w.long(incoming.last_ms);
                    Stage::Parts(0)
                }
                None => Stage::End,
            },
            Stage::Parts(at) => {
                let parts = view.incoming.as_ref().map(|incoming| &incoming.parts);
                match parts.and_then(|parts| parts.get(at)) {
                    Some(part) => {
                        w.byte(item::PART);
                        w.boolean(part.ends);
                        w.buffer(&part.bytes);
                        Stage::Parts(at + 1)
                    }
                    None => Stage::End,
                }
            }
            Stage::End | Stage::Done => {
                w.byte(item::END);
                Stage::Done
            }
        }
    }
}

impl Chunks {
    /// The number in the snapshot of an entry of the table. An ACL is written when it is needed for
    /// the first time, so that the snapshot does not depend on the entries' order, which members
    /// have each their own.
    fn number_acl(&mut self, view: &Inner, entry: u32, w: &mut Writer<'_>) -> u32 {
        let entry = entry as usize;
        if self.acl_numbers.len() <= entry {
            self.acl_numbers.resize(entry + 1, None);
        }
        if let Some(Some(number)) = self.acl_numbers.get(entry) {
            return *number;
        }
        let acl = view.acls.get(entry).and_then(Option::as_ref);
        w.byte(item::ACL);
        w.length(acl.map_or(0, |acl| acl.len()));
        for one in acl.into_iter().flat_map(|acl| acl.iter()) {
            one.write(w);
        }
        let number = self.acls_written;
        self.acl_numbers[entry] = Some(number);
        self.acls_written += 1;
        number
    }
}

/// The depth of the node behind one whose depth is known.
fn depth_of(pages: &Pages, id: NodeId, depth: u32, next: NodeId) -> u32 {
    let above = pages.node(next).parent;
    let (mut at, mut depth) = (id, depth + 1);
    while at != above {
        at = pages.node(at).parent;
        depth -= 1;
    }
    depth
}

fn write_session(w: &mut Writer<'_>, id: i64, session: &Session) {
    w.byte(item::SESSION);
    w.long(id);
    w.raw(&session.password);
    w.int(session.timeout_ms);
    w.long(session.owner.server.cast_signed());
    w.long(session.owner.attach.cast_signed());
}

fn write_node(w: &mut Writer<'_>, node: &Node, depth: u32, acl: u32) {
    w.byte(item::NODE);
    w.int(depth.cast_signed());
    // A string's bytes, without a look at whether they are text: they are.
    w.buffer(node.name_bytes());
    w.buffer_or_null(node.data());
    w.int(acl.cast_signed());
    let stat = node.persisted();
    for long in [
        stat.czxid,
        stat.mzxid,
        stat.pzxid,
        stat.ctime,
        stat.mtime,
        stat.ephemeral_owner,
    ] {
        w.long(long);
    }
    for int in [stat.version, stat.cversion, stat.aversion] {
        w.int(int);
    }
}
