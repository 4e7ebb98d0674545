//! Whether a request may be carried out, and what exactly it then does
//! (`PrepRequestProcessor.pRequest2Txn`). The order of the checks is ZooKeeper's: it decides which of
//! several errors a client sees.
//!
//! Nothing is changed here. Inside a multi, each operation is decided on the state that the ones
//! before it would lead to, and only when all are decided is the first one carried out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_jute::{
    Acl, Check, Create, CreateMode, CreateTtl, Delete, DeleteContainer, ErrorCode, Id, MultiOp,
    SetAcl, SetData, perms,
};

use crate::acl;
use crate::kind::{Kind, TTL_MS_MAX};
use crate::path;
use crate::quota::{self, Numbers};
use crate::rules::Rules;
use crate::state::State;

/// A change that has passed all checks.
#[derive(Debug)]
pub(crate) enum Planned<'r> {
    Create {
        path: Cow<'r, str>,
        data: &'r Option<Bytes>,
        acl: Vec<Acl>,
        kind: Kind,
        /// `create` alone is answered without a stat.
        with_stat: bool,
    },
    Delete {
        path: &'r str,
    },
    SetData {
        path: &'r str,
        data: &'r Option<Bytes>,
        version: i32,
    },
    SetAcl {
        path: &'r str,
        acl: Vec<Acl>,
        version: i32,
    },
    Check,
}

/// What checks look at.
#[derive(Debug, Clone)]
struct Seen {
    version: i32,
    cversion: i32,
    aversion: i32,
    children: u32,
    kind: Kind,
    acl: Arc<[Acl]>,
    data_length: usize,
}

/// Decides the operations of one request.
pub(crate) struct Decider<'s> {
    state: &'s State,
    session: i64,
    identities: &'s [Id],
    rules: Rules,
    /// What the operations before would have changed; `None` is a node that they would have deleted.
    /// Empty outside of multis.
    ahead: HashMap<String, Option<Seen>>,
    in_multi: bool,
}

/// What kind of node a create asks for, apart from its flags.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Plain { with_stat: bool },
    Container,
    Ttl { ttl_ms: i64 },
}

/// A create, whichever of its operations it came with.
struct Creation<'r> {
    path: &'r str,
    data: &'r Option<Bytes>,
    acl: &'r [Acl],
    flags: i32,
    asked: Asked,
}

impl<'r> Creation<'r> {
    fn of(create: &'r Create, asked: Asked) -> Self {
        Creation {
            path: &create.path,
            data: &create.data,
            acl: &create.acl,
            flags: create.flags,
            asked,
        }
    }
}

impl<'s> Decider<'s> {
    pub(crate) fn new(state: &'s State, session: i64, identities: &'s [Id], rules: Rules) -> Self {
        Decider {
            state,
            session,
            identities,
            rules,
            ahead: HashMap::new(),
            in_multi: false,
        }
    }

