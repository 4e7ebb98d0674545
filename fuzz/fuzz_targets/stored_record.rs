//! Any message of the schema, and metadata records in their frame.
#![no_main]

#[path = "../../crates/wire/tests/fuzz/stored_record.rs"]
mod stored_record;

libfuzzer_sys::fuzz_target!(|data: &[u8]| stored_record::body(data));
