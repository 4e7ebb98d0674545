//! What a node does when things go wrong: kills, full disks, damaged files, hostile peers, and
//! mistakes at its start. Each test has a process of its own, and looks at its log as a person
//! would who was called at night.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees no tests in the functions that tests share"
)]

mod damage;
mod full_disk;
mod harness;
mod input;
mod kill;
mod peers;
mod start;
mod stop;
