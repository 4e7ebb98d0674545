//! ZooKeeper's frames, and the files of a real ZooKeeper.
#![no_main]

#[path = "../../crates/jute/tests/fuzz/jute.rs"]
mod jute;

libfuzzer_sys::fuzz_target!(|data: &[u8]| jute::body(data));
