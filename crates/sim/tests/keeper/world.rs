//! The hosts, their disks and links, and what happens to them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ottla_config::{KeeperConfig, KeeperListener, KeeperServer};
use ottla_jute::{Acl, Create, GetData, Request, Response};
use ottla_keeper::{Handle, Options};
use ottla_model::Sabotage;
use ottla_runtime::disk::SimDisk;
use ottla_runtime::{Random, Runtime, Shutdown};
use parking_lot::Mutex;
use turmoil::Sim;

use crate::client::{Client, REGISTERS, SESSION_MS, State, register};
use crate::history::{Counts, History};
use crate::wire::{self, Received, Wire};

const CLIENTS: u64 = 4;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone)]
pub(crate) struct Plan {
    seed: u64,
    servers: u64,
    /// What the servers do wrong on purpose.
    sabotage: Option<Sabotage>,
}

impl Plan {
    pub(crate) fn new(seed: u64, servers: u64) -> Self {
        Plan {
            seed,
            servers,
            sabotage: None,
        }
    }

    pub(crate) fn with(self, sabotage: Sabotage) -> Self {
        Plan {
            sabotage: Some(sabotage),
            ..self
        }
    }
}

#[derive(Default)]
struct Live {
    life: u64,
    handle: Option<Handle>,
}

struct Server {
    disk: SimDisk,
    live: Arc<Mutex<Live>>,
    back_at_ms: Option<u64>,
}

pub(crate) struct World {
    sim: Sim<'static>,
    plan: Plan,
    servers: BTreeMap<u64, Server>,
    random: Random,
    history: History,
    over: Shutdown,
    mend_at_ms: Option<u64>,
}

fn name(id: u64) -> String {
    format!("k{id}")
}

