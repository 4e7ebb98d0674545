//! The same behaviour once more, as plainly as it can be said: all nodes in one map by their paths,
//! and a copy of everything to go back to when a multi fails.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_jute::{
    Acl, CreateMode, ErrorCode, Id, MultiOp, MultiResult, Request, Response, Stat, perms,
};
use ottla_znode::{
    Access, Change, ChangeKind, Closing, Command, Owner, Reply, Requester, Rules, State,
    is_valid_path,
};

use crate::random::Commands;
use crate::world::id;

const TTL: i64 = 0xff << 56;

#[derive(Clone, Debug)]
struct Node {
    data: Option<Bytes>,
    acl: Vec<Acl>,
    czxid: i64,
    mzxid: i64,
    pzxid: i64,
    ctime: i64,
    mtime: i64,
    version: i32,
    created: i32,
    aversion: i32,
    owner: i64,
}

#[derive(Clone)]
struct Model {
    nodes: BTreeMap<String, Node>,
    sessions: BTreeMap<i64, ([u8; 16], i32, Owner)>,
    zxid: i64,
    now: i64,
    changes: Vec<(ChangeKind, String)>,
}

type Answer<T> = Result<T, ErrorCode>;

struct Asked<'a> {
    path: &'a str,
    data: &'a Option<Bytes>,
    acl: &'a [Acl],
    flags: i32,
    ttl: Option<i64>,
    container: bool,
}

fn parent(path: &str) -> Option<String> {
    let (parent, _) = path.rsplit_once('/')?;
    Some(if parent.is_empty() { "/" } else { parent }.to_owned())
}

fn is_special(path: &str) -> bool {
    ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"].contains(&path)
}

/// Knows no more than the random ACLs need.
fn allowed(node: &Node, perm: i32, ids: &[Id]) -> Answer<()> {
    let is = |acl: &Id| {
        acl.scheme == "world"
            || ids.contains(acl)
            || (acl.scheme == "ip" && ids.contains(&id("ip:10.0.0.1")))
    };
    let by_acl = node
        .acl
        .iter()
        .any(|acl| acl.perms & perm != 0 && is(&acl.id));
    if by_acl || ids.iter().any(|id| id.scheme == "super") {
        return Ok(());
    }
    Err(ErrorCode::NoAuth)
}

fn fixed(acl: &[Acl], ids: &[Id]) -> Answer<Vec<Acl>> {
    let mut fixed: Vec<Acl> = Vec::new();
    let mut seen: Vec<&Acl> = Vec::new();
    for entry in acl {
        if seen.contains(&entry) {
            continue;
        }
        seen.push(entry);
        if entry.id.scheme == "auth" {
            let digests: Vec<_> = ids.iter().filter(|id| id.scheme == "digest").collect();
            if digests.is_empty() {
                return Err(ErrorCode::InvalidAcl);
            }
            fixed.extend(
                digests
                    .into_iter()
                    .map(|id| Acl::new(entry.perms, id.clone())),
            );
        } else {
            fixed.push(entry.clone());
        }
    }
    if fixed.is_empty() {
        return Err(ErrorCode::InvalidAcl);
    }
    Ok(fixed)
}

impl Model {
    fn new() -> Self {
        let node = |acl: Acl, aversion| Node {
            data: Some(Bytes::new()),
            acl: vec![acl],
            czxid: 0,
            mzxid: 0,
            pzxid: 0,
            ctime: 0,
            mtime: 0,
            version: 0,
            created: 0,
            aversion,
            owner: 0,
        };
        let mut nodes = BTreeMap::new();
        for path in ["/", "/zookeeper", "/zookeeper/quota"] {
            nodes.insert(path.to_owned(), node(Acl::open(), 0));
        }
        nodes.insert("/zookeeper/config".into(), node(Acl::readable(), -1));
        Model {
            nodes,
            sessions: BTreeMap::new(),
            zxid: 0,
            now: 0,
            changes: Vec::new(),
        }
    }

    fn children(&self, path: &str) -> usize {
        let all = self.nodes.keys();
        all.filter(|other| *other != "/" && parent(other).as_deref() == Some(path))
            .count()
    }

    fn stat(&self, path: &str) -> Stat {
        let node = &self.nodes[path];
        let children = self.children(path) as i32;
        Stat {
            czxid: node.czxid,
            mzxid: node.mzxid,
            ctime: node.ctime,
            mtime: node.mtime,
            version: node.version,
            cversion: 2 * node.created - children,
            aversion: node.aversion,
            ephemeral_owner: if node.owner > 0 { node.owner } else { 0 },
            data_length: node.data.as_ref().map_or(0, |data| data.len() as i32),
            num_children: children,
            pzxid: node.pzxid,
        }
    }

