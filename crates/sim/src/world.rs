//! The world of one run: its hosts, its time, and its faults.

use std::time::{Duration, SystemTime};

use ottla_runtime::{Random, Shutdown};
use turmoil::{Builder, Sim};

use crate::checkers::{self, Violation};
use crate::clients::{self, Desk};
use crate::disk::NodeDisk;
use crate::faults::{Fault, HOSTS, Schedule};
use crate::history::{Entry, Event, History, digest};
use crate::node::{NODE, NodeControl};
use crate::{Scenario, panics};

/// After the faults, everybody has this long to finish.
const FINISH: Duration = Duration::from_secs(120);

/// What a run has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What should not have been.
    pub violations: Vec<Violation>,
    /// The same for two runs that were the same to their clients.
    pub digest: u64,
    /// Records that were acknowledged.
    pub acknowledged: u64,
    /// Records that were read, each time they were.
    pub read: u64,
    /// Power failures, and kills of the process alone.
    pub crashes: u64,
    /// Times that the node was started.
    pub starts: u64,
    /// Bits that a lying disk has flipped.
    pub flipped_bits: u64,
    /// The history, one line a moment, for somebody who looks for a cause.
    pub history: Vec<String>,
}

impl Outcome {
    /// Where this run of the same scenario went another way than `first`.
    #[must_use]
    pub fn differs_from(&self, first: &Outcome) -> Option<Violation> {
        if self.digest == first.digest {
            return None;
        }
        let mut pairs = first.history.iter().zip(&self.history);
        let message = match pairs.find(|(one, other)| one != other) {
            Some((one, other)) => format!("first '{}', then '{}'", one.trim(), other.trim()),
            None => "one history goes on where the other ends".to_owned(),
        };
        let checker = "repeatable";
        Some(Violation { checker, message })
    }
}

/// Plays a scenario to its end.
#[must_use]
pub fn run(scenario: &Scenario) -> Outcome {
    panics::watch();
    drop(panics::take());
    let history = History::default();
    let disk = NodeDisk::new(scenario.seed, scenario.lie);
    let mut violations = Vec::new();
    let (mut starts, mut crashes) = (0, 0);
    match NodeControl::new(scenario.seed, disk.clone(), history.clone()) {
        Ok(node) => {
            let mut world = World::new(scenario, node, disk.clone(), history.clone());
            violations.extend(world.play(scenario.chaos).err());
            (starts, crashes) = (world.starts, world.crashes);
        }
        Err(error) => violations.push(failed(format!("{error:#}"))),
    }
    let entries = history.entries();
    violations.extend(checkers::check(&entries));
    let count = |of: fn(&Event) -> bool| entries.iter().filter(|e| of(&e.event)).count() as u64;
    Outcome {
        seed: scenario.seed,
        violations,
        digest: digest(&entries),
        acknowledged: count(|e| matches!(e, Event::Acknowledged { .. })),
        read: count(|e| matches!(e, Event::Read { .. })),
        crashes,
        starts,
        flipped_bits: disk.flipped_bits(),
        history: entries.iter().map(line).collect(),
    }
}

/// A moment without its records' bytes.
fn line(entry: &Entry) -> String {
    let at_ms = entry.at_ms;
    match &entry.event {
        Event::Sent { id, place, value } => {
            let (writer, number) = (id.writer, id.number);
            format!(
                "{at_ms:6} sent {writer}:{number} to {place}, {} bytes",
                value.len()
            )
        }
        Event::Read {
            reader,
            place,
            offset,
            value,
        } => format!(
            "{at_ms:6} {reader:?} read {place} offset {offset}: {}",
            String::from_utf8_lossy(&value[..value.len().min(12)])
        ),
        other => format!("{at_ms:6} {other:?}"),
    }
}

fn failed(message: String) -> Violation {
    Violation {
        checker: "node",
        message,
    }
}

struct World {
    sim: Sim<'static>,
    node: NodeControl,
    disk: NodeDisk,
    history: History,
    schedule: Schedule,
    over: Shutdown,
    partitions: i32,
    starts: u64,
    crashes: u64,
    /// When the node comes back.
    back_at_ms: Option<u64>,
    /// When the network to each host is well again.
    held_until_ms: [Option<u64>; 2],
    cut_until_ms: [Option<u64>; 2],
    full_until_ms: Option<u64>,
}

