//! An ensemble in a simulation: the network is cut, power fails, and a seed says how.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ottla_raft::{Endpoint, NodeId};
use ottla_runtime::Runtime;
use ottla_runtime::disk::SimDisk;
use parking_lot::Mutex;
use turmoil::Sim;

use super::world::Node;
use crate::members::codec::LISTENER;
use crate::members::{Limits, Options};

const PORT: u16 = 2888;
const SERVERS: [NodeId; 3] = [1, 2, 3];

/// What happened, as far as it is seen from outside.
#[derive(Default)]
struct Seen {
    nodes: BTreeMap<NodeId, Arc<Node>>,
    /// What leaders took from others: from whom, on which stream, which frame.
    taken: Vec<(NodeId, u64, u64)>,
    streams: u64,
    streams_ended: u64,
    events: Vec<String>,
}

struct World {
    sim: Sim<'static>,
    seen: Arc<Mutex<Seen>>,
    disks: BTreeMap<NodeId, SimDisk>,
}

fn name(id: NodeId) -> String {
    format!("zoo{id}")
}

fn options(id: NodeId) -> Options {
    let at = |id: NodeId| {
        vec![Endpoint {
            listener: LISTENER.to_owned(),
            host: name(id),
            port: PORT,
        }]
    };
    let others = SERVERS.into_iter().filter(|other| *other != id);
    Options {
        id,
        data_dir: PathBuf::from("/data"),
        is_standalone: false,
        listen: vec![(String::new(), PORT)],
        endpoints: at(id),
        participants: SERVERS.to_vec(),
        others: others.map(|other| (other, at(other))).collect(),
        tls: None,
        limits: Limits::default(),
    }
}

/// The life of a server: a leader proposes, the others forward to it.
async fn live(id: NodeId, seed: u64, disk: SimDisk, seen: Arc<Mutex<Seen>>) -> turmoil::Result {
    let runtime = Runtime::simulated(seed, disk);
    let (clock, shutdown) = (runtime.clock.clone(), runtime.shutdown().clone());
    let listed = BTreeSet::from(SERVERS);
    let starting = Node::start_in(runtime, options(id), listed, &shutdown);
    let node = Arc::new(Box::pin(starting).await?);
    seen.lock().nodes.insert(id, Arc::clone(&node));
    let mut inbox = node.listen();
    let mut number = 0_u64;
    let mut link = None;
    loop {
        clock.sleep(Duration::from_millis(20)).await;
        while let Ok((from, _, frame)) = inbox.try_recv() {
            let Some(frame) = frame else { continue };
            let (stream, number) = frame.split_at(8);
            let of = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
            seen.lock().taken.push((from, of(stream), of(number)));
        }
        let state = node.state();
        number += 1;
        if state.ready {
            link = None;
            let entry = Bytes::from(format!("{id}-{number}"));
            // What becomes of it is seen by all who apply it.
            drop(node.raft.propose(state.term, entry).await);
        } else if let Some(leader) = state.leader.filter(|leader| *leader != id) {
            let is_usable = |of: &&(u64, u64, crate::members::ForwardLink)| {
                of.0 == state.term && !of.2.is_ended()
            };
            if link.as_ref().filter(is_usable).is_none() {
                let mut seen = seen.lock();
                seen.streams += 1;
                seen.streams_ended += u64::from(link.is_some());
                let new = node.members.forward(leader, state.term);
                link = Some((state.term, seen.streams, new));
            }
            if let Some((_, stream, link)) = &link {
                let frame = [stream.to_be_bytes(), number.to_be_bytes()].concat();
                let sending = link.send(Bytes::from(frame));
                // One that is not sent in time is not sent.
                clock.timeout(Duration::from_millis(20), sending).await;
            }
        }
    }
}

