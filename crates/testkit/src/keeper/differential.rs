//! The same operations on two servers of ZooKeeper's protocol, one after the other, with everything that
//! can be seen compared: replies and their errors, stats, events and their order, connections that end.
//!
//! ```text
//!   Dice ─▶ Generator ─▶ Step ─┬▶ Side a ─▶ Seen ─┐
//!               ▲              └▶ Side b ─▶ Seen ─┴▶ Likeness ─▶ Difference, or on with the next
//!               └──── what a answered: paths, versions, which connections are open
//! ```
//!
//! What may differ is told apart by its kind ([`Value`]): transactions must be in the same order, sessions
//! must be the same ones under other numbers, and times are left out. What happens by itself after a
//! while (containers, nodes with a time to live) is kept from happening.

mod generate;
mod likeness;
mod pools;
mod seen;
mod side;
mod step;

use std::fmt;
use std::net::SocketAddr;

use anyhow::Result;

pub use generate::Generator;
pub use likeness::Likeness;
pub use seen::{Field, Seen, Value};
pub use side::{Drain, Side};
pub use step::{CLIENTS, Since, Step};

/// A step after which two servers are not alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The step, by its place.
    pub at: usize,
    /// What it was, without its particulars: the same for the same cause, mostly.
    pub kind: String,
    /// Which field, and both its values.
    pub what: String,
    /// All that was seen on one side.
    pub left: Seen,
    /// All that was seen on the other.
    pub right: Seen,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "step {}: {}", self.at, self.what)?;
        write!(f, "  left:\n{}  right:\n{}", self.left, self.right)
    }
}

/// Two servers, or ensembles, that get the same steps.
#[derive(Debug)]
pub struct Pair {
    left: Side,
    right: Side,
    likeness: Likeness,
    done: usize,
}

impl Pair {
    /// Begins on servers that are in the same state.
    pub fn of(left: &[SocketAddr], right: &[SocketAddr], drain: Drain) -> Pair {
        Pair {
            left: Side::of(left, drain),
            right: Side::of(right, drain),
            likeness: Likeness::default(),
            done: 0,
        }
    }

    /// What choices may depend on; both sides have the same, or there was a difference.
    pub fn left(&self) -> &Side {
        &self.left
    }

    /// One step on both; what the first one showed, or how they differ.
    pub fn step(&mut self, step: &Step) -> Result<Result<Seen, Box<Difference>>> {
        let left = self.left.carry_out(step)?;
        let right = self.right.carry_out(step)?;
        let at = self.done;
        self.done += 1;
        Ok(match self.likeness.compare(&left, &right) {
            None => Ok(left),
            Some(what) => Err(Box::new(Difference {
                at,
                kind: format!("{}: {}", step.kind(), what.field),
                what: what.to_string(),
                left,
                right,
            })),
        })
    }
}
