//! The header of a request.
#![no_main]

#[path = "../../crates/wire/tests/fuzz/header.rs"]
mod header;

libfuzzer_sys::fuzz_target!(|data: &[u8]| header::body(data));
