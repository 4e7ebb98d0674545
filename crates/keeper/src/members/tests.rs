//! Whole ensembles in one process: over loopback, and in a simulation.

mod door;
mod ensemble;
mod forwarding;
mod secured;
mod simulation;
mod world;
