//! The protocol and the files of ZooKeeper, as bytes and back.
#![allow(clippy::unwrap_used, reason = "tests")]

mod any;
mod files;
mod fuzzing;
mod golden;
mod round_trip;
