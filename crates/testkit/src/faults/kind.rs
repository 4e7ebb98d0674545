//! The kinds of faults, and what each needs.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, anyhow};

use crate::cluster::Ability;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SIGKILL, and a start after a while.
    Kill,
    /// SIGKILL to all nodes at once.
    KillAll,
    /// SIGTERM, and a start after a while.
    Stop,
    /// SIGTERM and a start of each node in turn.
    Rolling,
    /// SIGSTOP, and SIGCONT after a while.
    Pause,
    /// A node and the other nodes do not hear each other; clients reach all of them.
    CutPeers,
    /// A node hears nobody, and nobody hears it.
    CutAll,
    /// Two nodes do not hear each other; the others hear both.
    CutLink,
    /// The nodes fall into two halves; clients reach both.
    Halves,
    /// No node hears any other: nobody has a majority. Clients reach all of them.
    Shatter,
    /// A node hears none of the others, and they hear it.
    Deaf,
    /// A node is heard by none of the others, and hears them.
    Mute,
    /// A node's packets get lost, many of them.
    Lossy,
    /// A node's packets are late.
    SlowNetwork,
    /// A node's flushes take long.
    SlowDisk,
    /// A node's disk has no byte left.
    FullDisk,
    /// A node's clock jumps away, and back.
    Clock,
    /// Replicas move to other nodes, and a node is killed in the middle of it.
    Move,
    /// A voter leaves the metadata quorum, and comes back after a while.
    Voter,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 19] = [
        Kind::Kill,
        Kind::KillAll,
        Kind::Stop,
        Kind::Rolling,
        Kind::Pause,
        Kind::CutPeers,
        Kind::CutAll,
        Kind::CutLink,
        Kind::Halves,
        Kind::Shatter,
        Kind::Deaf,
        Kind::Mute,
        Kind::Lossy,
        Kind::SlowNetwork,
        Kind::SlowDisk,
        Kind::FullDisk,
        Kind::Clock,
        Kind::Move,
        Kind::Voter,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kill => "kill",
            Kind::KillAll => "kill-all",
            Kind::Stop => "stop",
            Kind::Rolling => "rolling",
            Kind::Pause => "pause",
            Kind::CutPeers => "cut-peers",
            Kind::CutAll => "cut-all",
            Kind::CutLink => "cut-link",
            Kind::Halves => "halves",
            Kind::Shatter => "shatter",
            Kind::Deaf => "deaf",
            Kind::Mute => "mute",
            Kind::Lossy => "lossy",
            Kind::SlowNetwork => "slow-network",
            Kind::SlowDisk => "slow-disk",
            Kind::FullDisk => "full-disk",
            Kind::Clock => "clock",
            Kind::Move => "move",
            Kind::Voter => "voter",
        }
    }

    /// Whether it hits all nodes alike.
    pub fn hits_all(self) -> bool {
        matches!(self, Kind::KillAll | Kind::Rolling | Kind::Shatter)
    }

    /// Whether nodes live on meanwhile, but may not hear what the others have decided.
    pub fn keeps_news_away(self) -> bool {
        !matches!(
            self,
            Kind::Kill | Kind::KillAll | Kind::Stop | Kind::Rolling
        )
    }

    /// What the machine must be able to do for it.
    pub fn needs(self) -> Option<Ability> {
        match self {
            Kind::Kill | Kind::KillAll | Kind::Stop | Kind::Rolling | Kind::Pause => None,
            Kind::SlowDisk => Some(Ability::SlowFlushes),
            Kind::FullDisk => Some(Ability::FullDisk),
            Kind::Clock => Some(Ability::Clocks),
            Kind::Move | Kind::Voter => Some(Ability::Orders),
            _ => Some(Ability::Links),
        }
    }

    /// The shortest and the longest that it lasts, in milliseconds: sometimes less than it takes to
    /// notice, sometimes more.
    pub(super) fn lasts_ms(self) -> (u64, u64) {
        match self {
            Kind::Rolling => (0, 0),
            Kind::Kill | Kind::KillAll | Kind::Stop | Kind::Move => (0, 5000),
            _ => (1000, 9000),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Kind> {
        let known = Kind::ALL.iter().find(|kind| kind.name() == name).copied();
        known.ok_or_else(|| {
            let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            anyhow!("there is no fault {name:?}; there are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_again() {
        assert!(
            Kind::ALL
                .iter()
                .all(|kind| kind.name().parse::<Kind>().unwrap() == *kind)
        );
        assert!(
            "bad"
                .parse::<Kind>()
                .unwrap_err()
                .to_string()
                .contains("kill-all")
        );
    }
}
