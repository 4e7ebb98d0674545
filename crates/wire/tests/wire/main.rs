//! Properties of the codec over the whole schema.

// Tests may unwrap, and so may the functions that they share.
#![allow(clippy::unwrap_used)]

mod differential;
mod fuzzing;
mod golden;
mod hostile;
mod internal;
mod registry;
mod round_trip;
mod schema_language;
mod versions;
mod zero_copy;

// The build script's parser, which has no tests where it lives. It looks for `schema` beside it.
#[path = "../../build/parse.rs"]
#[allow(dead_code)]
mod parse;
#[path = "../../build/schema.rs"]
#[allow(dead_code)]
mod schema;
