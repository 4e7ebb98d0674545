//! Whole groups in a simulation, with faults.

mod chaos;
mod elections;
mod journal;
mod members;
mod real;
mod service;
mod snapshots;
mod world;
