//! The world of one run: its hosts, its time, and its faults.

use std::time::{Duration, SystemTime};

use ottla_runtime::{Random, Shutdown};
use turmoil::{Builder, Sim};

use crate::checkers::Violation;
use crate::clients::{self, Brief};
use crate::cluster::{self, CLIENTS, Plan};
use crate::disk::NodeDisk;
use crate::faults::{Fault, Schedule};
use crate::history::{Event, History};
use crate::network::{HostNumber, Network};
use crate::node::NodeControl;
use crate::watch::{self, Candidate, Watch};
use crate::{Scenario, Shape, panics};

/// After the faults, everybody has this long to finish.
const FINISH: Duration = Duration::from_secs(150);
/// When the clients are done, the nodes have this long to come to rest.
const REST: Duration = Duration::from_secs(40);
/// The metadata of the nodes is looked at so often.
const LOOK_MS: u64 = 10;

/// A node, and what is to come for it.
struct WorldNode {
    plan: Plan,
    control: NodeControl,
    disk: NodeDisk,
    /// When it comes back.
    back_at_ms: Option<u64>,
    full_until_ms: Option<u64>,
}

/// All that there is.
pub(crate) struct World {
    sim: Sim<'static>,
    nodes: Vec<WorldNode>,
    network: Network,
    history: History,
    schedule: Schedule,
    watch: Watch,
    over: Shutdown,
    /// What clients need to know.
    brief: Brief,
    /// The next node to be restarted while all of them are.
    rolls_on: Option<usize>,
    pub(crate) starts: u64,
    pub(crate) crashes: u64,
}

impl World {
    pub(crate) fn new(scenario: &Scenario, history: History) -> anyhow::Result<Self> {
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
        let plans = cluster::plan(scenario.shape);
        let hosts = cluster::hosts(&plans);
        let mut nodes = Vec::new();
        for plan in &plans {
            let seed = seed.wrapping_add(7_919 * (plan.id as u64 - 1));
            let config = cluster::config(scenario.seed, &plans, plan)?;
            let disk = NodeDisk::new(seed, scenario.lie, &plan.host, &hosts);
            let control = NodeControl::new(seed, &plan.host, config, disk.clone(), history.clone());
            let life = control.clone();
            sim.host(plan.host.as_str(), move || life.clone().live());
            nodes.push(WorldNode {
                plan: plan.clone(),
                control,
                disk,
                back_at_ms: None,
                full_until_ms: None,
            });
        }
        let over = Shutdown::new();
        let brief = Brief {
            seed,
            history: history.clone(),
            over: over.clone(),
            partitions: 1 + random.below(4) as i32,
            brokers: cluster::addresses(&plans),
            broker_ids: cluster::broker_ids(&plans),
            moves: scenario.faults.moves && plans.len() > 1,
        };
        for (number, host) in (1..).zip(CLIENTS) {
            let brief = brief.for_host(number);
            sim.client(host, async move {
                match host {
                    "writers" => clients::write_all(brief).await,
                    _ => Box::pin(clients::read_all(brief)).await,
                }
                Ok(())
            });
        }
        Ok(World {
            schedule: Schedule::new(seed, scenario.faults, scenario.shape, hosts.len()),
            network: Network::new(hosts),
            watch: Watch::new(history.clone()),
            starts: nodes.len() as u64,
            crashes: 0,
            rolls_on: None,
            sim,
            nodes,
            history,
            over,
            brief,
        })
    }

