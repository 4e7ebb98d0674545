//! Consumer groups of the new protocol from outside.

mod harness;

mod commits;
mod members;
mod migration;
mod properties;
