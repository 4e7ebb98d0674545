//! A group in a simulation: its members on hosts of their own, with disks that forget.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ottla_model::Uuid;
use ottla_raft::{
    Endpoint, Handle, Member, NodeId, Options, Position, ProposeError, Raft, State, Transport,
    TransportError,
};
use ottla_runtime::disk::{Disk, OpenMode, SimDisk};
use ottla_runtime::net::Stream;
use ottla_runtime::{Network, Random, Runtime, TaskKind};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::Sim;

use crate::journal::{Journal, Recorder};

const PORT: u16 = 9093;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// One connection a call: a real transport keeps them.
struct Tcp(Network, Journal);

impl Transport for Tcp {
    async fn call(
        &self,
        to: NodeId,
        member: &Member,
        request: Bytes,
    ) -> Result<Bytes, TransportError> {
        self.1.called(to);
        let endpoint = &member.endpoints[0];
        let connected = self
            .0
            .connect(&endpoint.host, endpoint.port, Duration::from_secs(1))
            .await;
        let mut stream = connected.map_err(|error| {
            if error.kind() == std::io::ErrorKind::ConnectionRefused {
                TransportError::Refused(error.to_string())
            } else {
                TransportError::Unreachable(error.to_string())
            }
        })?;
        let other = |error: std::io::Error| TransportError::Other(error.to_string());
        send(&mut stream, &request).await.map_err(other)?;
        receive(&mut stream).await.map_err(other)
    }
}

async fn send(stream: &mut Stream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_u32(bytes.len() as u32).await?;
    stream.write_all(bytes).await
}

async fn receive(stream: &mut Stream) -> std::io::Result<Bytes> {
    let mut bytes = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes.into())
}

/// A host.
pub(crate) struct Host {
    pub(crate) disk: SimDisk,
    pub(crate) directory_id: Uuid,
    live: Arc<Mutex<Live>>,
    pub(crate) up: bool,
}

/// What the world sees of a running member.
#[derive(Default)]
struct Live {
    life: u64,
    volume: Option<(SimDisk, Uuid)>,
    handle: Option<Handle>,
    published: Arc<Mutex<Option<Position>>>,
    shutdown: Option<ottla_runtime::Shutdown>,
}

/// How the group is made.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) voters: u64,
    pub(crate) latency_max_ms: u64,
    pub(crate) snapshot_after_entries: u64,
    pub(crate) keep_entries: u64,
    /// The longest pause between two proposals of a leader.
    pub(crate) pause_max_ms: u64,
}

impl Plan {
    pub(crate) fn new(seed: u64, voters: u64) -> Self {
        Plan {
            seed,
            voters,
            latency_max_ms: 5,
            snapshot_after_entries: 1_000_000,
            keep_entries: 100,
            pause_max_ms: 20,
        }
    }
}

pub(crate) struct World {
    sim: Sim<'static>,
    pub(crate) plan: Plan,
    pub(crate) hosts: BTreeMap<NodeId, Host>,
    pub(crate) journal: Journal,
    pub(crate) random: Random,
    scripts: u64,
}

fn name(id: NodeId) -> String {
    format!("n{id}")
}

