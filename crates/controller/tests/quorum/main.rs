//! Several nodes that keep one metadata quorum, over loopback, on disks that forget what was not
//! flushed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod finding;
mod harness;
mod losing;
mod membership;
