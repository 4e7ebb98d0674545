//! A client with a session that it moves from server to server, and what it must never see.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_jute::{
    Acl, Create, ErrorCode, Exists, GetData, OpCode, Request, Response, SetData, Sync,
};
use ottla_runtime::{Clock, Network, Random, Shutdown};

use crate::history::History;
use crate::wire::{self, NoSession, Received, Session, Wire};

pub(crate) const REGISTERS: u64 = 3;
pub(crate) const SESSION_MS: i32 = 2_000;

pub(crate) fn register(number: u64) -> String {
    format!("/r{number}")
}

/// A client.
pub(crate) struct Client {
    pub(crate) number: u64,
    pub(crate) servers: u64,
    pub(crate) random: Random,
    pub(crate) network: Network,
    pub(crate) clock: Clock,
    pub(crate) history: History,
    pub(crate) over: Shutdown,
    pub(crate) state: State,
}

/// What it knows.
#[derive(Default)]
pub(crate) struct State {
    session: Option<Session>,
    last_zxid: i64,
    /// The newest transaction that it knows of a path.
    newest: BTreeMap<String, i64>,
    /// Paths that are watched on this connection, and what was known of them then.
    watched: BTreeMap<String, i64>,
    /// Nodes that live as long as its session.
    ephemerals: BTreeSet<String>,
    writes: u64,
}

impl Client {
    /// Works until it is over.
    pub(crate) async fn work(mut self) {
        while !self.over.is_announced() {
            let server = format!("k{}", 1 + self.random.below(self.servers));
            let known = self.state.session.clone();
            let last = self.state.last_zxid;
            let connecting = Wire::connect(self.network, &server, SESSION_MS, last, known.as_ref());
            match connecting.await {
                Ok((wire, session)) => {
                    if known.as_ref().is_some_and(|known| known.id != session.id) {
                        self.history
                            .violation("another session was given back".to_owned());
                    }
                    self.state.session = Some(session);
                    self.history.count(|c| c.moves += 1);
                    self.use_connection(wire).await;
                }
                Err(NoSession::Expired) => {
                    self.history.count(|c| c.expired += 1);
                    self.state.session = None;
                    self.state.ephemerals.clear();
                }
                Err(NoSession::Unreachable) => {}
            }
            self.state.watched.clear();
            self.pause(200).await;
        }
    }

