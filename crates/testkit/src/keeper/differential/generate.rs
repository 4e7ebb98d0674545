//! Steps from a seed. What is chosen depends on what one side has answered, so that names of sequential
//! nodes come again and versions are often the right ones.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};
use ottla_jute::{
    Acl, AddWatch, AddWatchMode, AuthPacket, Check, CheckWatches, Create, CreateTtl, Delete,
    DeleteContainer, Exists, GetAcl, GetAllChildrenNumber, GetChildren, GetData, GetEphemerals,
    MultiOp, MultiRead, OpCode, Reconfig, Record, Request, SetAcl, SetData, SetWatches2, Sync,
    WatcherType,
};

use super::pools::{
    AUTHS, BAD, BODIES, LIMITS, NAMES, SPECIAL, STATS, STRANGE_OPERATIONS, acls, bad_acls,
};
use super::seen::Seen;
use super::side::Side;
use super::step::{CLIENTS, Since, Step};
use crate::dice::Dice;

/// Longer than a run: sessions end when a step says so, and nodes with a time to live never.
const TIMEOUT_MS: i32 = 600_000;
/// The longest time to live that ZooKeeper takes.
const TTL_MS_MAX: i64 = 0x00ff_ffff_ffff;
/// How many names of sequential nodes, and how many watches, come again.
const REMEMBERED: usize = 12;

/// How often each kind of step comes, in parts of their sum.
const WEIGHTS: [(Kind, usize); 27] = [
    (Kind::Create, 200),
    (Kind::CreateSpecial, 50),
    (Kind::Delete, 130),
    (Kind::SetData, 110),
    (Kind::Exists, 60),
    (Kind::GetData, 60),
    (Kind::GetChildren, 60),
    (Kind::GetAcl, 25),
    (Kind::SetAcl, 35),
    (Kind::Multi, 90),
    (Kind::MultiRead, 25),
    (Kind::Sync, 8),
    (Kind::GetEphemerals, 15),
    (Kind::AllChildrenNumber, 15),
    (Kind::AddWatch, 40),
    (Kind::RemoveWatches, 25),
    (Kind::CheckWatches, 15),
    (Kind::SetWatches, 20),
    (Kind::Quota, 30),
    (Kind::WhoAmI, 6),
    (Kind::Auth, 14),
    (Kind::Drop, 25),
    (Kind::Close, 10),
    (Kind::Expire, 1),
    (Kind::WrongBody, 12),
    (Kind::Strange, 8),
    (Kind::Big, 3),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    CreateSpecial,
    Delete,
    SetData,
    Exists,
    GetData,
    GetChildren,
    GetAcl,
    SetAcl,
    Multi,
    MultiRead,
    Sync,
    GetEphemerals,
    AllChildrenNumber,
    AddWatch,
    RemoveWatches,
    CheckWatches,
    SetWatches,
    Quota,
    WhoAmI,
    Auth,
    Drop,
    Close,
    Expire,
    WrongBody,
    Strange,
    Big,
}

/// Steps one after the other.
#[derive(Debug)]
pub struct Generator {
    dice: Dice,
    recent: Vec<String>,
    versions: BTreeMap<String, i32>,
    /// Who has set a watch where.
    watched: VecDeque<(usize, String)>,
    /// The path that the last request was about.
    asked: String,
}

impl Generator {
    /// The steps of a seed.
    pub fn of(seed: u64) -> Generator {
        Generator {
            dice: Dice::named(seed, "differential"),
            recent: Vec::new(),
            versions: BTreeMap::new(),
            watched: VecDeque::new(),
            asked: String::new(),
        }
    }

