//! Reads, as `FinalRequestProcessor` answers them.

use bytes::Bytes;
use ottla_jute::{
    Acl, ErrorCode, GetData, Id, MultiRead, MultiResult, OpCode, Record, Request, Stat, Writer,
    perms,
};

use crate::acl;
use crate::node::Node;
use crate::path;
use crate::rules::Rules;
use crate::state::State;
use crate::tree;

/// Who reads.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// The session.
    pub session: i64,
    /// What the connection has proved to be.
    pub identities: &'a [Id],
    /// The rules of this server.
    pub rules: Rules,
}

/// The names of a node's children, in the order in which they were created.
#[derive(Debug, Clone)]
pub struct ChildNames<'s>(tree::Children<'s>);

impl<'s> Iterator for ChildNames<'s> {
    type Item = &'s str;

    fn next(&mut self) -> Option<&'s str> {
        self.0.next().map(|(_, node)| node.name())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for ChildNames<'_> {}

impl State {
    /// A node that the reader has one of the permissions for.
    fn readable(&self, path: &str, perms: i32, access: Access<'_>) -> Result<&Node, ErrorCode> {
        let id = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        let node = self.tree.node(id);
        let acl = self.tree.acl(node);
        acl::check(acl, perms, access.identities, access.rules)?;
        Ok(node)
    }

    /// `exists`.
    pub fn exists(&self, path: &str, access: Access<'_>) -> Result<Stat, ErrorCode> {
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        Ok(self.readable(path, perms::READ, access)?.stat())
    }

    /// `getData`: the data, which may be null, and the stat.
    pub fn get_data(
        &self,
        path: &str,
        access: Access<'_>,
    ) -> Result<(Option<&[u8]>, Stat), ErrorCode> {
        let node = self.readable(path, perms::READ, access)?;
        Ok((node.data(), node.stat()))
    }

    /// `getACL`. Whoever may read, but not administer the node, does not see digests.
    pub fn get_acl(&self, path: &str, access: Access<'_>) -> Result<(Vec<Acl>, Stat), ErrorCode> {
        let node = self.readable(path, perms::READ | perms::ADMIN, access)?;
        let acl = acl::visible(self.tree.acl(node), access.identities, access.rules);
        Ok((acl, node.stat()))
    }

    /// `getChildren` and `getChildren2`.
    pub fn get_children(
        &self,
        path: &str,
        access: Access<'_>,
    ) -> Result<(ChildNames<'_>, Stat), ErrorCode> {
        let stat = self.readable(path, perms::READ, access)?.stat();
        let id = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        Ok((ChildNames(self.tree.children(id)), stat))
    }

    /// `getEphemerals`: the paths of the session's ephemeral nodes that begin with a text.
    #[must_use]
    pub fn get_ephemerals(&self, prefix: Option<&str>, session: i64) -> Vec<String> {
        let mut paths = self.tree.ephemerals(session);
        let prefix = prefix.unwrap_or_default();
        // Java's `trim` knows no other white space.
        let trimmed = prefix.trim_matches(|char| char <= ' ');
        if !matches!(trimmed, "" | path::ROOT) {
            paths.retain(|path| path.starts_with(prefix));
        }
        paths
    }

    /// `getAllChildrenNumber`: how many nodes are below one. Looks at all of them.
    pub fn get_all_children_number(
        &self,
        path: &str,
        access: Access<'_>,
    ) -> Result<i32, ErrorCode> {
        self.readable(path, perms::READ, access)?;
        let id = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        let count = match path {
            path::ROOT => self.tree.count() - 1,
            // Every path begins with it and a slash, the root's own among them.
            "" => self.tree.count(),
            _ => self.tree.below(id).count(),
        };
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// `multiRead`: each read has its own result.
    #[must_use]
    pub fn multi_read(&self, reads: &[MultiRead], access: Access<'_>) -> Vec<MultiResult> {
        let one = |read: &MultiRead| match read {
            MultiRead::GetChildren(read) => self
                .get_children(&read.path, access)
                .map(|(names, _)| MultiResult::GetChildren(names.map(str::to_owned).collect())),
            MultiRead::GetData(GetData { path, .. }) => {
                self.get_data(path, access)
                    .map(|(data, stat)| MultiResult::GetData {
                        data: data.map(Bytes::copy_from_slice),
                        stat,
                    })
            }
        };
        reads
            .iter()
            .map(|read| one(read).unwrap_or_else(|error| MultiResult::Error(error.code())))
            .collect()
    }

    /// Answers a read: writes the fields of the response straight from the tree, or nothing if it
    /// fails. Watches are not set here.
    ///
    /// What is no read of the state is `UNIMPLEMENTED`.
    pub fn answer(
        &self,
        request: &Request,
        access: Access<'_>,
        out: &mut Writer<'_>,
    ) -> Result<(), ErrorCode> {
        match request {
            Request::Exists(read) => self.exists(&read.path, access)?.write(out),
            Request::GetData(read) => {
                let (data, stat) = self.get_data(&read.path, access)?;
                out.buffer_or_null(data);
                stat.write(out);
            }
            Request::GetAcl(read) => {
                let (acl, stat) = self.get_acl(&read.path, access)?;
                acl.write(out);
                stat.write(out);
            }
            Request::GetChildren(read) => {
                let (names, _) = self.get_children(&read.path, access)?;
                write_names(names, out);
            }
            Request::GetChildren2(read) => {
                let (names, stat) = self.get_children(&read.path, access)?;
                write_names(names, out);
                stat.write(out);
            }
            Request::GetEphemerals(read) => {
                self.get_ephemerals(read.prefix_path.as_deref(), access.session)
                    .write(out);
            }
            Request::GetAllChildrenNumber(read) => {
                self.get_all_children_number(&read.path, access)?.write(out);
            }
            Request::MultiRead(reads) => {
                let results = self.multi_read(reads, access);
                ottla_jute::Response::Multi(results).write(out);
            }
            _ => return Err(ErrorCode::Unimplemented),
        }
        Ok(())
    }

    /// Whether [`State::answer`] answers such requests.
    #[must_use]
    pub fn is_read(op: OpCode) -> bool {
        matches!(
            op,
            OpCode::Exists
                | OpCode::GetData
                | OpCode::GetAcl
                | OpCode::GetChildren
                | OpCode::GetChildren2
                | OpCode::GetEphemerals
                | OpCode::GetAllChildrenNumber
                | OpCode::MultiRead
        )
    }
}

/// Writes the vector of strings without a look at whether they are text: they are.
fn write_names(names: ChildNames<'_>, out: &mut Writer<'_>) {
    out.length(names.len());
    for (_, node) in names.0 {
        out.buffer(node.name_bytes());
    }
}
