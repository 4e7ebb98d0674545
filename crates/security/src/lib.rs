//! Who a client is, and what it may do, as pure rules and pure protocols: files with keys and
//! certificates ([`keys`]), the name in a certificate ([`distinguished_name`]), SASL
//! ([`digest_md5`]) and its users ([`jaas`]), the ids of ACLs ([`acl_digest`]), and how much of the
//! node a client may have ([`quota`]).
//!
//! Architecture invariant: no IO, no clock, no randomness, no locks. The time, and every random
//! number, is an argument.

pub mod acl_digest;
mod der;
pub mod digest_md5;
pub mod distinguished_name;
mod error;
pub mod jaas;
pub mod keys;
pub mod quota;

pub use error::Error;