impl World {
    fn new(seed: u64) -> World {
        let sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600))
            .simulation_duration(Duration::from_secs(3_600))
            .tick_duration(Duration::from_millis(1))
            .min_message_latency(Duration::from_micros(100))
            .max_message_latency(Duration::from_millis(5))
            .tcp_capacity(1 << 16)
            .build();
        let disks = SERVERS.map(|id| (id, SimDisk::new(seed ^ (id << 40))));
        let mut world = World {
            sim,
            seen: Arc::default(),
            disks: BTreeMap::from(disks),
        };
        for id in SERVERS {
            let (disk, seen) = (world.disks[&id].clone(), Arc::clone(&world.seen));
            let lives = Arc::new(Mutex::new(0_u64));
            world.sim.host(name(id), move || {
                *lives.lock() += 1;
                let seed = seed.wrapping_mul(1_000_003) ^ (id << 32) ^ *lives.lock();
                live(id, seed, disk.clone(), Arc::clone(&seen))
            });
        }
        world
    }

    fn note(&self, event: &str) {
        let at_ms = self.sim.elapsed().as_millis();
        self.seen.lock().events.push(format!("{at_ms} {event}"));
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&World) -> bool) {
        let end = self.sim.elapsed() + Duration::from_secs(60);
        while !is_so(self) {
            assert!(
                self.sim.elapsed() < end,
                "not so: {what}: {:#?}",
                self.seen.lock().events
            );
            self.sim.step().expect("no server fails");
        }
        self.note(what);
    }

    fn leader(&self) -> Option<NodeId> {
        let seen = self.seen.lock();
        let mut ready = seen.nodes.iter().filter(|(_, node)| node.state().ready);
        ready.next().map(|(id, _)| *id)
    }

    /// Waits until all servers that are up have applied something new of a leader.
    fn settle(&mut self, what: &str) {
        let before = self.longest();
        self.until(what, |world| {
            let seen = world.seen.lock();
            let all = seen.nodes.values();
            let shortest = all.map(|node| node.lines().len()).min();
            seen.nodes.len() == SERVERS.len() && shortest > Some(before)
        });
        let seen = self.seen.lock();
        let lines: Vec<_> = seen.nodes.values().map(|node| node.lines()).collect();
        for (one, other) in lines.iter().zip(&lines[1..]) {
            let common = one.len().min(other.len());
            assert!(
                one[..common] == other[..common],
                "two servers have different states"
            );
        }
    }

    fn longest(&self) -> usize {
        let seen = self.seen.lock();
        let all = seen.nodes.values().map(|node| node.lines().len());
        all.max().unwrap_or(0)
    }

    fn await_leader(&mut self) -> NodeId {
        self.until("a leader", |world| world.leader().is_some());
        self.leader().expect("it was there a moment ago")
    }

    fn others(id: NodeId) -> impl Iterator<Item = NodeId> {
        SERVERS.into_iter().filter(move |other| *other != id)
    }
}

/// One run: what was seen.
fn run(seed: u64) -> Vec<String> {
    let mut world = World::new(seed);
    world.settle("founded");
    let first = world.await_leader();
    world.note(&format!("{first} leads"));

    for other in World::others(first) {
        world.sim.partition(name(first), name(other));
    }
    world.until("another leader", |world| {
        world.leader().is_some_and(|id| id != first)
    });
    for other in World::others(first) {
        world.sim.repair(name(first), name(other));
    }
    world.settle("the cut is mended");

    let second = world.await_leader();
    for other in World::others(second) {
        world.sim.partition(name(second), name(other));
    }
    world.sim.crash(name(second));
    world.disks[&second].crash();
    world.seen.lock().nodes.remove(&second);
    world.until("a leader after the crash", |world| world.leader().is_some());
    for other in World::others(second) {
        world.sim.repair(name(second), name(other));
    }
    world.sim.bounce(name(second));
    world.settle("the lost one is back");

    let frames = world.seen.lock().taken.len();
    world.until("frames of two servers", |world| {
        let seen = world.seen.lock();
        let from: BTreeSet<NodeId> = seen.taken[frames..].iter().map(|taken| taken.0).collect();
        from.len() == 2
    });
    let mut seen = world.seen.lock();
    let mut newest: BTreeMap<NodeId, (u64, u64)> = BTreeMap::new();
    for (from, stream, number) in &seen.taken {
        let before = newest.insert(*from, (*stream, *number));
        // Nothing of an older stream comes after something of a newer one.
        assert!(
            before < Some((*stream, *number)),
            "{from}: {before:?}, then {stream} {number}"
        );
    }
    assert!(
        seen.streams_ended > 0,
        "no stream has ended, whatever was cut"
    );
    let digest = format!("{:?} {:?}", seen.taken, seen.streams);
    seen.events.push(digest);
    std::mem::take(&mut seen.events)
}

#[test]
fn an_ensemble_survives_cuts_and_crashes_and_streams_keep_their_order() {
    for seed in 1..=8 {
        run(seed);
    }
}

#[test]
fn a_run_repeats_itself_from_its_seed() {
    assert_eq!(run(100), run(100));
    assert_ne!(run(100), run(101));
}
