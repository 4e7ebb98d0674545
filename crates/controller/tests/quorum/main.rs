//! Several nodes that keep one metadata quorum, over loopback, on disks that forget what was not
//! flushed.

mod finding;
mod harness;
mod losing;
mod membership;
