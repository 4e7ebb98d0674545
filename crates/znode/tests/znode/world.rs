//! A state and clients that use it.

use std::sync::Arc;

use bytes::Bytes;
use ottla_jute::{
    Acl, Create, CreateMode, CreateTtl, Delete, ErrorCode, Id, MultiOp, MultiResult, Request,
    Response, SetAcl, SetData, Stat,
};
use ottla_znode::{
    Access, Closing, Command, Operation, Outcome, Owner, Reply, Requester, Rules, State,
};

pub(crate) const PASSWORD: [u8; 16] = *b"0123456789abcdef";

/// A state, and the settings and the time that commands are applied with.
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) rules: Rules,
    pub(crate) epoch: u32,
    pub(crate) now_ms: i64,
    pub(crate) identities: Arc<[Id]>,
}

pub(crate) fn owner(session: i64) -> Owner {
    Owner {
        server: 1,
        attach: session.unsigned_abs(),
    }
}

pub(crate) fn data(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn id(text: &str) -> Id {
    let (scheme, id) = text.split_once(':').expect("scheme:id");
    Id::new(scheme, id)
}

pub(crate) fn create_with(path: &str, mode: CreateMode, acl: Vec<Acl>) -> Create {
    Create {
        path: path.into(),
        data: data("data"),
        acl,
        flags: mode.code(),
    }
}

pub(crate) fn create(path: &str, mode: CreateMode) -> Create {
    create_with(path, mode, vec![Acl::open()])
}

pub(crate) fn create_ttl(path: &str, mode: CreateMode, ttl_ms: i64) -> CreateTtl {
    CreateTtl {
        path: path.into(),
        data: data("data"),
        acl: vec![Acl::open()],
        flags: mode.code(),
        ttl_ms,
    }
}

pub(crate) fn delete(path: &str, version: i32) -> Delete {
    Delete {
        path: path.into(),
        version,
    }
}

pub(crate) fn set_data(path: &str, text: &str, version: i32) -> SetData {
    SetData {
        path: path.into(),
        data: data(text),
        version,
    }
}

pub(crate) fn set_acl(path: &str, acl: Vec<Acl>, version: i32) -> SetAcl {
    SetAcl {
        path: path.into(),
        acl,
        version,
    }
}

impl World {
    /// With session 1, and everything switched on.
    pub(crate) fn new() -> Self {
        let mut world = World {
            state: State::new(),
            rules: Rules {
                enforce_quota: true,
                extended_types: true,
                sasl: true,
                x509: true,
                ..Rules::default()
            },
            epoch: 1,
            now_ms: 1000,
            identities: Arc::from([id("ip:10.0.0.1")]),
        };
        world.open(1);
        world
    }

    pub(crate) fn apply(&mut self, command: &Command) -> Outcome {
        self.state
            .apply(self.epoch, self.now_ms, command, self.rules)
    }

    pub(crate) fn open(&mut self, session: i64) {
        let outcome = self.apply(&Command::OpenSession {
            session,
            password: PASSWORD,
            timeout_ms: 10_000,
            owner: owner(session),
        });
        assert_eq!(outcome.reply, Ok(Reply::Session { timeout_ms: 10_000 }));
    }

    pub(crate) fn close(&mut self, session: i64) -> Outcome {
        self.apply(&Command::CloseSession {
            session,
            owner: Some(owner(session)),
            closing: Closing::ByClient,
        })
    }

    pub(crate) fn command(&self, session: i64, request: Request) -> Command {
        Command::Write {
            requester: Requester {
                session,
                owner: owner(session),
                cxid: 5,
                identities: Arc::clone(&self.identities),
            },
            operation: Operation::try_from(request).expect("a change"),
        }
    }

    pub(crate) fn outcome(&mut self, session: i64, request: Request) -> Outcome {
        let command = self.command(session, request);
        self.apply(&command)
    }

    pub(crate) fn request(
        &mut self,
        session: i64,
        request: Request,
    ) -> Result<Response, ErrorCode> {
        match self.outcome(session, request).reply {
            Ok(Reply::Response(response)) => Ok(response),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        }
    }

    /// Creates a node in session 1; its path.
    pub(crate) fn create(&mut self, path: &str, mode: CreateMode) -> Result<String, ErrorCode> {
        match self.request(1, Request::Create(create(path, mode)))? {
            Response::Create { path } => Ok(path),
            other => panic!("{other:?}"),
        }
    }

    /// Creates persistent nodes.
    pub(crate) fn nodes(&mut self, paths: &[&str]) {
        for path in paths {
            let created = self.create(path, CreateMode::Persistent);
            assert_eq!(created, Ok((*path).to_owned()));
        }
    }

    pub(crate) fn delete(&mut self, path: &str, version: i32) -> Result<(), ErrorCode> {
        let response = self.request(1, Request::Delete(delete(path, version)))?;
        assert_eq!(response, Response::Empty);
        Ok(())
    }

    pub(crate) fn set(&mut self, path: &str, text: &str, version: i32) -> Result<Stat, ErrorCode> {
        match self.request(1, Request::SetData(set_data(path, text, version)))? {
            Response::Stat(stat) => Ok(stat),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn set_acl(
        &mut self,
        path: &str,
        acl: Vec<Acl>,
        version: i32,
    ) -> Result<Stat, ErrorCode> {
        match self.request(1, Request::SetAcl(set_acl(path, acl, version)))? {
            Response::Stat(stat) => Ok(stat),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn multi(&mut self, ops: Vec<MultiOp>) -> Vec<MultiResult> {
        match self.request(1, Request::Multi(ops)) {
            Ok(Response::Multi(results)) => results,
            other => panic!("{other:?}"),
        }
    }

    /// Everything may be read.
    pub(crate) fn access(&self) -> Access<'_> {
        Access {
            session: 1,
            identities: &self.identities,
            rules: self.rules,
        }
    }

    pub(crate) fn stat(&self, path: &str) -> Result<Stat, ErrorCode> {
        self.state.exists(path, self.access())
    }

    pub(crate) fn text(&self, path: &str) -> String {
        let (data, _) = self.state.get_data(path, self.access()).unwrap();
        String::from_utf8(data.unwrap().to_vec()).unwrap()
    }

    pub(crate) fn children(&self, path: &str) -> Vec<String> {
        let (names, _) = self.state.get_children(path, self.access()).unwrap();
        names.map(str::to_owned).collect()
    }

    pub(crate) fn check(&self) {
        self.state.check().unwrap();
    }
}