    /// What comes next.
    pub fn next(&mut self, side: &Side) -> Step {
        let client = self.dice.below(CLIENTS);
        if !side.is_connected(client) {
            return self.connect(side, client);
        }
        let sum: usize = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left = self.dice.below(sum);
        let found = WEIGHTS.iter().find(|(_, weight)| {
            let is_it = left < *weight;
            left = left.saturating_sub(*weight);
            is_it
        });
        let mut kind = found.map_or(Kind::Exists, |(kind, _)| *kind);
        // A follower of a real ZooKeeper stops working at some wrong bodies, and its leader never hears of a
        // timeout that is another one when a client comes back, which is how a step lets a session expire.
        if matches!(kind, Kind::WrongBody | Kind::Expire) && side.servers() > 1 {
            kind = Kind::Exists;
        }
        self.step(kind, client)
    }

    /// Takes in what the last step showed.
    pub fn learn(&mut self, seen: &Seen) {
        if let Some(path) = seen.text("path")
            && path.len() > 10
            && path.as_bytes()[path.len() - 10..]
                .iter()
                .all(u8::is_ascii_digit)
        {
            if self.recent.len() == REMEMBERED {
                let old = self.dice.below(REMEMBERED);
                self.recent.swap_remove(old);
            }
            self.recent.push(path.to_owned());
        }
        if let Some(version) = seen.text("version").and_then(|text| text.parse().ok()) {
            self.versions.insert(self.asked.clone(), version);
        }
    }

    fn connect(&mut self, side: &Side, client: usize) -> Step {
        if side.has_session(client) && self.dice.percent(90) {
            return Step::Resume {
                client,
                server: self.dice.below(side.servers()),
                with_password: !self.dice.percent(6),
            };
        }
        let timeout_ms = TIMEOUT_MS;
        Step::Open { client, timeout_ms }
    }

    fn step(&mut self, kind: Kind, client: usize) -> Step {
        let request = match kind {
            Kind::Drop => return Step::Drop { client },
            Kind::Expire => return Step::Expire { client },
            Kind::SetWatches => return self.set_watches(client),
            Kind::WrongBody => return self.wrong_body(client),
            Kind::Strange => return self.strange(client),
            Kind::Create | Kind::CreateSpecial => self.create(kind),
            Kind::Big => self.big(),
            Kind::Delete => Request::Delete(self.delete()),
            Kind::SetData => Request::SetData(self.set_data()),
            Kind::Exists => {
                let (path, watch) = self.watch(client);
                Request::Exists(Exists { path, watch })
            }
            Kind::GetData => {
                let (path, watch) = self.watch(client);
                Request::GetData(GetData { path, watch })
            }
            Kind::GetChildren => {
                let (path, watch) = self.watch(client);
                let both = [Request::GetChildren, Request::GetChildren2];
                both[self.dice.below(2)](GetChildren { path, watch })
            }
            Kind::GetAcl => Request::GetAcl(GetAcl { path: self.path() }),
            Kind::SetAcl => Request::SetAcl(SetAcl {
                path: self.path_but_the_root(),
                acl: self.acl(70),
                version: self.version(),
            }),
            Kind::Multi => self.multi(),
            Kind::MultiRead => self.multi_read(),
            Kind::Sync => Request::Sync(Sync { path: self.path() }),
            Kind::GetEphemerals => Request::GetEphemerals(GetEphemerals {
                prefix_path: Some(self.path()).filter(|_| !self.dice.percent(20)),
            }),
            Kind::AllChildrenNumber => {
                let path = self.path();
                Request::GetAllChildrenNumber(GetAllChildrenNumber { path })
            }
            Kind::AddWatch => {
                let modes = AddWatchMode::ALL;
                let mode = modes[self.dice.below(modes.len())];
                let path = self.path();
                self.has_watched(client, &path);
                Request::AddWatch(AddWatch { path, mode })
            }
            Kind::RemoveWatches => Request::RemoveWatches(self.watches(client)),
            Kind::CheckWatches => Request::CheckWatches(self.watches(client)),
            Kind::Quota => self.quota(),
            Kind::WhoAmI => Request::WhoAmI,
            Kind::Auth => {
                let (scheme, auth) = AUTHS[self.dice.below(AUTHS.len())];
                Request::Auth(AuthPacket {
                    kind: 0,
                    scheme: Some(scheme.to_owned()),
                    auth: Some(Bytes::from_static(auth.as_bytes())),
                })
            }
            Kind::Close => Request::CloseSession,
        };
        Step::request(client, &request)
    }

