//! Reads a snapshot back. Damaged bytes are an error, never a state that contradicts itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_jute::{Acl, Reader, Record, StatPersisted};

use crate::error::Error;
use crate::incoming::{Incoming, Part};
use crate::kind::Kind;
use crate::node::{Node, NodeId};
use crate::path;
use crate::quota::Quotas;
use crate::session::{Owner, Session};
use crate::state::State;
use crate::tree::Tree;
use crate::view::{VERSION, item};

/// No more nodes are reserved for in advance, whatever the head says.
const RESERVE_MAX: usize = 1 << 24;

/// What a snapshot begins with.
struct Head {
    last_zxid: i64,
    digest: u64,
    nodes: u64,
    sessions: u64,
}

/// Takes the parts of a snapshot, one by one.
#[derive(Default)]
pub struct Restorer {
    head: Option<Head>,
    sessions: BTreeMap<i64, Session>,
    acls: Vec<Arc<[Acl]>>,
    tree: Option<Tree>,
    /// The nodes above the next one, and the lengths of their paths.
    above: Vec<(NodeId, usize)>,
    /// The path of the last node.
    path: String,
    incoming: Option<Incoming>,
    ended: bool,
}

impl State {
    /// Builds the state of a snapshot from its parts.
    pub fn restore<B: AsRef<[u8]>>(chunks: impl IntoIterator<Item = B>) -> Result<Self, Error> {
        let mut restorer = Restorer::default();
        for chunk in chunks {
            restorer.push(chunk.as_ref())?;
        }
        restorer.finish()
    }
}

fn contradiction(at: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::Snapshot {
        at: at.into(),
        reason: reason.into(),
    }
}

