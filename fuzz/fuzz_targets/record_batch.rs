//! Record batches from outside: split, validate, read, stamp and compress anew.
#![no_main]

#[path = "../../crates/record/tests/fuzz/record_batch.rs"]
mod record_batch;

libfuzzer_sys::fuzz_target!(|data: &[u8]| record_batch::body(data));