    fn path(&mut self) -> String {
        let path = match self.dice.below(100) {
            0..4 => BAD[self.dice.below(BAD.len())].to_owned(),
            4..10 => SPECIAL[self.dice.below(SPECIAL.len())].to_owned(),
            10..20 if !self.recent.is_empty() => {
                self.recent[self.dice.below(self.recent.len())].clone()
            }
            _ => self.plain_path(),
        };
        self.asked.clone_from(&path);
        path
    }

    fn plain_path(&mut self) -> String {
        let depth = [1, 1, 1, 2, 2, 3][self.dice.below(6)];
        let mut path = String::new();
        for _ in 0..depth {
            path.push('/');
            path.push_str(NAMES[self.dice.below(NAMES.len())]);
        }
        path
    }

    /// The root stays open to all: see the step that deletes a container.
    fn path_but_the_root(&mut self) -> String {
        match self.path() {
            root if root == "/" => self.top_path(),
            path => path,
        }
    }

    fn top_path(&mut self) -> String {
        let path = format!("/{}", NAMES[self.dice.below(NAMES.len())]);
        self.asked.clone_from(&path);
        path
    }

    fn watch(&mut self, client: usize) -> (String, bool) {
        let (path, watch) = (self.path(), self.dice.percent(60));
        if watch {
            self.has_watched(client, &path);
        }
        (path, watch)
    }

    fn has_watched(&mut self, client: usize, path: &str) {
        if self.watched.len() == REMEMBERED {
            self.watched.pop_front();
        }
        self.watched.push_back((client, path.to_owned()));
    }

    fn data(&mut self) -> Option<Bytes> {
        if self.asked.starts_with("/zookeeper/quota/") {
            let text = LIMITS[self.dice.below(LIMITS.len())];
            return Some(Bytes::from_static(text.as_bytes()));
        }
        match self.dice.below(20) {
            0 => None,
            1 => Some(Bytes::new()),
            _ => {
                let length = 1 + self.dice.below(12);
                let letter = b'a' + u8::try_from(self.dice.below(26)).unwrap_or(0);
                Some(Bytes::from(vec![letter; length]))
            }
        }
    }

    /// Right as often as not.
    fn version(&mut self) -> i32 {
        let known = self.versions.get(&self.asked).copied();
        match (self.dice.below(20), known) {
            (0..10, _) => -1,
            (10..16, Some(known)) => known,
            (19, _) => [-2, i32::MAX, i32::MIN][self.dice.below(3)],
            _ => i32::try_from(self.dice.below(4)).unwrap_or(0),
        }
    }

    fn acl(&mut self, special_percent: u64) -> Vec<Acl> {
        if !self.dice.percent(special_percent) {
            return vec![Acl::open()];
        }
        let mut pool = if self.dice.percent(25) {
            bad_acls()
        } else {
            acls()
        };
        pool.swap_remove(self.dice.below(pool.len()))
    }

    fn create_body(&mut self, flags: i32) -> Create {
        Create {
            path: self.path(),
            data: self.data(),
            acl: self.acl(12),
            flags,
        }
    }

    fn create_ttl_body(&mut self) -> CreateTtl {
        let Create {
            path, data, acl, ..
        } = self.create_body(0);
        let flags = [5, 5, 5, 6, 6, 0, 1, 4][self.dice.below(8)];
        // ZooKeeper takes one below 0 for a mode that has none, and cannot carry it out.
        let has_ttl = matches!(flags, 5 | 6);
        CreateTtl {
            path,
            data,
            acl,
            flags,
            ttl_ms: match self.dice.below(8) {
                0 if has_ttl => [0, -1, i64::MAX, TTL_MS_MAX + 1][self.dice.below(4)],
                _ => TTL_MS_MAX,
            },
        }
    }

