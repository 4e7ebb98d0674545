//! The operations, with the chroot put in front of paths and taken off again.

use bytes::Bytes;
use ottla_jute::{
    Acl, AddWatch, AddWatchMode, AuthPacket, CheckWatches, ClientInfo, Create, CreateMode,
    CreateTtl, Delete, ErrorCode, Exists, GetAcl, GetAllChildrenNumber, GetChildren, GetData,
    GetEphemerals, MultiOp, MultiResult, Reconfig, Request, Response, SetAcl, SetData, Stat, Sync,
    WatcherType,
};

use super::watches::Watch;
use super::{Client, Failure};
use crate::keeper::connection::Credentials;

/// Where the members of the ensemble are; no chroot hides it.
const CONFIG_PATH: &str = ottla_znode::CONFIG_PATH;

/// A znode to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewNode {
    pub(crate) path: String,
    pub(crate) data: Option<Bytes>,
    pub(crate) acl: Vec<Acl>,
    pub(crate) mode: CreateMode,
    /// Only for modes that have one.
    pub(crate) ttl_ms: i64,
}

/// The request that creates a znode: each kind has its own.
enum Creation {
    Plain(Create),
    Container(Create),
    Ttl(CreateTtl),
}

impl NewNode {
    fn creation(self) -> Creation {
        let NewNode {
            path,
            data,
            acl,
            mode,
            ttl_ms,
        } = self;
        let flags = mode.code();
        if mode.is_ttl() {
            return Creation::Ttl(CreateTtl {
                path,
                data,
                acl,
                flags,
                ttl_ms,
            });
        }
        let create = Create {
            path,
            data,
            acl,
            flags,
        };
        match mode {
            CreateMode::Container => Creation::Container(create),
            _ => Creation::Plain(create),
        }
    }

    /// The same as an operation of a multi.
    pub(crate) fn into_op(self) -> MultiOp {
        match self.creation() {
            Creation::Plain(create) => MultiOp::Create2(create),
            Creation::Container(create) => MultiOp::CreateContainer(create),
            Creation::Ttl(create) => MultiOp::CreateTtl(create),
        }
    }
}

/// What [`Client::add_watch`] sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchKind {
    /// One znode and its children.
    One,
    /// It and everything below it.
    Recursive,
}

impl Client {
    /// The same session without the chroot.
    pub(crate) fn at_root(&self) -> Client {
        Client {
            chroot: String::new(),
            ..self.clone()
        }
    }

    /// A path as the servers have it.
    pub(crate) fn full(&self, path: &str) -> String {
        match (self.chroot.as_str(), path) {
            ("", path) => path.to_owned(),
            (chroot, "/") => chroot.to_owned(),
            (chroot, path) => format!("{chroot}{path}"),
        }
    }

    /// A path as the client has it. What lies outside of the chroot stays as it is.
    pub(crate) fn own(&self, path: &str) -> String {
        let Some(rest) = path.strip_prefix(&self.chroot) else {
            return path.to_owned();
        };
        match rest.chars().next() {
            None => "/".to_owned(),
            Some('/') => rest.to_owned(),
            Some(_) => path.to_owned(),
        }
    }