fn config(servers: u64) -> KeeperConfig {
    let mut config = KeeperConfig::default();
    "/data".clone_into(&mut config.storage.data_dir);
    "/data".clone_into(&mut config.storage.data_log_dir);
    config.client_listener = Some(KeeperListener {
        host: String::new(),
        port: 2181,
    });
    let line = |id: u64| {
        let id = i64::try_from(id).expect("a small number");
        KeeperServer::parse(id, &format!("k{id}:2888:3888")).expect("a line")
    };
    config.servers = (1..=servers).map(line).collect();
    config.quorum_listen_on_all_ips = true;
    config.tick_time_ms = 200;
    config.session_timeout_ms_min = 400;
    config.session_timeout_ms_max = 10_000;
    // Snapshots are taken all the time.
    config.storage.snap_count = 40;
    config
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        std::panic::set_hook(Box::new(|info| {
            PANICS.with_borrow_mut(|panics| panics.push(info.to_string()));
        }));
        PANICS.with_borrow_mut(Vec::clear);
        Sabotage::set(plan.sabotage);
        let random = Random::from_seed(plan.seed ^ 0x6b65_6570);
        let mut sim = turmoil::Builder::new()
            .rng_seed(plan.seed)
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600))
            .simulation_duration(Duration::from_secs(600))
            .tick_duration(Duration::from_millis(1))
            .min_message_latency(Duration::from_micros(100))
            .max_message_latency(Duration::from_millis(1 + random.below(10)))
            .tcp_capacity(1 << 16)
            .build();
        let mut servers = BTreeMap::new();
        for id in 1..=plan.servers {
            let disk = SimDisk::new(random.next_u64());
            let live: Arc<Mutex<Live>> = Arc::default();
            let server = Server {
                disk: disk.clone(),
                live: Arc::clone(&live),
                back_at_ms: None,
            };
            servers.insert(id, server);
            let plan = plan.clone();
            sim.host(name(id), move || {
                let (disk, live, plan) = (disk.clone(), Arc::clone(&live), plan.clone());
                async move {
                    let life = {
                        let mut live = live.lock();
                        live.life += 1;
                        live.life
                    };
                    let seed = plan.seed.wrapping_mul(1_000_003) + 97 * id + life;
                    let runtime = Runtime::simulated(seed, disk);
                    let options = Options {
                        config: Arc::new(config(plan.servers)),
                        id: i64::try_from(id).expect("a small number"),
                    };
                    let stop = runtime.shutdown().clone();
                    let handle = ottla_keeper::start(&runtime, options, &stop).await?;
                    live.lock().handle = Some(handle);
                    stop.announced().await;
                    Ok(())
                }
            });
        }
        World {
            sim,
            plan,
            servers,
            random,
            history: History::default(),
            over: Shutdown::new(),
            mend_at_ms: None,
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.sim.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn step(&mut self) -> Result<(), String> {
        self.sim.step().map_err(|error| error.to_string())?;
        if let Some(panic) = PANICS.with_borrow_mut(|panics| panics.pop()) {
            return Err(format!("a server ended by itself: {panic}"));
        }
        match self.history.first_violation() {
            Some(violation) => Err(violation),
            None => Ok(()),
        }
    }

    /// Steps until a script is through.
    fn script<T: Send + 'static>(
        &mut self,
        host: &str,
        script: impl Future<Output = T> + 'static,
    ) -> Result<T, String> {
        let done: Arc<Mutex<Option<T>>> = Arc::default();
        let told = Arc::clone(&done);
        self.sim.client(host, async move {
            let value = script.await;
            *told.lock() = Some(value);
            Ok(())
        });
        let until_ms = self.now_ms() + 60_000;
        loop {
            self.step()?;
            self.mend();
            if let Some(value) = done.lock().take() {
                return Ok(value);
            }
            if self.now_ms() > until_ms {
                return Err(format!("{host} is not through after a minute"));
            }
        }
    }

    /// Faults for so long, then peace, then the judgement.
    pub(crate) fn play(mut self, chaos: Duration) -> Result<Counts, String> {
        let servers = self.plan.servers;
        self.script("founder", async move { found(servers).await })?;
        self.start_clients();
        let end_ms = self.now_ms() + chaos.as_millis() as u64;
        let mut next_ms = self.now_ms() + 300;
        while self.now_ms() < end_ms {
            self.step()?;
            if self.now_ms() >= next_ms {
                self.inflict();
                next_ms = self.now_ms() + 100 + self.random.below(1_200);
            }
            self.mend();
        }
        self.make_peace();
        for _ in 0..4 * SESSION_MS {
            self.step()?;
            self.mend();
        }
        let last = self.script("auditor", async move { audit(servers).await })?;
        if let Some(violation) = self.history.judge(&last.registers) {
            return Err(violation);
        }
        if !last.ephemerals.is_empty() {
            let left = last.ephemerals.join(", ");
            return Err(format!("all sessions are over, and {left} are left"));
        }
        self.compare_servers()?;
        let mut counts = self.history.counts();
        counts.last_zxid = last.zxid;
        Ok(counts)
    }

    fn start_clients(&mut self) {
        for number in 1..=CLIENTS {
            let client = Client {
                number,
                servers: self.plan.servers,
                random: Random::from_seed(self.random.next_u64()),
                network: Runtime::simulated(0, SimDisk::new(0)).network,
                clock: Runtime::simulated(0, SimDisk::new(0)).clock,
                history: self.history.clone(),
                over: self.over.clone(),
                state: State::default(),
            };
            self.sim.client(format!("c{number}"), async move {
                client.work().await;
                Ok(())
            });
        }
    }

    fn inflict(&mut self) {
        let ids: Vec<u64> = self.servers.keys().copied().collect();
        let one = ids[self.random.below(ids.len() as u64) as usize];
        let other = ids[self.random.below(ids.len() as u64) as usize];
        match self.random.below(6) {
            0 | 1 => self.crash(one),
            2 => {
                self.crash(one);
                self.crash(other);
            }
            3 if one != other => {
                self.sim.partition(name(one), name(other));
                self.cut();
            }
            4 if one != other => {
                self.sim.partition_oneway(name(one), name(other));
                self.cut();
            }
            _ => {
                for other in ids.iter().filter(|id| **id != one) {
                    self.sim.partition(name(one), name(*other));
                }
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        self.mend_at_ms = Some(self.now_ms() + 50 + self.random.below(1_500));
    }

    /// The power of a server fails.
    fn crash(&mut self, id: u64) {
        let back_at_ms = self.now_ms() + 1 + self.random.below(1_000);
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        if server.back_at_ms.is_some() {
            return;
        }
        self.sim.crash(name(id));
        PANICS.with_borrow_mut(Vec::clear);
        server.disk.crash();
        server.live.lock().handle = None;
        server.back_at_ms = Some(back_at_ms);
        self.history.count(|c| c.crashes += 1);
    }

    fn mend(&mut self) {
        let now_ms = self.now_ms();
        if self.mend_at_ms.take_if(|at| *at <= now_ms).is_some() {
            let ids: Vec<u64> = self.servers.keys().copied().collect();
            for one in &ids {
                for other in ids.iter().filter(|id| *id != one) {
                    self.sim.repair(name(*one), name(*other));
                    self.sim.repair_oneway(name(*one), name(*other));
                }
            }
        }
        for (id, server) in &mut self.servers {
            if server.back_at_ms.take_if(|at| *at <= now_ms).is_some() {
                self.sim.bounce(name(*id));
            }
        }
    }

    fn make_peace(&mut self) {
        self.over.announce();
        self.mend_at_ms = Some(0);
        for server in self.servers.values_mut() {
            server.back_at_ms = server.back_at_ms.map(|_| 0);
        }
        self.mend();
    }

    /// All servers have the same.
    fn compare_servers(&mut self) -> Result<(), String> {
        for _ in 0..10_000 {
            self.step()?;
            let prints: Vec<_> = self
                .servers
                .values()
                .map(|server| server.live.lock().handle.as_ref().map(Handle::fingerprint))
                .collect();
            if prints
                .iter()
                .all(|print| print.is_some() && *print == prints[0])
            {
                return Ok(());
            }
        }
        Err("the servers do not come to the same state".to_owned())
    }
}

/// What there is at the end.
struct Last {
    registers: BTreeMap<String, i32>,
    ephemerals: Vec<String>,
    zxid: i64,
}

/// Connects to whoever serves.
async fn connected(servers: u64) -> Wire {
    let runtime = Runtime::simulated(0, SimDisk::new(0));
    for number in 0.. {
        let server = name(1 + number % servers);
        if let Ok((wire, _)) = Wire::connect(runtime.network, &server, 10_000, 0, None).await {
            return wire;
        }
        runtime.clock.sleep(Duration::from_millis(20)).await;
    }
    unreachable!("it tries for ever")
}

async fn ask(servers: u64, wire: &mut Wire, request: Request) -> (i64, Option<Response>) {
    loop {
        if wire.send(&request).await.is_some() {
            while let Some(received) = wire.receive().await {
                if let Received::Reply(header, body) = received {
                    return (
                        header.zxid,
                        wire::body(request.op_code(), header, &body).ok(),
                    );
                }
            }
        }
        *wire = connected(servers).await;
    }
}

fn create(path: String) -> Request {
    Request::Create(Create {
        path,
        data: None,
        acl: vec![Acl::open()],
        flags: 0,
    })
}

/// Makes what the clients use.
async fn found(servers: u64) {
    let mut wire = connected(servers).await;
    for number in 0..REGISTERS {
        ask(servers, &mut wire, create(register(number))).await;
    }
    ask(servers, &mut wire, create("/e".to_owned())).await;
    ask(servers, &mut wire, Request::CloseSession).await;
}

async fn audit(servers: u64) -> Last {
    let mut wire = connected(servers).await;
    let mut registers = BTreeMap::new();
    let path = "/".to_owned();
    ask(servers, &mut wire, Request::Sync(ottla_jute::Sync { path })).await;
    for number in 0..REGISTERS {
        let path = register(number);
        let get = Request::GetData(GetData {
            path: path.clone(),
            watch: false,
        });
        if let (_, Some(Response::GetData { stat, .. })) = ask(servers, &mut wire, get).await {
            registers.insert(path, stat.version);
        }
    }
    let list = Request::GetChildren(ottla_jute::GetChildren {
        path: "/e".to_owned(),
        watch: false,
    });
    let ephemerals = match ask(servers, &mut wire, list).await.1 {
        Some(Response::GetChildren { children }) => children,
        _ => vec!["the list".to_owned()],
    };
    let (zxid, _) = ask(servers, &mut wire, Request::CloseSession).await;
    Last {
        registers,
        ephemerals,
        zxid,
    }
}
