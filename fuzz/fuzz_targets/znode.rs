//! Entries of the keeper's log, and its snapshots.
#![no_main]

#[path = "../../crates/znode/tests/fuzz/znode.rs"]
mod znode;

libfuzzer_sys::fuzz_target!(|data: &[u8]| znode::body(data));