    /// The stat of a znode, or nothing if it is not there.
    pub(crate) async fn exists(&self, path: &str, watch: bool) -> Result<Option<Stat>, Failure> {
        let path = self.full(path);
        let exists = true;
        let set = watch.then(|| Watch::Data {
            path: path.clone(),
            exists,
        });
        match self.ask(Request::Exists(Exists { path, watch }), set).await {
            Ok(Response::Stat(stat)) => Ok(Some(stat)),
            Err(Failure::Refused(ErrorCode::NoNode)) => Ok(None),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn get(
        &self,
        path: &str,
        watch: bool,
    ) -> Result<(Option<Bytes>, Stat), Failure> {
        self.get_at(self.full(path), watch).await
    }

    async fn get_at(&self, path: String, watch: bool) -> Result<(Option<Bytes>, Stat), Failure> {
        let set = watch.then(|| Watch::Data {
            path: path.clone(),
            exists: false,
        });
        match self
            .ask(Request::GetData(GetData { path, watch }), set)
            .await
        {
            Ok(Response::GetData { data, stat }) => Ok((data, stat)),
            other => Err(unexpected(other)),
        }
    }

    /// The names of the children, sorted, and the stat.
    pub(crate) async fn children(
        &self,
        path: &str,
        watch: bool,
    ) -> Result<(Vec<String>, Stat), Failure> {
        let path = self.full(path);
        let set = watch.then(|| Watch::Children { path: path.clone() });
        let request = Request::GetChildren2(GetChildren { path, watch });
        match self.ask(request, set).await {
            Ok(Response::GetChildren2 { mut children, stat }) => {
                children.sort_unstable();
                Ok((children, stat))
            }
            other => Err(unexpected(other)),
        }
    }

    /// Creates a znode: its path, which a sequential one's number completes, and its stat.
    pub(crate) async fn create(&self, mut node: NewNode) -> Result<(String, Stat), Failure> {
        // Of a sequential znode the path may end in a slash, and then the number is the whole name.
        node.path = format!("{}{}", self.chroot, node.path);
        let request = match node.creation() {
            Creation::Ttl(create) => Request::CreateTtl(create),
            Creation::Container(create) => Request::CreateContainer(create),
            Creation::Plain(create) => Request::Create2(create),
        };
        match self.ask(request, None).await {
            Ok(Response::Create2 { path, stat }) => Ok((self.own(&path), stat)),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn delete(&self, path: &str, version: i32) -> Result<(), Failure> {
        let path = self.full(path);
        let request = Request::Delete(Delete { path, version });
        match self.ask(request, None).await {
            Ok(Response::Empty) => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn set(
        &self,
        path: &str,
        data: Option<Bytes>,
        version: i32,
    ) -> Result<Stat, Failure> {
        let request = Request::SetData(SetData {
            path: self.full(path),
            data,
            version,
        });
        match self.ask(request, None).await {
            Ok(Response::Stat(stat)) => Ok(stat),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn acl(&self, path: &str) -> Result<(Vec<Acl>, Stat), Failure> {
        let path = self.full(path);
        match self.ask(Request::GetAcl(GetAcl { path }), None).await {
            Ok(Response::GetAcl { acl, stat }) => Ok((acl, stat)),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn set_acl(
        &self,
        path: &str,
        acl: Vec<Acl>,
        version: i32,
    ) -> Result<Stat, Failure> {
        let path = self.full(path);
        let request = Request::SetAcl(SetAcl { path, acl, version });
        match self.ask(request, None).await {
            Ok(Response::Stat(stat)) => Ok(stat),
            other => Err(unexpected(other)),
        }
    }

    /// Carries out all operations, or none: the first that was refused is the failure.
    pub(crate) async fn multi(&self, ops: Vec<MultiOp>) -> Result<Vec<MultiResult>, Failure> {
        let ops = ops.into_iter().map(|op| self.full_op(op)).collect();
        let results = match self.ask(Request::Multi(ops), None).await {
            Ok(Response::Multi(results)) => results,
            other => return Err(unexpected(other)),
        };
        let is_cause = |err: i32| {
            let ok = ErrorCode::Ok.code();
            let not_tried = ErrorCode::RuntimeInconsistency.code();
            err != ok && err != not_tried
        };
        let mut failed = false;
        for (index, result) in results.iter().enumerate() {
            if let MultiResult::Error(err) = result {
                failed = true;
                if is_cause(*err) {
                    let code = ErrorCode::try_from(*err)?;
                    return Err(Failure::Operation { index, code });
                }
            }
        }
        if failed {
            return Err(Failure::Refused(ErrorCode::RuntimeInconsistency));
        }
        let own = |result| match result {
            MultiResult::Create { path } => MultiResult::Create {
                path: self.own(&path),
            },
            MultiResult::Create2 { path, stat } => MultiResult::Create2 {
                path: self.own(&path),
                stat,
            },
            other => other,
        };
        Ok(results.into_iter().map(own).collect())
    }

    fn full_op(&self, mut op: MultiOp) -> MultiOp {
        let path = match &mut op {
            MultiOp::Create(create)
            | MultiOp::Create2(create)
            | MultiOp::CreateContainer(create) => &mut create.path,
            MultiOp::CreateTtl(create) => &mut create.path,
            MultiOp::Delete(delete) => &mut delete.path,
            MultiOp::SetData(set) => &mut set.path,
            MultiOp::Check(check) => &mut check.path,
        };
        *path = self.full(path);
        op
    }

    /// Waits until the server has what was committed before.
    pub(crate) async fn sync(&self, path: &str) -> Result<(), Failure> {
        let path = self.full(path);
        match self.ask(Request::Sync(Sync { path }), None).await {
            Ok(Response::Sync { .. }) => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Watches until the watch is removed.
    pub(crate) async fn add_watch(&self, path: &str, kind: WatchKind) -> Result<(), Failure> {
        let path = self.full(path);
        let recursive = kind == WatchKind::Recursive;
        let set = Watch::Persistent {
            path: path.clone(),
            recursive,
        };
        let mode = if recursive {
            AddWatchMode::PersistentRecursive
        } else {
            AddWatchMode::Persistent
        };
        let request = Request::AddWatch(AddWatch { path, mode });
        match self.ask(request, Some(set)).await {
            Ok(Response::Error { err: 0 }) => Ok(()),
            Ok(Response::Error { err }) => Err(Failure::Refused(ErrorCode::try_from(err)?)),
            other => Err(unexpected(other)),
        }
    }

    /// Removes all watches of a path.
    pub(crate) async fn remove_watches(&self, path: &str) -> Result<(), Failure> {
        let path = self.full(path);
        let remove = Watch::Remove { path: path.clone() };
        let kind = WatcherType::Any;
        let request = Request::RemoveWatches(CheckWatches { path, kind });
        match self.ask(request, Some(remove)).await {
            Ok(Response::Empty) => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Proves one more identity, now and on each connection to come.
    pub(crate) async fn prove(&self, credentials: Credentials) -> Result<(), Failure> {
        let secret = credentials.secret.expose().as_bytes();
        let request = Request::Auth(AuthPacket {
            kind: 0,
            scheme: Some(credentials.scheme.clone()),
            auth: Some(Bytes::copy_from_slice(secret)),
        });
        match self.ask(request, None).await {
            Ok(Response::Empty) => Ok(()),
            // The server ends the connection with its answer.
            Err(Failure::Lost { .. }) => Err(Failure::Refused(ErrorCode::AuthFailed)),
            other => Err(unexpected(other)),
        }
    }

    /// Who the connection has proved to be.
    pub(crate) async fn who_am_i(&self) -> Result<Vec<ClientInfo>, Failure> {
        match self.ask(Request::WhoAmI, None).await {
            Ok(Response::WhoAmI { client_info }) => Ok(client_info),
            other => Err(unexpected(other)),
        }
    }

    /// The ephemeral znodes of this session, below a path.
    pub(crate) async fn ephemerals(&self, below: &str) -> Result<Vec<String>, Failure> {
        let prefix_path = Some(self.full(below));
        let request = Request::GetEphemerals(GetEphemerals { prefix_path });
        match self.ask(request, None).await {
            Ok(Response::GetEphemerals { ephemerals }) => {
                Ok(ephemerals.iter().map(|path| self.own(path)).collect())
            }
            other => Err(unexpected(other)),
        }
    }

    /// How many znodes are below one.
    pub(crate) async fn count_below(&self, path: &str) -> Result<i32, Failure> {
        let path = self.full(path);
        let request = Request::GetAllChildrenNumber(GetAllChildrenNumber { path });
        match self.ask(request, None).await {
            Ok(Response::GetAllChildrenNumber { total_number }) => Ok(total_number),
            other => Err(unexpected(other)),
        }
    }

    /// The members of the ensemble, as their znode has them.
    pub(crate) async fn config(&self) -> Result<(Option<Bytes>, Stat), Failure> {
        self.get_at(CONFIG_PATH.to_owned(), false).await
    }

    /// Changes the members; what they are then.
    pub(crate) async fn reconfig(
        &self,
        request: Reconfig,
    ) -> Result<(Option<Bytes>, Stat), Failure> {
        match self.ask(Request::Reconfig(request), None).await {
            Ok(Response::GetData { data, stat }) => Ok((data, stat)),
            other => Err(unexpected(other)),
        }
    }
}

/// What stands where another answer was due.
fn unexpected(answer: Result<Response, Failure>) -> Failure {
    match answer {
        Err(failure) => failure,
        Ok(other) => Failure::Unusable(format!("the server answered something else: {other:?}")),
    }
}