impl World {
    fn new(scenario: &Scenario, node: NodeControl, disk: NodeDisk, history: History) -> Self {
        let seed = scenario.seed;
        let random = Random::from_seed(seed ^ 0x0077_6f72_6c64);
        let mut sim = Builder::new()
            .rng_seed(seed)
            // 2025-01-01; the real time must not leak in.
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600))
            .simulation_duration(scenario.chaos + FINISH)
            .tick_duration(Duration::from_millis(1))
            .min_message_latency(Duration::from_micros(100))
            .max_message_latency(Duration::from_millis(1 + random.below(20)))
            .tcp_capacity(1 << 16)
            .build();
        let over = Shutdown::new();
        let partitions = 1 + random.below(4) as i32;
        let life = node.clone();
        sim.host(NODE, move || life.clone().live());
        let desk = |host: u64| {
            let seed = seed.wrapping_mul(31).wrapping_add(host);
            (seed, history.clone(), over.clone(), partitions)
        };
        let writers = desk(1);
        sim.client("writers", async move {
            let desk = Desk::new(writers.0, writers.1, writers.2, writers.3);
            clients::create_records_topic(&desk).await;
            tokio::join!(
                clients::write(desk.clone(), 0),
                clients::write(desk.clone(), 1),
            );
            Ok(())
        });
        let readers = desk(2);
        sim.client("readers", async move {
            let desk = Desk::new(readers.0, readers.1, readers.2, readers.3);
            tokio::join!(
                clients::follow(desk.clone()),
                clients::commit(desk.clone()),
                clients::create_and_delete(desk.clone()),
            );
            Ok(())
        });
        World {
            sim,
            node,
            disk,
            history: history.clone(),
            schedule: Schedule::new(seed, scenario.faults),
            over,
            partitions,
            starts: 1,
            crashes: 0,
            back_at_ms: None,
            held_until_ms: [None; 2],
            cut_until_ms: [None; 2],
            full_until_ms: None,
        }
    }

    /// Faults for as long as `chaos`, then peace until the clients and the audit are done.
    fn play(&mut self, chaos: Duration) -> Result<(), Violation> {
        let chaos_ms = chaos.as_millis() as u64;
        while self.now_ms() < chaos_ms {
            self.step()?;
            let now_ms = self.now_ms();
            if let Some(fault) = self.schedule.due(now_ms) {
                self.inflict(fault, now_ms);
            }
            self.mend(now_ms);
        }
        self.make_peace();
        while !self.step()? {
            let now_ms = self.now_ms();
            self.mend(now_ms);
        }
        // A client that hung would not be done; so the audit comes last, and alone.
        let seed = self.now_ms();
        let (history, over) = (self.history.clone(), Shutdown::new());
        let partitions = self.partitions;
        self.sim.client("auditor", async move {
            clients::audit(Desk::new(seed, history, over, partitions)).await;
            Ok(())
        });
        while !self.step()? {}
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        self.sim.elapsed().as_millis() as u64
    }

    /// A millisecond. Says whether the clients are done.
    fn step(&mut self) -> Result<bool, Violation> {
        self.history.set_now_ms(self.now_ms());
        let done = self.sim.step().map_err(|error| failed(error.to_string()))?;
        let panics = panics::take();
        let failure = self.node.take_failure();
        if self.disk.is_off() {
            // A node that has ended may say what it wants. Nobody hears it.
            if self.back_at_ms.is_none() {
                self.lose_node();
            }
        } else if let Some(panic) = panics.into_iter().next() {
            return Err(failed(format!("the node ended by itself: {panic}")));
        } else if let Some(failure) = failure
            && !self.disk.is_limited()
        {
            return Err(failed(format!("the node failed: {failure}")));
        }
        if self.back_at_ms.is_none() && !self.sim.is_host_running(NODE) {
            self.back_at_ms = Some(self.now_ms() + self.schedule.away_ms());
        }
        Ok(done)
    }

    fn inflict(&mut self, fault: Fault, now_ms: u64) {
        self.note(format!("{fault:?}"));
        let index = |host| usize::from(HOSTS[1] == host);
        match fault {
            Fault::Ends { end } => {
                self.disk.end_now(end);
                if self.back_at_ms.is_none() {
                    self.lose_node();
                }
            }
            Fault::EndsAfter { changes, end } => self.disk.end_after(changes, end),
            Fault::Restart => self.node.stop(),
            Fault::Hold { host, for_ms } => {
                self.sim.hold(NODE, host);
                self.held_until_ms[index(host)] = Some(now_ms + for_ms);
            }
            Fault::Partition { host, for_ms } => {
                self.sim.partition(NODE, host);
                self.cut_until_ms[index(host)] = Some(now_ms + for_ms);
            }
            Fault::Clock { skew_ms } => self.node.set_skew_ms(skew_ms),
            Fault::FullDisk { room, for_ms } => {
                self.disk.leave_room(Some(room));
                self.full_until_ms = Some(now_ms + for_ms);
            }
        }
    }

    /// The node is gone from one moment to the next.
    fn lose_node(&mut self) {
        self.crashes += 1;
        self.note("is gone".to_owned());
        // Its peers hear nothing: in which order tokio drops a host's tasks is not ours to decide,
        // and so must not be seen.
        for host in HOSTS {
            self.sim.partition(NODE, host);
        }
        self.sim.crash(NODE);
        drop(panics::take());
        self.back_at_ms = Some(self.now_ms() + self.schedule.away_ms());
    }

    fn repair_all(&mut self) {
        for (n, host) in HOSTS.into_iter().enumerate() {
            if self.held_until_ms[n].is_none() && self.cut_until_ms[n].is_none() {
                self.sim.repair(NODE, host);
            }
        }
    }

    /// Ends what has lasted long enough.
    fn mend(&mut self, now_ms: u64) {
        let is_due = |at: &mut Option<u64>| at.take_if(|at| *at <= now_ms).is_some();
        for (n, host) in HOSTS.into_iter().enumerate() {
            if is_due(&mut self.held_until_ms[n]) {
                self.sim.release(NODE, host);
            }
            if is_due(&mut self.cut_until_ms[n]) {
                self.sim.repair(NODE, host);
            }
        }
        if is_due(&mut self.full_until_ms) {
            self.disk.leave_room(None);
        }
        if is_due(&mut self.back_at_ms) {
            self.disk.restore();
            self.repair_all();
            if !self.over.is_announced()
                && let Some((changes, end)) = self.schedule.ends_again_after()
            {
                self.disk.end_after(changes, end);
            }
            self.starts += 1;
            self.sim.bounce(NODE);
        }
    }

    /// No more faults: the network and the disk are well, and the node comes back.
    fn make_peace(&mut self) {
        self.note("peace".to_owned());
        self.disk.leave_room(None);
        self.disk.spare();
        for (n, host) in HOSTS.into_iter().enumerate() {
            self.sim.release(NODE, host);
            self.sim.repair(NODE, host);
            (self.held_until_ms[n], self.cut_until_ms[n]) = (None, None);
        }
        self.over.announce();
    }

    fn note(&self, what: String) {
        self.history.note(Event::Node { what });
    }
}
