//! A server on a folder of its own, and a client that speaks nothing but the protocol.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ottla_config::{KeeperConfig, KeeperListener, KeeperServer};
use ottla_jute::{
    Acl, ConnectRequest, ConnectResponse, Create, ErrorCode, OpCode, Reader, Record, ReplyHeader,
    Request, Response, WatcherEvent,
};
use ottla_keeper::{Handle, Options};
use ottla_runtime::Runtime;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything takes; a test that waits for this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One server, alone.
pub(crate) struct TestServer {
    pub(crate) handle: Handle,
    runtime: Runtime,
    config: Arc<KeeperConfig>,
    _dir: Option<TempDir>,
}

/// The usual configuration on a folder: short ticks, any free port.
pub(crate) fn config(dir: &std::path::Path) -> KeeperConfig {
    let mut config = KeeperConfig::default();
    let dir = dir.display().to_string();
    config.storage.data_dir.clone_from(&dir);
    config.storage.data_log_dir = dir;
    config.client_listener = Some(KeeperListener {
        host: "127.0.0.1".to_owned(),
        port: 0,
    });
    config.tick_time_ms = 100;
    config.session_timeout_ms_min = 200;
    config.session_timeout_ms_max = 20_000;
    config
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        TestServer::with(|_| ()).await
    }

    /// A server whose configuration is changed.
    pub(crate) async fn with(change: impl FnOnce(&mut KeeperConfig)) -> Self {
        let dir = TempDir::new().unwrap();
        let mut config = config(dir.path());
        change(&mut config);
        let mut server = TestServer::on(Arc::new(config)).await;
        server._dir = Some(dir);
        server
    }

    async fn on(config: Arc<KeeperConfig>) -> Self {
        let runtime = Runtime::real();
        let options = Options {
            config: Arc::clone(&config),
            id: 1,
        };
        let stop = runtime.shutdown().clone();
        let handle = ottla_keeper::start(&runtime, options, &stop).await.unwrap();
        let began = std::time::Instant::now();
        while !handle.is_serving() {
            assert!(began.elapsed() < PATIENCE, "the server does not serve");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        TestServer {
            handle,
            runtime,
            config,
            _dir: None,
        }
    }

    /// Stops it and starts it again on the same folder.
    pub(crate) async fn restart(mut self) -> Self {
        let dir = self._dir.take();
        self.runtime.tasks.stop().await;
        let config = Arc::clone(&self.config);
        drop(self);
        let mut server = TestServer::on(config).await;
        server._dir = dir;
        server
    }

    pub(crate) async fn stop(self) {
        self.runtime.tasks.stop().await;
    }

    pub(crate) async fn connection(&self) -> TcpStream {
        TcpStream::connect(self.handle.client_ports()[0].address)
            .await
            .unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        let client = Client::connect(self.connection().await, 10_000, None).await;
        client.expect("a new session is opened")
    }
}

/// A client: one connection, one request at a time unless told otherwise.
pub(crate) struct Client {
    stream: TcpStream,
    pub(crate) session: i64,
    pub(crate) password: Bytes,
    pub(crate) timeout_ms: i32,
    pub(crate) last_zxid: i64,
    pub(crate) events: Vec<WatcherEvent>,
    /// What every frame had in its header.
    pub(crate) zxids: Vec<i64>,
    xid: i32,
}

