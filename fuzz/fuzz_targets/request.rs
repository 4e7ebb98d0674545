//! A request, header and body.
#![no_main]

#[path = "../../crates/wire/tests/fuzz/request.rs"]
mod request;

libfuzzer_sys::fuzz_target!(|data: &[u8]| request::body(data));