    fn node(&self, path: &str) -> Answer<&Node> {
        let path = if path.is_empty() { "/" } else { path };
        self.nodes.get(path).ok_or(ErrorCode::NoNode)
    }

    fn create(&mut self, asked: &Asked<'_>, session: i64, ids: &[Id]) -> Answer<String> {
        let mode = CreateMode::try_from(asked.flags).map_err(|_| ErrorCode::BadArguments)?;
        let owner = match (asked.ttl, mode.is_ttl()) {
            (Some(ttl), true) if ttl > 0 => TTL | ttl,
            (None, false) if asked.container => i64::MIN,
            (None, false) if mode.is_ephemeral() => session,
            (None, false) => 0,
            _ => return Err(ErrorCode::BadArguments),
        };
        let above = parent(asked.path).ok_or(ErrorCode::BadArguments)?;
        if asked.path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let acl = fixed(asked.acl, ids)?;
        let parent_node = self.node(&above)?.clone();
        allowed(&parent_node, perms::CREATE, ids)?;
        let mut path = asked.path.to_owned();
        if mode.is_sequential() {
            path = format!("{path}{:010}", parent_node.created);
        }
        if !is_valid_path(&path) {
            return Err(ErrorCode::BadArguments);
        }
        if self.nodes.contains_key(&path) {
            return Err(ErrorCode::NodeExists);
        }
        if parent_node.owner > 0 {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let (zxid, now) = (self.zxid, self.now);
        let node = Node {
            data: asked.data.clone(),
            acl,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: now,
            mtime: now,
            version: 0,
            created: 0,
            aversion: 0,
            owner,
        };
        self.nodes.insert(path.clone(), node);
        let parent_node = self.nodes.get_mut(&above).unwrap();
        parent_node.created += 1;
        parent_node.pzxid = zxid;
        self.changes.push((ChangeKind::Created, path.clone()));
        Ok(path)
    }

    fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
        let above = parent(path).unwrap();
        self.nodes.get_mut(&above).unwrap().pzxid = self.zxid;
        self.changes.push((ChangeKind::Deleted, path.to_owned()));
    }

    fn delete(&mut self, path: &str, version: Option<i32>, ids: &[Id]) -> Answer<()> {
        let above = parent(path).ok_or(ErrorCode::BadArguments)?;
        if path.contains('\0') || is_special(path) {
            return Err(ErrorCode::BadArguments);
        }
        allowed(self.node(&above)?, perms::DELETE, ids)?;
        let node = self.node(path)?;
        let (has, owner) = (node.version, node.owner);
        if version.is_some_and(|version| version != -1 && version != has) {
            return Err(ErrorCode::BadVersion);
        }
        if self.children(path) > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        if version.is_none() && owner > 0 {
            return Err(ErrorCode::BadVersion);
        }
        self.remove(path);
        Ok(())
    }