    fn create(&mut self, kind: Kind) -> Request {
        if kind == Kind::CreateSpecial {
            return match self.dice.below(5) {
                0 | 1 => {
                    let flags = [4, 4, 4, 4, 0, 1][self.dice.below(6)];
                    Request::CreateContainer(self.create_body(flags))
                }
                2 | 3 => Request::CreateTtl(self.create_ttl_body()),
                _ => {
                    let flags = [4, 5, 6, 7, -1, 100][self.dice.below(6)];
                    Request::Create2(self.create_body(flags))
                }
            };
        }
        let flags = [0, 0, 0, 0, 1, 1, 2, 3][self.dice.below(8)];
        let body = self.create_body(flags);
        if self.dice.percent(70) {
            Request::Create(body)
        } else {
            Request::Create2(body)
        }
    }

    fn delete(&mut self) -> Delete {
        Delete {
            path: self.path(),
            version: self.version(),
        }
    }

    fn set_data(&mut self) -> SetData {
        SetData {
            path: self.path(),
            data: self.data(),
            version: self.version(),
        }
    }

    /// Data about as large as a frame may be.
    fn big(&mut self) -> Request {
        let length = [1_000_000, 1_048_500, 1_048_575, 1_100_000][self.dice.below(4)];
        Request::SetData(SetData {
            path: self.plain_path(),
            data: Some(Bytes::from(vec![b'x'; length])),
            version: -1,
        })
    }

    fn multi(&mut self) -> Request {
        let count = [0, 1, 2, 2, 3, 3, 4, 6][self.dice.below(8)];
        let op = |_| match self.dice.below(14) {
            0..4 => {
                let flags = [0, 0, 0, 1, 2, 3][self.dice.below(6)];
                MultiOp::Create(self.create_body(flags))
            }
            4 => MultiOp::Create2(self.create_body(0)),
            5 => MultiOp::CreateContainer(self.create_body(4)),
            6 => {
                let mut body = self.create_ttl_body();
                body.flags = [5, 6][self.dice.below(2)];
                MultiOp::CreateTtl(body)
            }
            7..9 => MultiOp::Delete(self.delete()),
            9..12 => MultiOp::SetData(self.set_data()),
            _ => MultiOp::Check(Check {
                path: self.path(),
                version: self.version(),
            }),
        };
        Request::Multi((0..count).map(op).collect())
    }

    fn multi_read(&mut self) -> Request {
        let count = self.dice.below(5);
        let read = |_| {
            let path = self.path();
            let watch = self.dice.percent(10);
            if self.dice.percent(50) {
                MultiRead::GetData(GetData { path, watch })
            } else {
                MultiRead::GetChildren(GetChildren { path, watch })
            }
        };
        Request::MultiRead((0..count).map(read).collect())
    }

    /// Often a path on which the client has a watch.
    fn watches(&mut self, client: usize) -> CheckWatches {
        let kinds = WatcherType::ALL;
        let own = self.watched.iter().filter(|(who, _)| *who == client);
        let own: Vec<String> = own.map(|(_, path)| path.clone()).collect();
        let path = if own.is_empty() || self.dice.percent(30) {
            self.path()
        } else {
            own[self.dice.below(own.len())].clone()
        };
        CheckWatches {
            path,
            kind: kinds[self.dice.below(kinds.len())],
        }
    }

    fn set_watches(&mut self, client: usize) -> Step {
        let mut paths = |most: usize| -> Vec<String> {
            let count = self.dice.below(most);
            (0..count).map(|_| self.path()).collect()
        };
        let mut watches = SetWatches2 {
            relative_zxid: 0,
            data_watches: paths(4),
            exist_watches: paths(3),
            child_watches: paths(3),
            persistent_watches: paths(3),
            persistent_recursive_watches: paths(3),
        };
        if self.dice.percent(50) {
            watches.persistent_watches.clear();
            watches.persistent_recursive_watches.clear();
        }
        let since = match self.dice.below(10) {
            0 => Since::Nothing,
            1..4 => Since::Back(0),
            _ => Since::Back(self.dice.below(30)),
        };
        Step::SetWatches {
            client,
            since,
            watches,
        }
    }

