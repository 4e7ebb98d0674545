//! What is played: everything that a seed does not decide by itself.

use std::time::Duration;

use crate::Lie;

/// Which faults may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// The power fails, between two ticks or in the middle of an operation of the disk.
    pub power: bool,
    /// The node is stopped in order and started again.
    pub restarts: bool,
    /// Messages are held back, or lost together with their connections.
    pub network: bool,
    /// The node's wall clock jumps.
    pub clock: bool,
    /// The disk has no room for a while.
    pub full_disk: bool,
}

impl Faults {
    /// All of them.
    pub const ALL: Faults = Faults {
        power: true,
        restarts: true,
        network: true,
        clock: true,
        full_disk: true,
    };
    /// Only restarts in order.
    pub const RESTARTS: Faults = Faults {
        power: false,
        restarts: true,
        network: false,
        clock: false,
        full_disk: false,
    };
    /// Only power failures.
    pub const POWER: Faults = Faults {
        power: true,
        restarts: false,
        ..Faults::RESTARTS
    };
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Decides everything else.
    pub seed: u64,
    /// How long there are faults, in virtual time.
    pub chaos: Duration,
    /// Which ones.
    pub faults: Faults,
    /// Whether the disk is honest.
    pub lie: Lie,
}

impl Scenario {
    /// All faults on an honest disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Scenario {
            seed,
            chaos: Duration::from_secs(12),
            faults: Faults::ALL,
            lie: Lie::None,
        }
    }
}
