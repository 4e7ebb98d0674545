//! What is played: everything that a seed does not decide by itself.

use std::time::Duration;

use ottla_model::Sabotage;
use ottla_runtime::Random;

use crate::Lie;

/// Which faults may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// The power fails, between two ticks or in the middle of an operation of the disk.
    pub power: bool,
    /// Nodes are stopped in order and started again, alone or one after the other.
    pub restarts: bool,
    /// Messages are held back, or lost together with their connections, in both directions or one.
    pub network: bool,
    /// A node's wall clock jumps.
    pub clock: bool,
    /// A disk has no room for a while.
    pub full_disk: bool,
    /// Partitions move to other brokers, and leaders are elected by command.
    pub moves: bool,
}

impl Faults {
    /// All of them.
    pub const ALL: Faults = Faults {
        power: true,
        restarts: true,
        network: true,
        clock: true,
        full_disk: true,
        moves: true,
    };
    /// None.
    pub const NONE: Faults = Faults {
        power: false,
        restarts: false,
        network: false,
        clock: false,
        full_disk: false,
        moves: false,
    };
    /// Only restarts in order.
    pub const RESTARTS: Faults = Faults {
        restarts: true,
        ..Faults::NONE
    };
    /// Only power failures.
    pub const POWER: Faults = Faults {
        power: true,
        ..Faults::NONE
    };
}

/// Which nodes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One node that is a cluster of its own.
    Alone,
    /// Nodes that are controllers and brokers.
    Combined {
        /// How many.
        nodes: usize,
    },
    /// Nodes that are either.
    Separate {
        /// The first ones, which only vote.
        controllers: usize,
        /// The others, which only serve clients.
        brokers: usize,
    },
}

impl Shape {
    /// A cluster, as the seed wants it.
    #[must_use]
    pub fn cluster(seed: u64) -> Self {
        match Random::from_seed(seed ^ 0x0073_6861_7065).below(8) {
            0 => Shape::Combined { nodes: 5 },
            1 => Shape::Separate {
                controllers: 3,
                brokers: 3,
            },
            _ => Shape::Combined { nodes: 3 },
        }
    }

    /// The number of nodes.
    #[must_use]
    pub fn nodes(self) -> usize {
        match self {
            Shape::Alone => 1,
            Shape::Combined { nodes } => nodes,
            Shape::Separate {
                controllers,
                brokers,
            } => controllers + brokers,
        }
    }

    /// The number of nodes that serve clients.
    #[must_use]
    pub fn brokers(self) -> usize {
        match self {
            Shape::Separate { brokers, .. } => brokers,
            Shape::Alone | Shape::Combined { .. } => self.nodes(),
        }
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Decides everything else.
    pub seed: u64,
    /// Which nodes there are.
    pub shape: Shape,
    /// How long there are faults, in virtual time.
    pub chaos: Duration,
    /// Which ones.
    pub faults: Faults,
    /// Whether the disks are honest.
    pub lie: Lie,
    /// What the nodes do wrong on purpose, if anything.
    pub sabotage: Option<Sabotage>,
}

impl Scenario {
    /// All faults of one node on an honest disk.
    #[must_use]
    pub fn alone(seed: u64) -> Self {
        Scenario {
            seed,
            shape: Shape::Alone,
            chaos: Duration::from_secs(12),
            faults: Faults::ALL,
            lie: Lie::None,
            sabotage: None,
        }
    }

    /// All faults of a cluster on honest disks.
    #[must_use]
    pub fn cluster(seed: u64) -> Self {
        Scenario {
            shape: Shape::cluster(seed),
            ..Scenario::alone(seed)
        }
    }
}