    /// Decides all operations of a multi; the index of the one that fails, and why.
    pub(crate) fn multi<'r>(
        mut self,
        ops: &'r [MultiOp],
    ) -> Result<Vec<Planned<'r>>, (usize, ErrorCode)> {
        self.in_multi = true;
        let mut planned = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate() {
            let one = match op {
                MultiOp::Create(create) => self.create(create),
                MultiOp::Create2(create) => self.create2(create),
                MultiOp::CreateContainer(create) => self.create_container(create),
                MultiOp::CreateTtl(create) => self.create_ttl(create),
                MultiOp::Delete(delete) => self.delete(delete),
                MultiOp::SetData(set) => self.set_data(set),
                MultiOp::Check(check) => self.check(check),
            };
            planned.push(one.map_err(|error| (index, error))?);
        }
        Ok(planned)
    }

    pub(crate) fn create<'r>(&mut self, create: &'r Create) -> Result<Planned<'r>, ErrorCode> {
        self.creation(Creation::of(create, Asked::Plain { with_stat: false }))
    }

    pub(crate) fn create2<'r>(&mut self, create: &'r Create) -> Result<Planned<'r>, ErrorCode> {
        self.creation(Creation::of(create, Asked::Plain { with_stat: true }))
    }

    pub(crate) fn create_container<'r>(
        &mut self,
        create: &'r Create,
    ) -> Result<Planned<'r>, ErrorCode> {
        self.creation(Creation::of(create, Asked::Container))
    }

    pub(crate) fn create_ttl<'r>(
        &mut self,
        create: &'r CreateTtl,
    ) -> Result<Planned<'r>, ErrorCode> {
        let ttl_ms = create.ttl_ms;
        self.creation(Creation {
            path: &create.path,
            data: &create.data,
            acl: &create.acl,
            flags: create.flags,
            asked: Asked::Ttl { ttl_ms },
        })
    }

    /// The mode, if the flags, the operation and the time to live fit together.
    fn mode(&self, flags: i32, asked: Asked) -> Result<(CreateMode, Kind), ErrorCode> {
        let mode = CreateMode::try_from(flags).map_err(|_| ErrorCode::BadArguments)?;
        if mode.is_ttl() && !self.rules.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        let kind = match asked {
            Asked::Ttl { ttl_ms } if mode.is_ttl() && (1..=TTL_MS_MAX).contains(&ttl_ms) => {
                Kind::Ttl { ttl_ms }
            }
            Asked::Ttl { .. } => return Err(ErrorCode::BadArguments),
            _ if mode.is_ttl() => return Err(ErrorCode::BadArguments),
            Asked::Container => Kind::Container,
            Asked::Plain { .. } if mode.is_ephemeral() => Kind::Ephemeral {
                session: self.session,
            },
            // The flags of a container make none: only the operation does.
            Asked::Plain { .. } => Kind::Persistent,
        };
        Ok((mode, kind))
    }

    fn creation<'r>(&mut self, create: Creation<'r>) -> Result<Planned<'r>, ErrorCode> {
        let (mode, kind) = self.mode(create.flags, create.asked)?;
        let parent_path = path::parent(create.path)
            .filter(|_| !create.path.contains('\0'))
            .ok_or(ErrorCode::BadArguments)?;
        let acl = acl::fix(create.acl, self.identities, self.rules)?;
        let parent = self.see(parent_path).ok_or(ErrorCode::NoNode)?;
        self.allow(&parent, perms::CREATE)?;
        let path = if mode.is_sequential() {
            Cow::Owned(format!("{}{:010}", create.path, parent.cversion))
        } else {
            Cow::Borrowed(create.path)
        };
        if !path::is_valid(&path) {
            return Err(ErrorCode::BadArguments);
        }
        if self.see(&path).is_some() {
            return Err(ErrorCode::NodeExists);
        }
        if matches!(parent.kind, Kind::Ephemeral { .. }) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let data_length = create.data.as_ref().map_or(0, Bytes::len);
        self.check_quota(&path, 1, data_length as i64)?;
        if !self.state.tree.has_room() {
            return Err(ErrorCode::SystemError);
        }
        if self.in_multi {
            let child = Seen {
                version: 0,
                cversion: 0,
                aversion: 0,
                children: 0,
                kind,
                acl: acl.as_slice().into(),
                data_length,
            };
            self.foresee(&path, Some(child));
            let parent = Seen {
                cversion: parent.cversion.wrapping_add(1),
                children: parent.children + 1,
                ..parent
            };
            self.foresee(parent_path, Some(parent));
        }
        Ok(Planned::Create {
            path,
            data: create.data,
            acl,
            kind,
            with_stat: create.asked != Asked::Plain { with_stat: false },
        })
    }

    /// The parent of a node that is to be deleted.
    fn parent_of_victim<'r>(&self, path: &'r str) -> Result<(&'r str, Seen), ErrorCode> {
        let parent_path = path::parent(path)
            .filter(|_| !path.contains('\0') && !path::is_special(path))
            .ok_or(ErrorCode::BadArguments)?;
        let parent = self.see(parent_path).ok_or(ErrorCode::NoNode)?;
        self.allow(&parent, perms::DELETE)?;
        Ok((parent_path, parent))
    }

    pub(crate) fn delete<'r>(&mut self, delete: &'r Delete) -> Result<Planned<'r>, ErrorCode> {
        let path = delete.path.as_str();
        let (parent_path, parent) = self.parent_of_victim(path)?;
        let node = self.see(path).ok_or(ErrorCode::NoNode)?;
        next_version(node.version, delete.version)?;
        if node.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        if self.in_multi {
            self.foresee(path, None);
            let children = parent.children.saturating_sub(1);
            self.foresee(parent_path, Some(Seen { children, ..parent }));
        }
        Ok(Planned::Delete { path })
    }

    /// `deleteContainer`. ZooKeeper asks for no permission here, as only the server itself is
    /// meant to send it; but clients can send it, and so it asks for what a delete asks for.
    pub(crate) fn delete_container<'r>(
        &mut self,
        delete: &'r DeleteContainer,
    ) -> Result<Planned<'r>, ErrorCode> {
        let path = delete.path.as_str();
        self.parent_of_victim(path)?;
        let node = self.see(path).ok_or(ErrorCode::NoNode)?;
        if node.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        if matches!(node.kind, Kind::Ephemeral { .. }) {
            return Err(ErrorCode::BadVersion);
        }
        Ok(Planned::Delete { path })
    }

    pub(crate) fn set_data<'r>(&mut self, set: &'r SetData) -> Result<Planned<'r>, ErrorCode> {
        let path = valid(&set.path)?;
        let node = self.see(path).ok_or(ErrorCode::NoNode)?;
        self.allow(&node, perms::WRITE)?;
        let data_length = set.data.as_ref().map_or(0, Bytes::len);
        let more = data_length as i64 - node.data_length as i64;
        self.check_quota(path, 0, more)?;
        let version = next_version(node.version, set.version)?;
        if self.in_multi {
            let node = Seen {
                version,
                data_length,
                ..node
            };
            self.foresee(path, Some(node));
        }
        Ok(Planned::SetData {
            path,
            data: &set.data,
            version,
        })
    }

    pub(crate) fn set_acl<'r>(&mut self, set: &'r SetAcl) -> Result<Planned<'r>, ErrorCode> {
        let path = valid(&set.path)?;
        let acl = acl::fix(&set.acl, self.identities, self.rules)?;
        let node = self.see(path).ok_or(ErrorCode::NoNode)?;
        self.allow(&node, perms::ADMIN)?;
        let version = next_version(node.aversion, set.version)?;
        Ok(Planned::SetAcl { path, acl, version })
    }

    fn check(&self, check: &Check) -> Result<Planned<'static>, ErrorCode> {
        let path = valid(&check.path)?;
        let node = self.see(path).ok_or(ErrorCode::NoNode)?;
        self.allow(&node, perms::READ)?;
        next_version(node.version, check.version)?;
        Ok(Planned::Check)
    }

    fn allow(&self, node: &Seen, perms: i32) -> Result<(), ErrorCode> {
        acl::check(&node.acl, perms, self.identities, self.rules)
    }

    /// A node as it would be by now.
    fn see(&self, path: &str) -> Option<Seen> {
        if let Some(ahead) = self.ahead.get(path) {
            return ahead.clone();
        }
        let node = self.state.tree.node(self.state.tree.find(path)?);
        let rare = node.rare();
        Some(Seen {
            version: node.version,
            cversion: rare.cversion,
            aversion: rare.aversion,
            children: rare.children,
            kind: node.kind(),
            acl: Arc::clone(self.state.tree.acl(node)),
            data_length: node.data_length(),
        })
    }

    fn foresee(&mut self, path: &str, seen: Option<Seen>) {
        self.ahead.insert(path.to_owned(), seen);
    }

    /// Compares what would be added with the closest quota (`ZooKeeperServer.checkQuota`). As in
    /// ZooKeeper, the operations before it in a multi do not count yet.
    fn check_quota(&self, path: &str, count: i64, bytes: i64) -> Result<(), ErrorCode> {
        if !self.rules.enforce_quota {
            return Ok(());
        }
        let Some(of) = self.state.quotas.closest(path) else {
            return Ok(());
        };
        let numbers = |at: String| {
            let node = self.state.tree.find(&at)?;
            Some(Numbers::parse(self.state.tree.node(node).data()))
        };
        // What cannot be read makes the request fail as one that could not be read itself.
        let Some(limits) = numbers(quota::limits_path(of)) else {
            return Ok(());
        };
        let limits = limits.ok_or(ErrorCode::MarshallingError)?;
        if !limits.bounds(count, bytes) {
            return Ok(());
        }
        let Some(stats) = numbers(quota::stats_path(of)) else {
            return Ok(());
        };
        let stats = stats.ok_or(ErrorCode::MarshallingError)?;
        if limits.forbids(&stats, count, bytes) {
            return Err(ErrorCode::QuotaExceeded);
        }
        Ok(())
    }
}

fn valid(path: &str) -> Result<&str, ErrorCode> {
    if path::is_valid(path) {
        Ok(path)
    } else {
        Err(ErrorCode::BadArguments)
    }
}

/// The version after the change, if the current one is what the client expects.
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected == -1 || expected == current {
        Ok(current.wrapping_add(1))
    } else {
        Err(ErrorCode::BadVersion)
    }
}