impl World {
    /// A group of voters, which know of each other and have just been started.
    pub(crate) fn new(plan: Plan) -> Self {
        std::panic::set_hook(Box::new(|info| {
            PANICS.with_borrow_mut(|panics| panics.push(info.to_string()));
            eprintln!("{info}");
        }));
        PANICS.with_borrow_mut(Vec::clear);
        let sim = turmoil::Builder::new()
            .rng_seed(plan.seed)
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600))
            .simulation_duration(Duration::from_secs(3_600))
            .tick_duration(Duration::from_millis(1))
            .min_message_latency(Duration::from_micros(100))
            .max_message_latency(Duration::from_millis(plan.latency_max_ms))
            .tcp_capacity(1 << 16)
            .build();
        let mut world = World {
            sim,
            hosts: BTreeMap::new(),
            journal: Journal::default(),
            random: Random::from_seed(plan.seed ^ 0x7261_6674),
            plan,
            scripts: 0,
        };
        for id in 1..=world.plan.voters {
            world.add_host(id);
        }
        let voters: BTreeMap<NodeId, Member> = (1..=world.plan.voters)
            .map(|id| (id, world.member(id)))
            .collect();
        assert!(world.until(1_000, |world| world.handle(1).is_some()));
        let handle = world.handle(1).expect("it has started");
        world
            .run(async move { handle.initialize(voters).await })
            .expect("nobody has founded the group before");
        world
    }

    /// Starts a member on an empty disk.
    pub(crate) fn add_host(&mut self, id: NodeId) {
        let disk = SimDisk::new(self.random.next_u64());
        let directory_id = Uuid(self.random.bytes16());
        let live = Arc::new(Mutex::new(Live::default()));
        self.hosts.insert(
            id,
            Host {
                disk,
                directory_id,
                live,
                up: true,
            },
        );
        self.start(id, true);
    }

    fn start(&mut self, id: NodeId, first: bool) {
        if !first {
            self.sim.bounce(name(id));
            return;
        }
        let host = &self.hosts[&id];
        let (plan, journal) = (self.plan.clone(), self.journal.clone());
        host.live.lock().volume = Some((host.disk.clone(), host.directory_id));
        let live = Arc::clone(&host.live);
        self.sim.host(name(id), move || {
            let (disk, directory_id) = live.lock().volume.clone().expect("it has a volume");
            let options = Options {
                snapshot_after_entries: plan.snapshot_after_entries,
                keep_entries: plan.keep_entries,
                segment_bytes: 4 << 10,
                ..Options::new(
                    id,
                    directory_id,
                    Bytes::from_static(b"group"),
                    PathBuf::from("/data/raft"),
                )
            };
            let life = Life {
                options,
                plan: plan.clone(),
                journal: journal.clone(),
                disk,
                live: Arc::clone(&live),
            };
            life.run()
        });
    }

    /// Starts a member that was lost.
    pub(crate) fn restart(&mut self, id: NodeId) {
        let host = self.hosts.get_mut(&id).expect("it was there");
        host.up = true;
        let others: Vec<NodeId> = self.hosts.keys().copied().filter(|o| *o != id).collect();
        for other in others.into_iter().filter(|other| self.hosts[other].up) {
            self.sim.repair(name(id), name(other));
        }
        self.start(id, false);
    }

    /// The power of a member fails: what was not flushed may be lost.
    pub(crate) fn crash(&mut self, id: NodeId) {
        self.lose(id);
        self.hosts[&id].disk.crash();
    }

    /// A member is killed; its disk keeps everything.
    pub(crate) fn lose(&mut self, id: NodeId) {
        // Its peers hear nothing: in which order tokio drops a host's tasks is not ours to decide,
        // and so must not be seen.
        self.isolate(id);
        self.sim.crash(name(id));
        let host = self.hosts.get_mut(&id).expect("it was there");
        host.up = false;
        host.live.lock().handle = None;
        PANICS.with_borrow_mut(Vec::clear);
        self.journal.note(format!("{id} is gone"));
    }

    /// A lost member gets an empty volume.
    pub(crate) fn wipe(&mut self, id: NodeId) {
        let directory_id = Uuid(self.random.bytes16());
        let disk = SimDisk::new(self.random.next_u64());
        let host = self.hosts.get_mut(&id).expect("it was there");
        host.disk = disk.clone();
        host.directory_id = directory_id;
        host.live.lock().volume = Some((disk, directory_id));
    }

    /// The disk of a member has room for only so many more bytes.
    pub(crate) fn leave_room(&self, id: NodeId, bytes: u64) {
        let disk = &self.hosts[&id].disk;
        let len = |path: &PathBuf| {
            let file = disk.open(path, OpenMode::Read);
            file.and_then(|file| file.len()).expect("it was listed")
        };
        let used: u64 = disk.files().iter().map(len).sum();
        disk.set_capacity_bytes(used + bytes);
    }

    pub(crate) fn member(&self, id: NodeId) -> Member {
        Member {
            endpoints: vec![Endpoint {
                listener: "CONTROLLER".to_owned(),
                host: name(id),
                port: PORT,
            }],
            directory_id: self.hosts[&id].directory_id,
        }
    }

    pub(crate) fn handle(&self, id: NodeId) -> Option<Handle> {
        self.hosts[&id].live.lock().handle.clone()
    }

    pub(crate) fn state(&self, id: NodeId) -> Option<Arc<State>> {
        Some(self.handle(id)?.state().get())
    }

    /// How far what the member has published reaches.
    pub(crate) fn published(&self, id: NodeId) -> Option<Position> {
        let published = Arc::clone(&self.hosts[&id].live.lock().published);
        let published = published.lock();
        *published
    }

    /// A member ends in order.
    pub(crate) fn stop(&mut self, id: NodeId) {
        if let Some(shutdown) = &self.hosts[&id].live.lock().shutdown {
            shutdown.announce();
        }
        self.pass(1_500);
        self.hosts.get_mut(&id).expect("it was there").up = false;
    }

    /// Members that are ready to decide.
    pub(crate) fn leaders(&self) -> Vec<NodeId> {
        let ready = |id: &NodeId| self.state(*id).is_some_and(|state| state.ready);
        self.hosts.keys().copied().filter(ready).collect()
    }

    pub(crate) fn await_leader(&mut self) -> NodeId {
        assert!(
            self.until(10_000, |world| world.leaders().len() == 1),
            "no leader: {:#?}",
            self.hosts
                .keys()
                .map(|id| self.state(*id))
                .collect::<Vec<_>>()
        );
        self.leaders()[0]
    }

    pub(crate) fn cut(&mut self, a: NodeId, b: NodeId) {
        self.sim.partition(name(a), name(b));
    }

    /// What `from` sends does not come to `to`.
    pub(crate) fn cut_one_way(&mut self, from: NodeId, to: NodeId) {
        self.sim.partition_oneway(name(from), name(to));
    }

    pub(crate) fn mend(&mut self) {
        let ids: Vec<NodeId> = self.hosts.keys().copied().collect();
        let ids: Vec<NodeId> = ids.into_iter().filter(|id| self.hosts[id].up).collect();
        for a in &ids {
            for b in ids.iter().filter(|b| *b != a) {
                self.sim.repair(name(*a), name(*b));
                self.sim.repair_oneway(name(*a), name(*b));
            }
        }
    }

    pub(crate) fn isolate(&mut self, id: NodeId) {
        let others: Vec<NodeId> = self.hosts.keys().copied().filter(|o| *o != id).collect();
        for other in others {
            self.cut(id, other);
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.sim.elapsed().as_millis() as u64
    }

    pub(crate) fn step(&mut self) {
        self.sim.step().expect("no member fails");
        let panics = PANICS.with_borrow_mut(std::mem::take);
        assert!(panics.is_empty(), "seed {}: {panics:?}", self.plan.seed);
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now_ms() + ms;
        while self.now_ms() < end {
            self.step();
        }
    }

    /// Whether it came true within so many milliseconds.
    pub(crate) fn until(&mut self, limit_ms: u64, what: impl Fn(&World) -> bool) -> bool {
        let end = self.now_ms() + limit_ms;
        while !what(self) {
            if self.now_ms() >= end {
                return false;
            }
            self.step();
        }
        true
    }

    /// Does something that waits, on a host of its own.
    pub(crate) fn run<T: 'static>(&mut self, work: impl Future<Output = T> + 'static) -> T {
        let done = std::rc::Rc::new(RefCell::new(None));
        let result = std::rc::Rc::clone(&done);
        self.scripts += 1;
        self.sim
            .client(format!("script{}", self.scripts), async move {
                let value = work.await;
                *result.borrow_mut() = Some(value);
                Ok(())
            });
        let end = self.now_ms() + 60_000;
        loop {
            if let Some(value) = done.borrow_mut().take() {
                return value;
            }
            assert!(self.now_ms() < end, "it did not end in a minute");
            self.step();
        }
    }

    /// Waits until all members that are up have applied the same, and checks what happened.
    pub(crate) fn settle(&mut self) {
        self.settle_without(&[]);
    }

    /// The same, whatever becomes of some of them.
    pub(crate) fn settle_without(&mut self, removed: &[NodeId]) {
        self.await_leader();
        let before = self.journal.acknowledged_count();
        assert!(
            self.until(10_000, |world| world.journal.acknowledged_count() > before),
            "seed {}: nothing is acknowledged",
            self.plan.seed
        );
        let leader = self.await_leader();
        let goal = self.state(leader).and_then(|state| state.applied);
        let everybody = self.until(20_000, |world| {
            let up = world.hosts.iter().filter(|(_, host)| host.up);
            let mut counted = up.filter(|(id, _)| !removed.contains(id));
            counted.all(|(id, _)| world.published(*id) >= goal)
        });
        assert!(
            everybody,
            "seed {}: somebody stays behind {goal:?}: {:#?}\n{}",
            self.plan.seed,
            self.hosts
                .keys()
                .map(|id| self.state(*id))
                .collect::<Vec<_>>(),
            self.journal.lines().join("\n"),
        );
        self.check();
    }

    pub(crate) fn check(&self) {
        let violations = self.journal.violations();
        assert!(
            violations.is_empty(),
            "seed {}: {violations:#?}\n{}",
            self.plan.seed,
            self.journal.lines().join("\n")
        );
    }

    /// The same for two runs that were the same.
    pub(crate) fn digest(&self) -> String {
        self.journal.lines().join("\n")
    }
}

