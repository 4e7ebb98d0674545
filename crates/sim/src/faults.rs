//! What happens to the node, and when.

use ottla_runtime::Random;

use crate::Faults;
use crate::disk::End;

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The node ends now.
    Ends { end: End },
    /// The node ends after so many more changes of the disk.
    EndsAfter { changes: u64, end: End },
    /// The node is told to stop.
    Restart,
    /// Messages between the node and a host wait.
    Hold { host: &'static str, for_ms: u64 },
    /// Messages between the node and a host are lost.
    Partition { host: &'static str, for_ms: u64 },
    /// The node's wall clock is that far from the true time.
    Clock { skew_ms: i64 },
    /// The disk has room for only so many more bytes.
    FullDisk { room: u64, for_ms: u64 },
}

/// The next faults, drawn from the seed.
pub(crate) struct Schedule {
    random: Random,
    faults: Faults,
    next_ms: u64,
}

/// The hosts that a network fault can cut off.
pub(crate) const HOSTS: [&str; 2] = ["writers", "readers"];

impl Schedule {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let random = Random::from_seed(seed ^ 0x6661_756c_7473);
        let next_ms = 300 + random.below(2_000);
        Schedule {
            random,
            faults,
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

    fn draw(&self) -> Option<Fault> {
        let (random, faults) = (&self.random, &self.faults);
        let host = HOSTS[random.below(2) as usize];
        let for_ms = 20 + random.below(1_800);
        let (allowed, fault) = match random.below(18) {
            0..4 => (faults.power, Fault::Ends { end: self.end() }),
            4..10 => {
                let changes = random.below(80);
                let end = self.end();
                (faults.power, Fault::EndsAfter { changes, end })
            }
            10..12 => (faults.restarts, Fault::Restart),
            12..14 => (faults.network, Fault::Hold { host, for_ms }),
            14 => (faults.network, Fault::Partition { host, for_ms }),
            15 => {
                // Within half an hour, so that no producer is too old and no timestamp too new.
                let skew_ms = random.below(3_600_000) as i64 - 1_800_000;
                (faults.clock, Fault::Clock { skew_ms })
            }
            _ => {
                let room = random.below(30_000);
                (faults.full_disk, Fault::FullDisk { room, for_ms })
            }
        };
        allowed.then_some(fault)
    }

    /// How long the node stays away.
    pub(crate) fn away_ms(&self) -> u64 {
        match self.random.below(3) {
            0 => 1,
            1 => self.random.below(100),
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