impl Restorer {
    /// Takes the next part, as [`crate::View::chunks`] has given it.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        let r = &mut Reader::new(chunk);
        while r.remaining() > 0 {
            if self.ended {
                return Err(contradiction("its end", "more bytes follow"));
            }
            let kind = r.byte()?;
            if self.head.is_none() && kind != item::HEAD {
                return Err(contradiction("its head", "it is missing"));
            }
            match kind {
                item::HEAD => self.read_head(r)?,
                item::SESSION => self.read_session(r)?,
                item::ACL => self.acls.push(Vec::<Acl>::read(r)?.into()),
                item::NODE => self.read_node(r)?,
                item::INCOMING => {
                    let restore = r.long()?.cast_unsigned();
                    self.incoming = Some(Incoming::new(restore, r.long()?));
                }
                item::PART => {
                    let (ends, bytes) = (r.boolean()?, r.slice_or_null()?.unwrap_or_default());
                    let bytes = Bytes::copy_from_slice(bytes);
                    let incoming = self.incoming.as_mut();
                    let incoming = incoming
                        .ok_or_else(|| contradiction("a part of a restore", "nobody restores"))?;
                    incoming.push(Part { ends, bytes });
                }
                item::END => self.ended = true,
                other => {
                    return Err(Error::Unknown {
                        what: "kind of item of a snapshot",
                        value: other.into(),
                    });
                }
            }
        }
        Ok(())
    }

    fn read_head(&mut self, r: &mut Reader<'_>) -> Result<(), Error> {
        let version = r.byte()?;
        if version != VERSION {
            return Err(Error::Version {
                what: "snapshot",
                version,
            });
        }
        if self.head.is_some() {
            return Err(contradiction("its head", "there are two"));
        }
        self.head = Some(Head {
            last_zxid: r.long()?,
            digest: r.long()?.cast_unsigned(),
            nodes: r.long()?.cast_unsigned(),
            sessions: r.long()?.cast_unsigned(),
        });
        Ok(())
    }

    fn read_session(&mut self, r: &mut Reader<'_>) -> Result<(), Error> {
        let id = r.long()?;
        let mut password = [0; 16];
        password.copy_from_slice(r.take(16)?);
        let session = Session {
            password,
            timeout_ms: r.int()?,
            owner: Owner {
                server: r.long()?.cast_unsigned(),
                attach: r.long()?.cast_unsigned(),
            },
        };
        if !Kind::is_session_id(id) || self.sessions.insert(id, session).is_some() {
            let at = format!("session {id:#x}");
            return Err(contradiction(at, "it is there twice, or cannot be"));
        }
        Ok(())
    }

    fn read_node(&mut self, r: &mut Reader<'_>) -> Result<(), Error> {
        let depth = r.int()?.cast_unsigned() as usize;
        let name = r.string()?;
        let data = r.slice_or_null()?;
        let acl = r.int()?.cast_unsigned() as usize;
        let acl = self.acls.get(acl).cloned();
        let acl = acl.ok_or_else(|| contradiction(&*self.path, "a node's ACL is missing"))?;
        let mut node = Node::new(name, data, 0, 0, Kind::Persistent);
        node.set_persisted(&StatPersisted {
            czxid: r.long()?,
            mzxid: r.long()?,
            pzxid: r.long()?,
            ctime: r.long()?,
            mtime: r.long()?,
            ephemeral_owner: r.long()?,
            version: r.int()?,
            cversion: r.int()?,
            aversion: r.int()?,
        });
        match &mut self.tree {
            None if depth == 0 && name.is_empty() => {
                self.tree = Some(self.root(node, &acl));
                self.above = vec![(NodeId::ROOT, 0)];
                Ok(())
            }
            Some(tree) if depth > 0 => {
                let parent = self.above.get(depth - 1).copied();
                let (parent, length) =
                    parent.ok_or_else(|| contradiction(name, "its parent is missing"))?;
                self.above.truncate(depth);
                self.path.truncate(length);
                self.path.push('/');
                self.path.push_str(name);
                if !path::is_valid_name(name) || !tree.has_room() {
                    return Err(contradiction(&*self.path, "no node can have this path"));
                }
                let below_ephemeral = matches!(tree.node(parent).kind(), Kind::Ephemeral { .. });
                if below_ephemeral {
                    return Err(contradiction(&*self.path, "its parent is ephemeral"));
                }
                let id = tree.append(parent, &self.path, node, &acl);
                let id = id.ok_or_else(|| contradiction(&*self.path, "it is there twice"))?;
                self.above.push((id, self.path.len()));
                Ok(())
            }
            _ => Err(contradiction(
                "/",
                "there must be one root, before all others",
            )),
        }
    }

    fn root(&self, root: Node, acl: &[Acl]) -> Tree {
        let mut tree = Tree::new(root, acl);
        let nodes = self.head.as_ref().map_or(0, |head| head.nodes);
        let nodes = usize::try_from(nodes).unwrap_or(RESERVE_MAX);
        tree.reserve(nodes.min(RESERVE_MAX));
        tree
    }

    /// The state, once all parts are there.
    pub fn finish(self) -> Result<State, Error> {
        let (Some(head), Some(mut tree), true) = (self.head, self.tree, self.ended) else {
            return Err(contradiction("its end", "parts are missing"));
        };
        if (tree.count() as u64, self.sessions.len() as u64) != (head.nodes, head.sessions) {
            return Err(contradiction("its end", "nodes or sessions are missing"));
        }
        for (session, _) in tree.ephemeral_owners() {
            if !self.sessions.contains_key(&session) {
                let at = format!("session {session:#x}");
                return Err(contradiction(at, "it is missing and has ephemeral nodes"));
            }
        }
        for at in [path::ZOOKEEPER, path::QUOTA, path::CONFIG_PATH] {
            if tree.find(at).is_none() {
                return Err(contradiction(at, "it is missing"));
            }
        }
        tree.sum_up();
        let mut state = State {
            tree,
            sessions: BTreeMap::new(),
            sessions_digest: 0,
            quotas: Quotas::default(),
            last_zxid: head.last_zxid,
            incoming: self.incoming,
        };
        for (id, session) in self.sessions {
            state.put_session(id, session);
        }
        state.find_quotas();
        if state.digest() != head.digest {
            return Err(contradiction("its end", "its digest is another one"));
        }
        Ok(state)
    }
}