/// One life of a member, from its start to its end in order.
struct Life {
    options: Options,
    plan: Plan,
    journal: Journal,
    disk: SimDisk,
    live: Arc<Mutex<Live>>,
}

impl Life {
    async fn run(self) -> turmoil::Result {
        let id = self.options.id;
        let number = {
            let mut live = self.live.lock();
            live.life += 1;
            live.published = Arc::default();
            live.life
        };
        let seed = self.plan.seed.wrapping_mul(1_000_003) ^ (id << 32) ^ number;
        let runtime = Runtime::simulated(seed, self.disk.clone());
        let published = Arc::clone(&self.live.lock().published);
        let recorder = Recorder {
            id,
            journal: self.journal.clone(),
            entries: Vec::new(),
            published: Arc::clone(&published),
        };
        let transport = Tcp(runtime.network, self.journal.clone());
        let (service, handle) =
            Raft::open(&runtime, self.options.clone(), recorder, transport).await?;
        runtime.tasks.run("raft", service);
        {
            let mut live = self.live.lock();
            live.handle = Some(handle.clone());
            live.shutdown = Some(runtime.shutdown().clone());
        }
        let listener = runtime.network.listen("", PORT).await?;
        let (tasks, answering) = (runtime.tasks.clone(), handle.clone());
        runtime
            .tasks
            .spawn(TaskKind::Housekeeping, "accept", async move {
                loop {
                    let (stream, _) = listener.accept().await.map_err(|e| e.to_string())?;
                    let serving = serve(stream, answering.clone());
                    tasks.spawn(TaskKind::Connection, "serve", serving);
                }
                #[expect(unreachable_code, reason = "it tells the type")]
                Ok::<_, String>(())
            });
        let watching = watch(self.journal.clone(), handle.clone(), runtime.clone());
        runtime
            .tasks
            .spawn(TaskKind::Housekeeping, "watch", watching);
        let driver = drive(
            self.journal.clone(),
            self.plan.clone(),
            number,
            handle,
            runtime.clone(),
        );
        runtime.tasks.spawn(TaskKind::Housekeeping, "drive", driver);
        runtime.shutdown().announced().await;
        self.live.lock().handle = None;
        // The acceptor never ends; the service does.
        runtime.clock.sleep(Duration::from_secs(1)).await;
        Ok(())
    }
}

