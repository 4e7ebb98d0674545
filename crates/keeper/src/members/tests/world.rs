//! Servers with a group whose entries are just remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ottla_model::{TlsOptions, Uuid};
use ottla_raft::{Chunks, Handle, Member, NodeId, Position, Raft, State, StateMachine, View};
use ottla_runtime::published::{Publisher, published};
use ottla_runtime::{Runtime, Shutdown};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::error::Error;
use crate::members::fixture::local;
use crate::members::{ForwardSink, Host, Limits, Members, Options};

/// Nothing in these tests takes so long, however busy the machine is.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    let done = tokio::time::timeout(LIMIT, future).await;
    done.unwrap_or_else(|_| panic!("it took too long: {what}"))
}

/// A port that is free now.
pub(super) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The servers that there may be, and where.
pub(super) struct Plan {
    pub(super) ports: BTreeMap<NodeId, u16>,
    pub(super) participants: Vec<NodeId>,
    pub(super) dirs: BTreeMap<NodeId, TempDir>,
    pub(super) tls: Option<TlsOptions>,
}

impl Drop for Plan {
    fn drop(&mut self) {
        // Servers that still run when a test fails would stop the process for want of their files,
        // and nobody would see why the test has failed.
        if std::thread::panicking() {
            self.dirs
                .values_mut()
                .for_each(|dir| dir.disable_cleanup(true));
        }
    }
}

impl Plan {
    pub(super) fn new(servers: impl IntoIterator<Item = NodeId>, participants: &[NodeId]) -> Self {
        let ports: BTreeMap<NodeId, u16> =
            servers.into_iter().map(|id| (id, free_port())).collect();
        let dirs = ports.keys().map(|id| (*id, tempfile::tempdir().unwrap()));
        Plan {
            dirs: dirs.collect(),
            ports,
            participants: participants.to_vec(),
            tls: None,
        }
    }

    pub(super) fn options(&self, id: NodeId) -> Options {
        let others = self.ports.iter().filter(|(other, _)| **other != id);
        Options {
            id,
            data_dir: self.dirs[&id].path().to_owned(),
            is_standalone: false,
            listen: vec![("127.0.0.1".to_owned(), self.ports[&id])],
            endpoints: vec![local(self.ports[&id])],
            participants: self.participants.clone(),
            others: others.map(|(id, port)| (*id, vec![local(*port)])).collect(),
            tls: self.tls.clone(),
            limits: Limits::default(),
        }
    }

    /// Gives a server an empty volume.
    pub(super) fn wipe(&mut self, id: NodeId) {
        self.dirs.insert(id, tempfile::tempdir().unwrap());
    }

    /// Starts a server, and returns once it takes part.
    pub(super) async fn start(&self, id: NodeId) -> Node {
        let listed = self.participants.iter().copied().collect();
        within("a start", Node::start(self.options(id), listed))
            .await
            .unwrap()
    }

    /// Starts several servers at the same time.
    pub(super) async fn start_all(&self, ids: &[NodeId]) -> BTreeMap<NodeId, Node> {
        let starting = ids.iter().map(|id| self.start(*id));
        let nodes = futures_util::future::join_all(starting).await;
        ids.iter().copied().zip(nodes).collect()
    }
}

/// What the rest of a server would be.
#[derive(Default)]
pub(super) struct Rest {
    raft: OnceLock<Handle>,
    /// What was forwarded: from whom, in which term, and what; nothing for a stream that ended.
    forwarded: OnceLock<mpsc::UnboundedSender<(NodeId, u64, Option<Bytes>)>>,
}

impl Host for Rest {
    fn raft(&self) -> Option<Handle> {
        self.raft.get().cloned()
    }

    fn forwarded(&self, from: NodeId, term: u64) -> Result<Box<dyn ForwardSink>, String> {
        let state = self.raft().unwrap().state().get();
        if !state.is_leader || state.term != term {
            return Err(format!("server {} does not lead in term {term}", state.id));
        }
        let to = self.forwarded.get().cloned();
        let to = to.ok_or("nobody listens")?;
        Ok(Box::new(Sink { from, term, to }))
    }
}

struct Sink {
    from: NodeId,
    term: u64,
    to: mpsc::UnboundedSender<(NodeId, u64, Option<Bytes>)>,
}

impl ForwardSink for Sink {
    fn frame(&mut self, frame: Bytes) -> BoxFuture<'_, Result<(), String>> {
        async move {
            if frame == "bad" {
                return Err("that is no frame".to_owned());
            }
            if frame == "slow" {
                std::future::pending::<()>().await;
            }
            // Others are served meanwhile.
            tokio::task::yield_now().await;
            let sent = self.to.send((self.from, self.term, Some(frame)));
            sent.map_err(|_| "nobody listens any more".to_owned())
        }
        .boxed()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.to.send((self.from, self.term, None)));
    }
}

/// A state that remembers all entries.
struct Journal {
    lines: Vec<u8>,
    publisher: Publisher<Vec<u8>>,
}

impl StateMachine for Journal {
    fn apply(&mut self, _: Position, entry: &[u8]) -> Result<Bytes, String> {
        self.lines.extend(entry);
        self.lines.push(b'\n');
        Ok(Bytes::new())
    }

    fn snapshot(&self) -> View {
        let lines = Bytes::from(self.lines.clone());
        Box::new(move || {
            let chunks: Chunks<'static> = Box::new(std::iter::once(Ok(lines.clone())));
            chunks
        })
    }

