//! A response, after its API key and version.
#![no_main]

#[path = "../../crates/wire/tests/fuzz/response.rs"]
mod response;

libfuzzer_sys::fuzz_target!(|data: &[u8]| response::body(data));