    async fn pause(&self, most_ms: u64) {
        let ms = 1 + self.random.below(most_ms);
        self.clock.sleep(std::time::Duration::from_millis(ms)).await;
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.monotonic_ms()).unwrap_or(0)
    }

    /// Asks until the connection is gone, or it wants another one.
    async fn use_connection(&mut self, mut wire: Wire) {
        let most = 5 + self.random.below(60);
        for _ in 0..most {
            if self.over.is_announced() || self.ask_something(&mut wire).await.is_none() {
                return;
            }
            self.pause(20).await;
        }
    }

    async fn ask_something(&mut self, wire: &mut Wire) -> Option<()> {
        let path = register(self.random.below(REGISTERS));
        match self.random.below(10) {
            0..4 => self.write(wire, path).await,
            4..7 => self.read(wire, path, None).await,
            7 => {
                let began_ms = self.now_ms();
                let sync = Request::Sync(Sync { path: path.clone() });
                self.ask(wire, sync).await?.ok()?;
                self.read(wire, path, Some(began_ms)).await
            }
            8 if self.random.below(2) == 0 => self.write_and_read(wire, path).await,
            8 => self.make_ephemeral(wire).await,
            _ => self.look_at_ephemerals(wire).await,
        }
    }

    async fn write(&mut self, wire: &mut Wire, path: String) -> Option<()> {
        let (value, set) = self.next_write(&path);
        let began_ms = self.now_ms();
        let answer = self.ask(wire, set).await;
        self.written(&path, &value, began_ms, answer)
    }

    /// Sends a write and a read behind it together: the read sees what was written.
    async fn write_and_read(&mut self, wire: &mut Wire, path: String) -> Option<()> {
        let (value, set) = self.next_write(&path);
        let get = Request::GetData(GetData {
            path: path.clone(),
            watch: false,
        });
        let began_ms = self.now_ms();
        let sent = (wire.send(&set).await, wire.send(&get).await);
        let (Some(first), Some(second)) = sent else {
            self.history.count(|c| c.unknown += 1);
            return None;
        };
        let answer = self.answer(wire, first, set.op_code()).await;
        self.written(&path, &value, began_ms, answer)?;
        let answer = self.answer(wire, second, get.op_code()).await?;
        self.was_read(&path, answer)
    }

    /// The next value that nobody else writes, and the request that writes it.
    fn next_write(&mut self, path: &str) -> (String, Request) {
        self.state.writes += 1;
        let value = format!("{}-{}", self.number, self.state.writes);
        let set = Request::SetData(SetData {
            path: path.to_owned(),
            data: Some(Bytes::copy_from_slice(value.as_bytes())),
            version: -1,
        });
        (value, set)
    }

    /// Takes the answer to a write.
    fn written(
        &mut self,
        path: &str,
        value: &str,
        began_ms: u64,
        answer: Option<Result<Response, ErrorCode>>,
    ) -> Option<()> {
        match answer {
            Some(Ok(Response::Stat(stat))) => {
                let ended_ms = self.now_ms();
                self.history
                    .wrote(path, began_ms, ended_ms, stat.version, stat.mzxid);
                self.history.saw(path, stat.version, value, stat.mzxid);
                self.knows(path, stat.mzxid);
                // The client's own change fires its watch, too.
                self.check_watch(path, stat.mzxid);
                Some(())
            }
            Some(Err(ErrorCode::NoNode)) => Some(()),
            Some(other) => {
                self.history
                    .violation(format!("a write of {path} is answered with {other:?}"));
                None
            }
            None => {
                self.history.count(|c| c.unknown += 1);
                None
            }
        }
    }

    async fn read(&mut self, wire: &mut Wire, path: String, synced: Option<u64>) -> Option<()> {
        let watch = self.random.below(2) == 0 && !self.state.watched.contains_key(&path);
        let get = Request::GetData(GetData {
            path: path.clone(),
            watch,
        });
        let answer = self.ask(wire, get).await?;
        if let Ok(Response::GetData { stat, .. }) = &answer {
            if let Some(began_ms) = synced {
                self.history.read_behind_sync(&path, began_ms, stat.version);
            }
            let mzxid = stat.mzxid;
            self.was_read(&path, answer)?;
            if watch {
                self.state.watched.insert(path, mzxid);
            }
            return Some(());
        }
        self.was_read(&path, answer)
    }

    /// Takes the answer to a read.
    fn was_read(&mut self, path: &str, answer: Result<Response, ErrorCode>) -> Option<()> {
        match answer {
            Ok(Response::GetData { data, stat }) => {
                self.history.count(|c| c.reads += 1);
                let data = data.unwrap_or_default();
                let value = String::from_utf8_lossy(&data).into_owned();
                self.history.saw(path, stat.version, &value, stat.mzxid);
                let known = self.state.newest.get(path);
                if known.is_some_and(|known| stat.mzxid < *known) {
                    let number = self.number;
                    self.history
                        .violation(format!("client {number} sees {path} go back"));
                }
                self.knows(path, stat.mzxid);
                self.check_watch(path, stat.mzxid);
                Some(())
            }
            Err(ErrorCode::NoNode) => Some(()),
            other => {
                self.history
                    .violation(format!("a read of {path} is answered with {other:?}"));
                None
            }
        }
    }

    fn knows(&mut self, path: &str, mzxid: i64) {
        let newest = self.state.newest.entry(path.to_owned()).or_default();
        *newest = mzxid.max(*newest);
    }

    /// New data must not be seen before the event that says so.
    fn check_watch(&mut self, path: &str, mzxid: i64) {
        if self
            .state
            .watched
            .get(path)
            .is_some_and(|known| mzxid > *known)
        {
            let number = self.number;
            let what = format!("client {number} sees a change of {path} before its event");
            self.history.violation(what);
        }
    }

    async fn make_ephemeral(&mut self, wire: &mut Wire) -> Option<()> {
        let began_ms = self.now_ms();
        let create = Request::Create(Create {
            path: "/e/n-".to_owned(),
            data: None,
            acl: vec![Acl::open()],
            flags: 3,
        });
        match self.ask(wire, create).await? {
            Ok(Response::Create { path }) => {
                let ended_ms = self.now_ms();
                self.history
                    .made_sequential(path.clone(), began_ms, ended_ms);
                self.state.ephemerals.insert(path);
                Some(())
            }
            Err(ErrorCode::NoNode) => Some(()),
            other => {
                self.history
                    .violation(format!("a creation is answered with {other:?}"));
                None
            }
        }
    }

    async fn look_at_ephemerals(&mut self, wire: &mut Wire) -> Option<()> {
        let Some(path) = self.state.ephemerals.iter().next_back().cloned() else {
            return Some(());
        };
        let exists = Request::Exists(Exists {
            path: path.clone(),
            watch: false,
        });
        match self.ask(wire, exists).await? {
            Ok(_) => Some(()),
            other => {
                let number = self.number;
                let what =
                    format!("client {number} lives, and its {path} is answered with {other:?}");
                self.history.violation(what);
                None
            }
        }
    }

    /// Asks and takes the answer; none when the connection is gone.
    async fn ask(
        &mut self,
        wire: &mut Wire,
        request: Request,
    ) -> Option<Result<Response, ErrorCode>> {
        let xid = wire.send(&request).await?;
        self.answer(wire, xid, request.op_code()).await
    }

    /// Takes the answer to a request that was sent; none when the connection is gone.
    async fn answer(
        &mut self,
        wire: &mut Wire,
        xid: i32,
        op: OpCode,
    ) -> Option<Result<Response, ErrorCode>> {
        loop {
            match wire.receive().await? {
                Received::Event(zxid, event) => {
                    self.history.count(|c| c.events += 1);
                    if self.state.watched.remove(&event.path).is_none() {
                        self.history
                            .violation(format!("nobody watches {}", event.path));
                    }
                    self.time_goes_on(zxid);
                }
                Received::Reply(header, body) => {
                    if header.xid != xid {
                        self.history
                            .violation("a reply to another request".to_owned());
                    }
                    let answer = wire::body(op, header, &body);
                    if matches!(
                        answer,
                        Err(ErrorCode::SessionExpired | ErrorCode::SessionMoved)
                    ) {
                        return None;
                    }
                    self.time_goes_on(header.zxid);
                    return Some(answer);
                }
            }
        }
    }

    fn time_goes_on(&mut self, zxid: i64) {
        if zxid < self.state.last_zxid {
            let (number, last) = (self.number, self.state.last_zxid);
            let what = format!("client {number} has seen {last:x}, and then {zxid:x}");
            self.history.violation(what);
        }
        self.state.last_zxid = self.state.last_zxid.max(zxid);
    }
}
