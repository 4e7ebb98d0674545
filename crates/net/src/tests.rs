//! Real loopback connections against a scripted dispatch.

mod exchange;
mod harness;
mod hostile;
mod stopping;
