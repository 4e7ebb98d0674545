//! What happens to the nodes, and when.

use ottla_runtime::Random;

use crate::disk::End;
use crate::network::HostNumber;
use crate::{Faults, Shape};

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// Nodes end now, all at once.
    End { nodes: Vec<HostNumber>, end: End },
    /// A node ends after so many more changes of its disk.
    EndAfter {
        node: HostNumber,
        changes: u64,
        end: End,
    },
    /// A node is told to stop.
    Restart { node: HostNumber },
    /// All nodes are told to stop, one after the other.
    Roll,
    /// Messages between two hosts wait.
    Hold {
        between: (HostNumber, HostNumber),
        for_ms: u64,
    },
    /// Messages from hosts to others are lost.
    Cut {
        ways: Vec<(HostNumber, HostNumber)>,
        for_ms: u64,
    },
    /// Messages are lost now and then, everywhere.
    Lose { per_mille: u64, for_ms: u64 },
    /// A node's wall clock is that far from the true time.
    Clock { node: HostNumber, skew_ms: i64 },
    /// A node's disk has room for only so many more bytes.
    FillDisk {
        node: HostNumber,
        room: u64,
        for_ms: u64,
    },
}

/// The next faults, drawn from the seed.
pub(crate) struct Schedule {
    random: Random,
    faults: Faults,
    nodes: usize,
    hosts: usize,
    next_ms: u64,
}

impl Schedule {
    /// Faults for the nodes of a shape; all other hosts are clients.
    pub(crate) fn new(seed: u64, faults: Faults, shape: Shape, hosts: usize) -> Self {
        let random = Random::from_seed(seed ^ 0x6661_756c_7473);
        // A cluster has to meet first.
        let quiet_ms = if shape == Shape::Alone { 300 } else { 1_500 };
        let next_ms = quiet_ms + random.below(2_000);
        Schedule {
            random,
            faults,
            nodes: shape.nodes(),
            hosts,
            next_ms,
        }
    }

    /// The fault that is due.
    pub(crate) fn due(&mut self, now_ms: u64) -> Option<Fault> {
        if now_ms < self.next_ms {
            return None;
        }
        // Often soon after the last one: a node that has just come back is the most delicate.
        let pause_ms = [300, 1_000, 2_000][self.random.below(3) as usize];
        self.next_ms = now_ms + 20 + self.random.below(pause_ms);
        self.draw()
    }

    fn below(&self, count: usize) -> usize {
        self.random.below(count as u64) as usize
    }

    fn draw(&self) -> Option<Fault> {
        let (random, faults) = (&self.random, &self.faults);
        let node = self.below(self.nodes);
        let for_ms = 20 + random.below(1_800);
        let (allowed, fault) = match random.below(20) {
            0..4 => (faults.power, self.end_now(node)),
            4..9 => {
                let changes = random.below(80);
                let end = self.end();
                (faults.power, Fault::EndAfter { node, changes, end })
            }
            9..11 => (faults.restarts, Fault::Restart { node }),
            11 if self.nodes > 1 => (faults.restarts, Fault::Roll),
            11..13 => {
                let between = (node, self.other(node));
                (faults.network, Fault::Hold { between, for_ms })
            }
            13..17 => (faults.network, self.cut(node, for_ms)),
            17 => {
                // Within half an hour, so that no producer is too old and no timestamp too new.
                let skew_ms = random.below(3_600_000) as i64 - 1_800_000;
                (faults.clock, Fault::Clock { node, skew_ms })
            }
            _ => {
                let room = random.below(30_000);
                (faults.full_disk, Fault::FillDisk { node, room, for_ms })
            }
        };
        allowed.then_some(fault)
    }

    /// One node, or now and then several, or all of them.
    fn end_now(&self, node: HostNumber) -> Fault {
        let nodes = match self.random.below(5) {
            0 => (0..self.nodes).collect(),
            1 => (0..self.nodes)
                .filter(|n| *n == node || self.random.below(2) == 0)
                .collect(),
            _ => vec![node],
        };
        let end = self.end();
        Fault::End { nodes, end }
    }

    fn other(&self, host: HostNumber) -> HostNumber {
        (host + 1 + self.below(self.hosts - 1)) % self.hosts
    }

    /// A link or a node, in one direction or both; halves of the cluster; or losses everywhere.
    fn cut(&self, node: HostNumber, for_ms: u64) -> Fault {
        let forth = |ways: &[(HostNumber, HostNumber)]| ways.to_vec();
        let both = |ways: &[(HostNumber, HostNumber)]| {
            let back = ways.iter().map(|(from, to)| (*to, *from));
            ways.iter().copied().chain(back).collect()
        };
        let back = |ways: &[(HostNumber, HostNumber)]| {
            let back = ways.iter().map(|(from, to)| (*to, *from));
            back.collect()
        };
        let link = [(node, self.other(node))];
        let peers: Vec<_> = (0..self.nodes)
            .filter(|n| *n != node)
            .map(|n| (node, n))
            .collect();
        let ways = match self.random.below(8) {
            _ if self.nodes == 1 => both(&link),
            0 => both(&link),
            1 => forth(&link),
            2 => both(&peers),
            3 => forth(&peers),
            4 => back(&peers),
            5 | 6 => both(&self.halves()),
            _ => {
                let per_mille = 1 + self.random.below(20);
                return Fault::Lose { per_mille, for_ms };
            }
        };
        Fault::Cut { ways, for_ms }
    }

    /// The links between two parts of all hosts, clients among them.
    fn halves(&self) -> Vec<(HostNumber, HostNumber)> {
        let side: Vec<bool> = (0..self.hosts).map(|_| self.random.below(2) == 0).collect();
        let across = |a: HostNumber| {
            let side = &side;
            let others = (a + 1..self.hosts).filter(move |b| side[a] != side[*b]);
            others.map(move |b| (a, b))
        };
        (0..self.hosts).flat_map(across).collect()
    }

    /// How long a node stays away.
    pub(crate) fn away_ms(&self) -> u64 {
        match self.random.below(4) {
            0 => 1,
            1 => self.random.below(100),
            2 if self.nodes > 1 => self.random.below(3_000),
            _ => self.random.below(700),
        }
    }

    fn end(&self) -> End {
        match self.random.below(2) {
            0 => End::Kill,
            _ => End::Power,
        }
    }

    /// Whether and how the node ends again while it comes back.
    pub(crate) fn ends_again_after(&self) -> Option<(u64, End)> {
        let again = self.faults.power && self.random.below(3) == 0;
        again.then(|| (self.random.below(25), self.end()))
    }
}
