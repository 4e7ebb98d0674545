//! What clients may do, as pure rules: for now, how much of it ([`quota`]).
//!
//! Architecture invariant: no IO, no clock, no randomness, no locks. The time is an argument.

pub mod quota;
