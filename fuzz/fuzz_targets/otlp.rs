//! Metrics that a client pushes.
#![no_main]

#[path = "../../crates/wire/tests/fuzz/otlp.rs"]
mod otlp;

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlp::body(data));