    /// Faults for as long as `chaos`, then peace until the clients and the audit are done.
    pub(crate) fn play(&mut self, scenario: &Scenario) -> Result<(), Violation> {
        let chaos_ms = scenario.chaos.as_millis() as u64;
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
            self.mend(self.now_ms());
        }
        // A client that hung would not be done; so the audit comes last, and alone.
        let mut brief = self.brief.for_host(self.now_ms());
        brief.over = Shutdown::new();
        self.sim.client("auditor", async move {
            clients::audit(brief).await;
            Ok(())
        });
        // A node that was told to stop just before may have to come back still.
        while !self.step()? {
            self.mend(self.now_ms());
        }
        if scenario.shape != Shape::Alone {
            self.come_to_rest()?;
        }
        Ok(())
    }

    pub(crate) fn flipped_bits(&self) -> u64 {
        self.nodes.iter().map(|node| node.disk.flipped_bits()).sum()
    }

    fn now_ms(&self) -> u64 {
        self.sim.elapsed().as_millis() as u64
    }

    /// A millisecond. Says whether the clients are done.
    fn step(&mut self) -> Result<bool, Violation> {
        self.history.set_now_ms(self.now_ms());
        let done = self.sim.step().map_err(|error| failed(error.to_string()))?;
        // Who has panicked is not known; but whose power has just failed may say what it wants.
        let mut power_failed = false;
        for number in 0..self.nodes.len() {
            let node = &self.nodes[number];
            let failure = node.control.take_failure();
            if node.disk.is_off() {
                if node.back_at_ms.is_none() {
                    power_failed = true;
                    self.lose_node(number);
                }
            } else if let Some(failure) = failure
                && !node.disk.is_limited()
            {
                return Err(failed(format!("{} failed: {failure}", node.plan.host)));
            }
        }
        if let Some(panic) = panics::take().into_iter().next()
            && !power_failed
        {
            return Err(failed(format!("a node ended by itself: {panic}")));
        }
        let now_ms = self.now_ms();
        for number in 0..self.nodes.len() {
            let node = &mut self.nodes[number];
            let host = node.plan.host.as_str();
            if node.back_at_ms.is_none() && !self.sim.is_host_running(host) {
                self.watch.forget(number + 1);
                node.back_at_ms = Some(now_ms + self.schedule.away_ms());
            }
        }
        if now_ms.is_multiple_of(LOOK_MS) {
            self.look();
        }
        Ok(done)
    }

    fn look(&mut self) {
        for node in &self.nodes {
            if let Some(running) = node.control.running() {
                self.watch.look(node.plan.id, &running);
            }
        }
    }

    fn inflict(&mut self, fault: Fault, now_ms: u64) {
        self.note(format!("{fault:?}"));
        match fault {
            Fault::End { nodes, end } => {
                for number in nodes {
                    self.nodes[number].disk.end_now(end);
                    if self.nodes[number].back_at_ms.is_none() {
                        self.lose_node(number);
                    } else {
                        self.network.switch_off(&self.sim, number);
                    }
                }
            }
            Fault::EndAfter { node, changes, end } => self.nodes[node].disk.end_after(changes, end),
            Fault::Restart { node } => self.nodes[node].control.stop(),
            Fault::Roll => self.rolls_on = Some(0),
            Fault::Hold { between, for_ms } => {
                self.network.hold(&self.sim, between, now_ms + for_ms);
            }
            Fault::Cut { ways, for_ms } => self.network.cut(&self.sim, &ways, now_ms + for_ms),
            Fault::Lose { per_mille, for_ms } => {
                let rate = per_mille as f64 / 1000.0;
                self.network.lose_some(&mut self.sim, rate, now_ms + for_ms);
            }
            Fault::Clock { node, skew_ms } => self.nodes[node].control.set_skew_ms(skew_ms),
            Fault::FillDisk { node, room, for_ms } => {
                self.nodes[node].disk.leave_room(Some(room));
                self.nodes[node].full_until_ms = Some(now_ms + for_ms);
            }
        }
    }

    /// A node is gone from one moment to the next.
    fn lose_node(&mut self, number: HostNumber) {
        self.crashes += 1;
        let host = self.nodes[number].plan.host.clone();
        self.note(format!("{host} is gone"));
        // Its peers hear nothing: in which order tokio drops a host's tasks is not ours to decide,
        // and so must not be seen.
        self.network.switch_off(&self.sim, number);
        self.watch.forget(number + 1);
        self.nodes[number].control.forget();
        self.sim.crash(host.as_str());
        drop(panics::take());
        self.nodes[number].back_at_ms = Some(self.now_ms() + self.schedule.away_ms());
    }

    /// Ends what has lasted long enough.
    fn mend(&mut self, now_ms: u64) {
        let is_due = |at: &mut Option<u64>| at.take_if(|at| *at <= now_ms).is_some();
        self.network.mend(&mut self.sim, now_ms);
        for number in 0..self.nodes.len() {
            let node = &mut self.nodes[number];
            if is_due(&mut node.full_until_ms) {
                node.disk.leave_room(None);
            }
            if is_due(&mut node.back_at_ms) {
                node.disk.restore();
                self.network.switch_on(&self.sim, number);
                if !self.over.is_announced()
                    && let Some((changes, end)) = self.schedule.ends_again_after()
                {
                    node.disk.end_after(changes, end);
                }
                self.starts += 1;
                self.sim.bounce(node.plan.host.as_str());
            }
        }
        self.roll_on();
    }

    /// Restarts the next node, once all of them are there.
    fn roll_on(&mut self) {
        let Some(next) = self.rolls_on else { return };
        if self.nodes.iter().any(|n| n.control.running().is_none()) {
            return;
        }
        let is_last = next + 1 == self.nodes.len();
        self.rolls_on = (!is_last).then_some(next + 1);
        self.nodes[next].control.stop();
    }

    /// No more faults: the network and the disks are well, and the nodes come back.
    fn make_peace(&mut self) {
        self.note("peace".to_owned());
        self.rolls_on = None;
        for node in &mut self.nodes {
            node.disk.leave_room(None);
            node.disk.spare();
            node.full_until_ms = None;
        }
        self.network.make_peace(&mut self.sim);
        self.over.announce();
    }

    /// Waits until the nodes agree about everything, and notes what they have.
    fn come_to_rest(&mut self) -> Result<(), Violation> {
        let until_ms = self.now_ms() + REST.as_millis() as u64;
        loop {
            let candidate = |node: &WorldNode| Candidate {
                number: node.plan.id,
                node: node.control.running(),
            };
            let candidates: Vec<_> = self.nodes.iter().map(candidate).collect();
            let Some(unrest) = watch::unrest(&candidates) else {
                break;
            };
            if self.now_ms() >= until_ms {
                return Err(Violation {
                    checker: "rest",
                    message: format!("the nodes do not come to rest: {unrest}"),
                });
            }
            for _ in 0..20 {
                self.step()?;
                self.mend(self.now_ms());
            }
        }
        self.look();
        for node in &self.nodes {
            if let Some(running) = node.control.running() {
                for event in watch::replicas(node.plan.id, &running) {
                    self.history.note(event);
                }
            }
        }
        let nodes = self.nodes.len();
        self.history.note(Event::AtRest { nodes });
        Ok(())
    }

    fn note(&self, what: String) {
        self.history.note(Event::Node { what });
    }
}

fn failed(message: String) -> Violation {
    Violation {
        checker: "node",
        message,
    }
}