    fn restore(&mut self, _: Position, chunks: &mut Chunks<'_>) -> Result<(), String> {
        self.lines.clear();
        for chunk in chunks {
            self.lines.extend(chunk?);
        }
        Ok(())
    }

    fn applied(&mut self, _: Position) {
        self.publisher.publish(self.lines.clone());
    }
}

/// A server that runs.
pub(super) struct Node {
    pub(super) runtime: Runtime,
    pub(super) members: Members,
    pub(super) raft: Handle,
    pub(super) ensemble_id: Uuid,
    rest: Arc<Rest>,
    participants: Publisher<BTreeSet<NodeId>>,
    lines: ottla_runtime::published::Published<Vec<u8>>,
}

impl Node {
    pub(super) async fn start(options: Options, listed: BTreeSet<NodeId>) -> Result<Node, Error> {
        let runtime = Runtime::real();
        let shutdown = runtime.shutdown().clone();
        // The member's futures are large.
        Box::pin(Node::start_in(runtime, options, listed, &shutdown)).await
    }

    pub(super) async fn start_in(
        runtime: Runtime,
        options: Options,
        listed: BTreeSet<NodeId>,
        shutdown: &Shutdown,
    ) -> Result<Node, Error> {
        let rest = Arc::new(Rest::default());
        let data_dir = options.data_dir.clone();
        let host: Arc<dyn Host> = Arc::<Rest>::clone(&rest);
        let members = Members::start(&runtime, options, host).await?;
        let ensemble = members.find(shutdown).await?;
        let (publisher, lines) = published(Vec::new());
        let journal = Journal {
            lines: Vec::new(),
            publisher,
        };
        let directory: &Path = &data_dir.join("raft");
        let raft_options = ottla_raft::Options {
            heartbeat_ms: 100,
            election_timeout_ms: 400,
            ..members.raft_options(&ensemble, directory.to_owned())
        };
        let opening = Raft::open(&runtime, raft_options, journal, members.transport());
        let (service, raft) = opening.await?;
        runtime.tasks.run("raft", service);
        assert!(rest.raft.set(raft.clone()).is_ok());
        let (publisher, participants) = published(listed);
        members
            .take_part(&raft, &ensemble, participants, shutdown)
            .await?;
        Ok(Node {
            runtime,
            members,
            raft,
            ensemble_id: ensemble.id,
            rest,
            participants: publisher,
            lines,
        })
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.raft.state().get()
    }

    /// All that the server has applied.
    pub(super) fn lines(&self) -> Arc<Vec<u8>> {
        self.lines.get()
    }

    /// Waits until the server's state is so.
    pub(super) async fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) -> Arc<State> {
        let mut published = self.raft.state();
        let waiting = async {
            loop {
                let state = published.get();
                if is_so(&state) {
                    return state;
                }
                assert!(published.changed().await, "the server has stopped");
            }
        };
        let id = self.members.id();
        tokio::time::timeout(LIMIT, waiting)
            .await
            .unwrap_or_else(|_| {
                panic!("server {id}, {what}: {:#?}", self.state());
            })
    }

    /// Waits until the server has applied an entry.
    pub(super) async fn until_applied(&self, entry: &str) {
        let (mut lines, line) = (self.lines.clone(), format!("{entry}\n"));
        let waiting = async {
            loop {
                let has_it = lines
                    .get()
                    .windows(line.len())
                    .any(|part| part == line.as_bytes());
                if has_it {
                    return;
                }
                assert!(lines.changed().await, "the server has stopped");
            }
        };
        within(entry, waiting).await;
    }

    /// From now on what others forward comes here.
    pub(super) fn listen(&self) -> mpsc::UnboundedReceiver<(NodeId, u64, Option<Bytes>)> {
        let (tx, rx) = mpsc::unbounded_channel();
        assert!(self.rest.forwarded.set(tx).is_ok());
        rx
    }

    pub(super) async fn stop(self) {
        within("a stop", self.runtime.tasks.stop()).await;
    }
}

/// The server that leads and may propose.
pub(super) async fn leader(nodes: &BTreeMap<NodeId, Node>) -> &Node {
    let looking = async {
        loop {
            if let Some(node) = nodes.values().find(|node| node.state().ready) {
                return node;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within("an election", looking).await
}

/// Has an entry applied by all these servers.
pub(super) async fn agree(nodes: &BTreeMap<NodeId, Node>, entry: &str) {
    let proposing = async {
        loop {
            let leader = leader(nodes).await;
            let bytes = Bytes::copy_from_slice(entry.as_bytes());
            let proposed = leader.raft.propose(leader.state().term, bytes).await;
            if let Ok(proposal) = proposed
                && proposal.wait().await.is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(entry, proposing).await;
    for node in nodes.values() {
        node.until_applied(entry).await;
    }
}

/// From now on the replicated configuration lists these.
pub(super) fn list(nodes: &BTreeMap<NodeId, Node>, participants: &[NodeId]) {
    for node in nodes.values() {
        let participants: BTreeSet<NodeId> = participants.iter().copied().collect();
        node.participants.publish(participants);
    }
}

pub(super) async fn stop_all(nodes: BTreeMap<NodeId, Node>) {
    for node in nodes.into_values() {
        node.stop().await;
    }
}

pub(super) fn voters(state: &State) -> Vec<NodeId> {
    state.voters.keys().copied().collect()
}

pub(super) fn learners(state: &State) -> Vec<NodeId> {
    state.learners.keys().copied().collect()
}

pub(super) fn directory_of(state: &State, id: NodeId) -> Option<Uuid> {
    state.member(id).map(|member: &Member| member.directory_id)
}
