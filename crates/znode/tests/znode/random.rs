//! Random commands over a few paths and sessions, so that they meet often.

use std::sync::Arc;

use bytes::Bytes;
use ottla_jute::{
    Acl, Check, Create, CreateMode, CreateTtl, Delete, DeleteContainer, Id, MultiOp, Request,
    SetAcl, SetData, Sync, perms,
};
use ottla_znode::{Closing, Command, Operation, Owner, Requester};

use crate::world::{PASSWORD, id};

/// Numbers without an order, the same for each seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    pub(crate) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// What random commands are about.
pub(crate) struct Commands {
    pub(crate) random: Random,
    /// With paths below `/zookeeper/quota`.
    pub(crate) quotas: bool,
}

const LIMITS: [&str; 3] = [
    "count=5,bytes=50",
    "count=-1,bytes=-1=;byteHardLimit=40;countHardLimit=4",
    "nonsense",
];

impl Commands {
    pub(crate) fn new(seed: u64, quotas: bool) -> Self {
        Commands {
            random: Random::new(seed),
            quotas,
        }
    }

    fn path(&mut self) -> String {
        if self.random.one_in(40) {
            let odd = [
                "/",
                "",
                "a",
                "/a/",
                "//",
                "/a/..",
                "/zookeeper",
                "/b/\0",
                "/é",
            ];
            return (*self.random.pick(&odd)).to_owned();
        }
        let mut path = String::new();
        if self.quotas && self.random.one_in(4) {
            path.push_str("/zookeeper/quota");
        }
        for _ in 0..=self.random.below(3) {
            path.push('/');
            let names = ["a", "b", "c"];
            path.push_str(self.random.pick::<&str>(&names));
        }
        if path.starts_with("/zookeeper") && !self.random.one_in(3) {
            let names = ["/zookeeper_limits", "/zookeeper_stats"];
            path.push_str(self.random.pick::<&str>(&names));
        }
        path
    }

    fn data(&mut self) -> Option<Bytes> {
        if self.quotas && self.random.one_in(3) {
            return Some(Bytes::from_static(self.random.pick(&LIMITS).as_bytes()));
        }
        match self.random.below(6) {
            0 => None,
            1 => Some(Bytes::new()),
            2 => Some(Bytes::from(vec![b'x'; 600])),
            n => Some(Bytes::from(vec![b'0' + n as u8; n as usize])),
        }
    }

    fn acl(&mut self) -> Vec<Acl> {
        let locked = || Acl::new(perms::ALL, id("digest:u:h"));
        match self.random.below(12) {
            0 => vec![Acl::readable()],
            1 => vec![locked(), Acl::readable()],
            2 => vec![locked(), Acl::creator(), locked()],
            3 => vec![],
            4 => vec![Acl::new(perms::ALL, Id::new("ip", "10.0.0.0/8"))],
            _ => vec![Acl::open()],
        }
    }

    fn version(&mut self) -> i32 {
        match self.random.below(6) {
            0 => self.random.below(4) as i32,
            _ => -1,
        }
    }

    fn session(&mut self) -> i64 {
        1 + self.random.below(4) as i64
    }

    fn owner(&mut self) -> Owner {
        Owner {
            server: 1,
            attach: u64::from(self.random.one_in(12)),
        }
    }

    fn create(&mut self, modes: &[CreateMode]) -> Create {
        Create {
            path: self.path(),
            data: self.data(),
            acl: self.acl(),
            flags: self.random.pick(modes).code(),
        }
    }

    fn create_ttl(&mut self) -> CreateTtl {
        let modes = [
            CreateMode::PersistentWithTtl,
            CreateMode::PersistentSequentialWithTtl,
        ];
        let create = self.create(&modes);
        CreateTtl {
            path: create.path,
            data: create.data,
            acl: create.acl,
            flags: create.flags,
            ttl_ms: self.random.below(40) as i64,
        }
    }

    fn check(&mut self) -> Check {
        Check {
            path: self.path(),
            version: self.version(),
        }
    }

    fn delete(&mut self) -> Delete {
        let Check { path, version } = self.check();
        Delete { path, version }
    }

    fn set_data(&mut self) -> SetData {
        let Check { path, version } = self.check();
        let data = self.data();
        SetData {
            path,
            data,
            version,
        }
    }

    fn multi_op(&mut self) -> MultiOp {
        match self.random.below(12) {
            0..4 => MultiOp::Create(self.create(&CreateMode::ALL[..4])),
            4 => MultiOp::Create2(self.create(&CreateMode::ALL[..4])),
            5 => MultiOp::CreateContainer(self.create(&[CreateMode::Container])),
            6 => MultiOp::CreateTtl(self.create_ttl()),
            7 => MultiOp::Check(self.check()),
            8 | 9 => MultiOp::SetData(self.set_data()),
            _ => MultiOp::Delete(self.delete()),
        }
    }

    fn request(&mut self) -> Request {
        match self.random.below(26) {
            0..6 => Request::Create(self.create(&CreateMode::ALL[..5])),
            6 | 7 => Request::Create2(self.create(CreateMode::ALL)),
            8 => Request::CreateContainer(self.create(&CreateMode::ALL[..5])),
            9 => Request::CreateTtl(self.create_ttl()),
            10..16 => Request::Delete(self.delete()),
            16..20 => Request::SetData(self.set_data()),
            20 => {
                let Check { path, version } = self.check();
                let acl = self.acl();
                Request::SetAcl(SetAcl { path, acl, version })
            }
            21 => Request::DeleteContainer(DeleteContainer { path: self.path() }),
            22 => Request::Sync(Sync { path: self.path() }),
            _ => {
                let count = self.random.below(5);
                Request::Multi((0..count).map(|_| self.multi_op()).collect())
            }
        }
    }

    fn write(&mut self) -> Command {
        let identities: Arc<[Id]> = match self.random.below(4) {
            0 => Arc::from([id("ip:192.0.2.1")]),
            1 => Arc::from([id("ip:10.0.0.1"), id("digest:u:h")]),
            _ => Arc::from([id("ip:10.0.0.1"), id("super:")]),
        };
        let requester = Requester {
            session: self.session(),
            owner: self.owner(),
            cxid: self.random.below(100) as i32,
            identities,
        };
        Command::Write {
            requester,
            operation: Operation::try_from(self.request()).expect("a change"),
        }
    }

    pub(crate) fn next(&mut self) -> Command {
        let mut password = PASSWORD;
        password[0] ^= u8::from(self.random.one_in(8));
        let timeout_ms = 1000 * (1 + self.random.below(4) as i32);
        match self.random.below(40) {
            0 | 1 => Command::OpenSession {
                session: self.session(),
                password,
                timeout_ms,
                owner: self.owner(),
            },
            2 => Command::AttachSession {
                session: self.session(),
                password,
                timeout_ms,
                owner: self.owner(),
            },
            3 => Command::CloseSession {
                session: self.session(),
                owner: (!self.random.one_in(3)).then(|| self.owner()),
                closing: *self.random.pick(&[Closing::ByClient, Closing::Expired]),
            },
            4 => Command::ReapContainer {
                path: self.path(),
                never_used_ms: self.random.below(2) as i64 * 30,
            },
            5 => Command::ReapTtl { path: self.path() },
            6 => Command::SetConfig {
                requester: None,
                expected_version: -1,
                members: "server.1=a:1:2;3".into(),
            },
            _ => self.write(),
        }
    }
}