    /// The node that a valid path names and that the permission is given for.
    fn mutable(&mut self, path: &str, perm: i32, ids: &[Id]) -> Answer<&mut Node> {
        if !is_valid_path(path) {
            return Err(ErrorCode::BadArguments);
        }
        allowed(self.node(path)?, perm, ids)?;
        self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)
    }

    fn set_data(
        &mut self,
        path: &str,
        data: &Option<Bytes>,
        version: i32,
        ids: &[Id],
    ) -> Answer<Stat> {
        let (zxid, now) = (self.zxid, self.now);
        let node = self.mutable(path, perms::WRITE, ids)?;
        if version != -1 && version != node.version {
            return Err(ErrorCode::BadVersion);
        }
        node.data = data.clone();
        node.version += 1;
        node.mzxid = zxid;
        node.mtime = now;
        self.changes
            .push((ChangeKind::DataChanged, path.to_owned()));
        Ok(self.stat(path))
    }

    fn multi_op(&mut self, op: &MultiOp, session: i64, ids: &[Id]) -> Answer<MultiResult> {
        let (asked, with_stat) = match op {
            MultiOp::Create(c) => ((&c.path, &c.data, &c.acl, c.flags, None, false), false),
            MultiOp::Create2(c) => ((&c.path, &c.data, &c.acl, c.flags, None, false), true),
            MultiOp::CreateContainer(c) => ((&c.path, &c.data, &c.acl, c.flags, None, true), true),
            MultiOp::CreateTtl(c) => {
                let ttl = Some(c.ttl_ms);
                ((&c.path, &c.data, &c.acl, c.flags, ttl, false), true)
            }
            MultiOp::Delete(d) => {
                self.delete(&d.path, Some(d.version), ids)?;
                return Ok(MultiResult::Delete);
            }
            MultiOp::SetData(s) => {
                let stat = self.set_data(&s.path, &s.data, s.version, ids)?;
                return Ok(MultiResult::SetData(stat));
            }
            MultiOp::Check(c) => {
                let node = self.mutable(&c.path, perms::READ, ids)?;
                if c.version != -1 && c.version != node.version {
                    return Err(ErrorCode::BadVersion);
                }
                return Ok(MultiResult::Check);
            }
        };
        let (path, data, acl, flags, ttl, container) = asked;
        let asked = Asked {
            path,
            data,
            acl,
            flags,
            ttl,
            container,
        };
        let path = self.create(&asked, session, ids)?;
        if with_stat {
            let stat = self.stat(&path);
            return Ok(MultiResult::Create2 { path, stat });
        }
        Ok(MultiResult::Create { path })
    }

    fn multi(&mut self, ops: &[MultiOp], session: i64, ids: &[Id]) -> Response {
        let before = self.clone();
        let mut results = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            match self.multi_op(op, session, ids) {
                Ok(result) => results.push(result),
                Err(error) => {
                    *self = before;
                    let code = |other: usize| match other.cmp(&index) {
                        std::cmp::Ordering::Less => 0,
                        std::cmp::Ordering::Equal => error.code(),
                        std::cmp::Ordering::Greater => -2,
                    };
                    let codes = (0..ops.len()).map(code);
                    return Response::Multi(codes.map(MultiResult::Error).collect());
                }
            }
        }
        Response::Multi(results)
    }

    fn session(&self, session: i64, owner: Option<Owner>) -> Answer<()> {
        let (_, _, has) = self
            .sessions
            .get(&session)
            .ok_or(ErrorCode::SessionExpired)?;
        if owner.is_some_and(|owner| owner != *has) {
            return Err(ErrorCode::SessionMoved);
        }
        Ok(())
    }

    fn write(&mut self, requester: &Requester, request: &Request) -> Answer<Response> {
        let (session, ids) = (requester.session, &requester.identities[..]);
        self.session(session, Some(requester.owner))?;
        let one = |op: MultiOp, model: &mut Model| model.multi_op(&op, session, ids);
        let result = match request {
            Request::Create(create) => one(MultiOp::Create(create.clone()), self)?,
            Request::Create2(create) => one(MultiOp::Create2(create.clone()), self)?,
            Request::CreateContainer(create) => {
                one(MultiOp::CreateContainer(create.clone()), self)?
            }
            Request::CreateTtl(create) => one(MultiOp::CreateTtl(create.clone()), self)?,
            Request::Delete(delete) => one(MultiOp::Delete(delete.clone()), self)?,
            Request::SetData(set) => one(MultiOp::SetData(set.clone()), self)?,
            Request::DeleteContainer(delete) => {
                self.delete(&delete.path, None, ids)?;
                MultiResult::Delete
            }
            Request::SetAcl(set) => {
                if !is_valid_path(&set.path) {
                    return Err(ErrorCode::BadArguments);
                }
                let acl = fixed(&set.acl, ids)?;
                let node = self.mutable(&set.path, perms::ADMIN, ids)?;
                if set.version != -1 && set.version != node.aversion {
                    return Err(ErrorCode::BadVersion);
                }
                node.acl = acl;
                node.aversion += 1;
                return Ok(Response::Stat(self.stat(&set.path)));
            }
            Request::Sync(sync) => {
                return Ok(Response::Sync {
                    path: sync.path.clone(),
                });
            }
            Request::Multi(ops) => return Ok(self.multi(ops, session, ids)),
            other => panic!("{other:?}"),
        };
        Ok(match result {
            MultiResult::Create { path } => Response::Create { path },
            MultiResult::Create2 { path, stat } => Response::Create2 { path, stat },
            MultiResult::SetData(stat) => Response::Stat(stat),
            _ => Response::Empty,
        })
    }

    fn reap(&mut self, path: &str, due: impl Fn(&Node, i64) -> bool) -> Answer<Reply> {
        let path = if path.is_empty() { "/" } else { path };
        let age = |node: &Node| self.now - node.mtime;
        let node = self.nodes.get(path);
        let due = node.is_some_and(|node| due(node, age(node))) && self.children(path) == 0;
        if due {
            self.remove(path);
        }
        Ok(Reply::Reaped(due))
    }

    fn apply(&mut self, command: &Command) -> Answer<Reply> {
        self.zxid += i64::from(command.takes_zxid());
        match command {
            Command::OpenSession {
                session,
                password,
                timeout_ms,
                owner,
            } => {
                let new = (*password, *timeout_ms, *owner);
                let has = *self.sessions.entry(*session).or_insert(new);
                if has != new {
                    return Err(ErrorCode::RuntimeInconsistency);
                }
                let timeout_ms = *timeout_ms;
                Ok(Reply::Session { timeout_ms })
            }
            Command::AttachSession {
                session,
                password,
                timeout_ms,
                owner,
            } => {
                let has = self.sessions.get_mut(session);
                let has = has.ok_or(ErrorCode::SessionExpired)?;
                if has.0 != *password {
                    return Err(ErrorCode::AuthFailed);
                }
                *has = (*password, *timeout_ms, *owner);
                let timeout_ms = *timeout_ms;
                Ok(Reply::Session { timeout_ms })
            }
            Command::CloseSession {
                session,
                owner,
                closing,
            } => {
                let is_expiry = *closing == Closing::Expired;
                self.session(*session, owner.filter(|_| is_expiry))?;
                self.sessions.remove(session);
                let all = self.nodes.iter();
                let own: Vec<_> = all
                    .filter(|(_, node)| node.owner == *session)
                    .map(|(path, _)| path.clone())
                    .collect();
                for path in own {
                    self.remove(&path);
                }
                Ok(Reply::Closed)
            }
            Command::Write {
                requester,
                operation,
            } => self
                .write(requester, operation.request())
                .map(Reply::Response),
            Command::ReapContainer {
                path,
                never_used_ms,
            } => self.reap(path, |node, age| {
                let old = *never_used_ms != 0 && age > *never_used_ms;
                node.owner == i64::MIN && (node.created > 0 || old)
            }),
            Command::ReapTtl { path } => self.reap(path, |node, age| {
                node.owner & TTL == TTL && age > node.owner & !TTL
            }),
            Command::SetConfig { members, .. } => {
                let data = format!("{members}\nversion={:x}", self.zxid);
                let path = "/zookeeper/config".to_owned();
                let node = self.nodes.get_mut(&path).unwrap();
                node.data = Some(data.into_bytes().into());
                node.version = -1;
                node.mzxid = self.zxid;
                node.mtime = self.now;
                let (data, stat) = (node.data.clone(), self.stat(&path));
                self.changes.push((ChangeKind::DataChanged, path));
                Ok(Reply::Response(Response::GetData { data, stat }))
            }
            // They are replayed in `backups`; random commands have none.
            Command::RestorePart { .. }
            | Command::RestoreEnd { .. }
            | Command::RestoreAbort { .. } => panic!("{command:?}"),
        }
    }

    fn compare(&self, state: &State) {
        state.check().unwrap();
        let identities = [id("super:")];
        let access = Access {
            session: 1,
            identities: &identities,
            rules: Rules::default(),
        };
        assert_eq!(state.node_count(), self.nodes.len() + 1);
        for (path, node) in &self.nodes {
            let (data, stat) = state.get_data(path, access).unwrap();
            assert_eq!(
                (data, stat),
                (node.data.as_deref(), self.stat(path)),
                "{path}"
            );
            let (acl, _) = state.get_acl(path, access).unwrap();
            assert_eq!(acl, node.acl, "{path}");
        }
        let sessions: Vec<_> = state
            .sessions()
            .map(|(id, s)| (id, (s.password, s.timeout_ms, s.owner)))
            .collect();
        let expected: Vec<_> = self.sessions.iter().map(|(id, s)| (*id, *s)).collect();
        assert_eq!(sessions, expected);
        assert_eq!(state.last_zxid(), self.zxid);
    }
}

