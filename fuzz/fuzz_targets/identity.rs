//! What strangers say about themselves before they are let in.
#![no_main]

#[path = "../../crates/security/tests/fuzz/identity.rs"]
mod identity;

libfuzzer_sys::fuzz_target!(|data: &[u8]| identity::body(data));