async fn serve(mut stream: Stream, handle: Handle) -> Result<(), String> {
    loop {
        let Ok(request) = receive(&mut stream).await else {
            return Ok(());
        };
        let response = handle.receive(request).await.map_err(|e| e.to_string())?;
        send(&mut stream, &response)
            .await
            .map_err(|e| e.to_string())?;
    }
}

/// Writes down who leads.
async fn watch(journal: Journal, handle: Handle, runtime: Runtime) -> Result<(), String> {
    let mut states = handle.state();
    let mut last = (0, None, false);
    while states.changed().await {
        let state = states.get();
        if state.is_leader {
            journal.leads(state.id, state.term);
        }
        let now = (state.term, state.leader, state.ready);
        if now != last {
            last = now;
            let at_ms = runtime.clock.now_ms();
            journal.note(format!("{at_ms} {}: {now:?}", state.id));
        }
    }
    Ok(())
}

/// Proposes entries whenever the member is ready.
async fn drive(
    journal: Journal,
    plan: Plan,
    life: u64,
    handle: Handle,
    runtime: Runtime,
) -> Result<(), String> {
    let states = handle.state();
    let mut number = 0;
    loop {
        let pause = 1 + runtime.random.below(plan.pause_max_ms);
        runtime.clock.sleep(Duration::from_millis(pause)).await;
        let state = states.get();
        if !state.ready {
            continue;
        }
        // Several at once: they go one behind the other without waiting.
        for _ in 0..1 + runtime.random.below(3) {
            number += 1;
            let padding = "x".repeat(runtime.random.below(100) as usize);
            let entry = Bytes::from(format!("{}/{life}/{number}{padding}", state.id));
            let proposal = match handle.propose(state.term, entry.clone()).await {
                Ok(proposal) => proposal,
                Err(ProposeError::Stopped) => return Ok(()),
                Err(_) => {
                    journal.refused(entry);
                    continue;
                }
            };
            let (journal, clock) = (journal.clone(), runtime.clock.clone());
            let waiting = async move {
                match proposal.wait().await {
                    Ok((at, reply)) => {
                        assert_eq!(reply, entry, "the reply is of another entry");
                        journal.note(format!("{} acknowledged {at}", clock.now_ms()));
                        journal.acknowledged(at, entry);
                    }
                    Err(ProposeError::NotLeader(_)) => journal.refused(entry),
                    Err(_) => {}
                }
                Ok::<_, String>(())
            };
            runtime.tasks.spawn(TaskKind::Connection, "wait", waiting);
        }
    }
}

/// Two digests are the same; else the first difference is told.
pub(crate) fn assert_same(first: &str, second: &str) {
    assert!(first.len() > 1_000, "little has happened: {first}");
    if first != second {
        let mut pairs = first.lines().zip(second.lines());
        panic!("{:?}", pairs.find(|(one, other)| one != other));
    }
}