#[test]
fn random_commands_do_what_the_model_does() {
    let rules = Rules {
        extended_types: true,
        ..Rules::default()
    };
    let mut succeeded = 0;
    for seed in 0..60 {
        let mut commands = Commands::new(seed, false);
        let (mut state, mut model) = (State::new(), Model::new());
        for step in 0..400 {
            model.now += commands.random.below(8) as i64;
            let command = commands.next();
            let outcome = state.apply(0, model.now, &command, rules);
            model.changes.clear();
            let reply = model.apply(&command);
            let what = format!("seed {seed}, step {step}: {command:?}");
            succeeded += usize::from(reply.is_ok());
            assert_eq!(outcome.reply, reply, "{what}");
            assert_eq!(outcome.zxid, model.zxid, "{what}");
            let changes: Vec<_> = outcome
                .changes
                .iter()
                .map(|Change { kind, path, .. }| (*kind, path.to_string()))
                .collect();
            assert_eq!(changes, model.changes, "{what}");
            if step % 50 == 0 {
                model.compare(&state);
            }
            // A member that starts anew goes on from a snapshot.
            if step % 133 == 132 {
                let chunks = state.view().chunks();
                state = State::restore(chunks).unwrap();
            }
        }
        model.compare(&state);
    }
    assert!(succeeded > 6000, "only {succeeded} commands did something");
}