impl Client {
    /// Opens a session, or comes back with one. None if the session has expired.
    pub(crate) async fn connect(
        mut stream: TcpStream,
        timeout_ms: i32,
        known: Option<(i64, Bytes)>,
    ) -> Option<Self> {
        let (session_id, password) = known.unwrap_or((0, Bytes::from_static(&[0; 16])));
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms,
            session_id,
            password: Some(password),
            read_only: Some(false),
        };
        let mut out = BytesMut::new();
        ottla_jute::frame(&mut out, |writer| request.write(writer));
        stream.write_all(&out).await.unwrap();
        let answer = frame(&mut stream).await?;
        let answer = ConnectResponse::decode(&answer).unwrap();
        (answer.session_id != 0).then(|| Client {
            stream,
            session: answer.session_id,
            password: answer.password.unwrap(),
            timeout_ms: answer.timeout_ms,
            last_zxid: 0,
            events: Vec::new(),
            zxids: Vec::new(),
            xid: 0,
        })
    }

    /// Sends a request; its number.
    pub(crate) async fn send(&mut self, request: &Request) -> i32 {
        self.xid += 1;
        let mut out = BytesMut::new();
        ottla_jute::request_frame(&mut out, self.xid, request);
        self.stream.write_all(&out).await.unwrap();
        self.xid
    }

    /// Sends any operation with any body; its number.
    pub(crate) async fn send_raw(&mut self, op: i32, body: &[u8]) -> i32 {
        self.xid += 1;
        let mut out = BytesMut::new();
        ottla_jute::frame(&mut out, |writer| {
            writer.int(self.xid);
            writer.int(op);
            writer.raw(body);
        });
        self.stream.write_all(&out).await.unwrap();
        self.xid
    }

    async fn reply(&mut self, op: OpCode) -> Result<Response, ErrorCode> {
        self.reply_to(self.xid, op).await
    }

    /// The next reply, which must be to this request; events that come before are kept.
    pub(crate) async fn reply_to(&mut self, xid: i32, op: OpCode) -> Result<Response, ErrorCode> {
        loop {
            let frame = frame(&mut self.stream)
                .await
                .ok_or(ErrorCode::ConnectionLoss)?;
            let mut reader = Reader::shared(&frame);
            let header = ReplyHeader::read(&mut reader).unwrap();
            self.zxids.push(header.zxid);
            if header.xid == ottla_jute::xid::NOTIFICATION {
                self.events.push(WatcherEvent::read(&mut reader).unwrap());
                continue;
            }
            assert_eq!(header.xid, xid, "replies come in order");
            // What has no place in time has none.
            if header.zxid > 0 {
                assert!(header.zxid >= self.last_zxid, "time does not go back");
                self.last_zxid = header.zxid;
            }
            return match ErrorCode::try_from(header.err).unwrap() {
                ErrorCode::Ok => Ok(Response::read(op, &mut reader).unwrap()),
                code => Err(code),
            };
        }
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&mut self, request: Request) -> Result<Response, ErrorCode> {
        self.send(&request).await;
        self.reply(request.op_code()).await
    }

    pub(crate) async fn create(
        &mut self,
        path: &str,
        data: &str,
        flags: i32,
    ) -> Result<String, ErrorCode> {
        let create = Create {
            path: path.to_owned(),
            data: Some(Bytes::copy_from_slice(data.as_bytes())),
            acl: vec![Acl::open()],
            flags,
        };
        match self.ask(Request::Create(create)).await? {
            Response::Create { path } => Ok(path),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn data(&mut self, path: &str, watch: bool) -> Result<String, ErrorCode> {
        let path = path.to_owned();
        match self
            .ask(Request::GetData(ottla_jute::GetData { path, watch }))
            .await?
        {
            Response::GetData { data, .. } => {
                Ok(String::from_utf8(data.unwrap_or_default().to_vec()).unwrap())
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn set(&mut self, path: &str, data: &str) -> Result<i32, ErrorCode> {
        let set = ottla_jute::SetData {
            path: path.to_owned(),
            data: Some(Bytes::copy_from_slice(data.as_bytes())),
            version: -1,
        };
        match self.ask(Request::SetData(set)).await? {
            Response::Stat(stat) => Ok(stat.version),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn exists(&mut self, path: &str, watch: bool) -> bool {
        let path = path.to_owned();
        let asked = Request::Exists(ottla_jute::Exists { path, watch });
        match self.ask(asked).await {
            Ok(_) => true,
            Err(ErrorCode::NoNode) => false,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Waits until the server ends the connection.
    pub(crate) async fn ended(&mut self) {
        while frame(&mut self.stream).await.is_some() {}
    }
}

/// The next frame; none when the connection has ended.
pub(crate) async fn frame(stream: &mut TcpStream) -> Option<Bytes> {
    let reading = async {
        let length = stream.read_i32().await.ok()?;
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut frame).await.ok()?;
        Some(Bytes::from(frame))
    };
    let read = tokio::time::timeout(PATIENCE, reading).await;
    read.expect("the server answers, or ends the connection")
}

/// Servers 1 to n, each on a folder of its own.
pub(crate) struct Ensemble {
    servers: Vec<Option<(Handle, Runtime)>>,
    _dirs: Vec<TempDir>,
}

pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Ensemble {
    /// Starts the servers and waits until each of them serves.
    pub(crate) async fn start(count: i64) -> Self {
        Ensemble::with(count, |_| ()).await
    }

    /// Servers whose configurations are changed alike.
    pub(crate) async fn with(count: i64, change: impl Fn(&mut KeeperConfig)) -> Self {
        let lines: Vec<_> = (1..=count)
            .map(|id| {
                let line = format!("127.0.0.1:{}:{}", free_port(), free_port());
                KeeperServer::parse(id, &line).unwrap()
            })
            .collect();
        let (mut servers, mut dirs) = (Vec::new(), Vec::new());
        for id in 1..=count {
            let dir = TempDir::new().unwrap();
            let mut config = config(dir.path());
            config.servers.clone_from(&lines);
            change(&mut config);
            let runtime = Runtime::real();
            let options = Options {
                config: Arc::new(config),
                id,
            };
            let stop = runtime.shutdown().clone();
            let handle = ottla_keeper::start(&runtime, options, &stop).await.unwrap();
            servers.push(Some((handle, runtime)));
            dirs.push(dir);
        }
        let ensemble = Ensemble {
            servers,
            _dirs: dirs,
        };
        let serving = |s: &Option<(Handle, Runtime)>| s.as_ref().is_some_and(|s| s.0.is_serving());
        let began = std::time::Instant::now();
        while !ensemble.servers.iter().all(serving) {
            assert!(began.elapsed() < PATIENCE, "the ensemble does not serve");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ensemble
    }

    /// The server that leads, by its place.
    pub(crate) async fn leader(&self) -> usize {
        let began = std::time::Instant::now();
        loop {
            let leads = |s: &Option<(Handle, Runtime)>| {
                let state = s.as_ref().and_then(|s| s.0.ensemble());
                state.is_some_and(|state| state.ready)
            };
            if let Some(leader) = self.servers.iter().position(leads) {
                return leader;
            }
            assert!(began.elapsed() < PATIENCE, "nobody leads");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn handle(&self, server: usize) -> &Handle {
        &self.servers[server].as_ref().unwrap().0
    }

    pub(crate) async fn connection(&self, server: usize) -> TcpStream {
        let (handle, _) = self.servers[server].as_ref().unwrap();
        TcpStream::connect(handle.client_ports()[0].address)
            .await
            .unwrap()
    }

    pub(crate) async fn client(&self, server: usize) -> Client {
        let client = Client::connect(self.connection(server).await, 10_000, None).await;
        client.expect("a new session is opened")
    }

    /// Ends a server without a word to the others.
    pub(crate) async fn kill(&mut self, server: usize) {
        let (_, runtime) = self.servers[server].take().unwrap();
        runtime.tasks.stop().await;
    }

    pub(crate) async fn stop(self) {
        for (_, runtime) in self.servers.into_iter().flatten() {
            runtime.tasks.stop().await;
        }
    }
}
