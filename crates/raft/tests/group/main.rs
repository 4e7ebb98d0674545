//! Whole groups in a simulation, with faults.

mod elections;
mod journal;
mod world;
