//! Messages between members of a raft group, and the files of its log.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ottla_raft::fuzz::body(data));