    /// What administrators do with `setquota`, and what they should not do.
    fn quota(&mut self) -> Request {
        let root = [
            "/zookeeper/quota/a",
            "/zookeeper/quota/a/b",
            "/zookeeper/quota/b",
        ];
        let root = root[self.dice.below(3)];
        let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let limits = text(LIMITS[self.dice.below(LIMITS.len())]);
        let create = |path: String, data: Option<Bytes>| {
            let acl = vec![Acl::open()];
            let flags = 0;
            Create {
                path,
                data,
                acl,
                flags,
            }
        };
        let (of_limits, of_stats) = (
            format!("{root}/zookeeper_limits"),
            format!("{root}/zookeeper_stats"),
        );
        match self.dice.below(10) {
            0..3 => Request::Create(create(root.to_owned(), None)),
            3..6 => Request::Multi(vec![
                MultiOp::Create(create(of_limits, limits)),
                MultiOp::Create(create(of_stats, text(STATS[self.dice.below(STATS.len())]))),
            ]),
            6 => Request::SetData(SetData {
                path: of_limits,
                data: limits,
                version: -1,
            }),
            7 => Request::GetData(GetData {
                path: of_stats,
                watch: false,
            }),
            8 => Request::Create(create(of_limits, limits)),
            _ => Request::Delete(Delete {
                path: [of_limits, of_stats][self.dice.below(2)].clone(),
                version: -1,
            }),
        }
    }

    /// A known operation with a body that it does not have.
    fn wrong_body(&mut self, client: usize) -> Step {
        let known: Vec<OpCode> = OpCode::ALL
            .iter()
            .copied()
            // Of a sync ZooKeeper takes any path, and none.
            .filter(|op| op.code() > 0 && !matches!(op, OpCode::Sasl | OpCode::Ping | OpCode::Sync))
            .collect();
        let op = known[self.dice.below(known.len())];
        let body = BODIES[self.dice.below(BODIES.len())];
        Step::Request {
            client,
            op: op.code(),
            body: Bytes::from_static(body),
            named: format!("with the body {body:?}"),
            has_private_data: false,
        }
    }

    /// Operations that are not for clients, and frames that are none.
    fn strange(&mut self, client: usize) -> Step {
        let path = self.path();
        let version = self.version();
        match self.dice.below(6) {
            // Below the root alone: ZooKeeper asks for no permission here, ours does.
            0 => {
                let path = self.top_path();
                Step::request(client, &Request::DeleteContainer(DeleteContainer { path }))
            }
            1 => Step::Request {
                client,
                op: OpCode::Check.code(),
                named: format!("alone: {path:?} {version}"),
                body: Check { path, version }.encode(),
                has_private_data: false,
            },
            2 => Step::request(
                client,
                &Request::Reconfig(Reconfig {
                    joining_servers: None,
                    leaving_servers: Some("9".to_owned()),
                    new_members: None,
                    current_config_id: -1,
                }),
            ),
            3 => {
                let lengths = [-1, i32::MIN, i32::MAX, 0, 3];
                let length = lengths[self.dice.below(lengths.len())];
                let mut bytes = BytesMut::new();
                bytes.put_i32(length);
                bytes.put_slice(&[0; 8]);
                Step::Bytes {
                    client,
                    bytes: bytes.freeze(),
                    named: format!("a frame of {length} bytes that are not there"),
                }
            }
            _ => Step::Request {
                client,
                op: STRANGE_OPERATIONS[self.dice.below(STRANGE_OPERATIONS.len())],
                body: Bytes::from_static(BODIES[self.dice.below(BODIES.len())]),
                named: String::new(),
                has_private_data: false,
            },
        }
    }
}
