//! Clients of ZooKeeper's protocol that see every frame: for measuring servers of it, comparing them,
//! and judging them under faults. They follow no redirection, hide no loss and repeat nothing.
//!
//! [`Connection`] does one thing after the other; [`Load`] keeps many requests of many connections
//! under way at little cost.

mod connection;
pub mod differential;
mod load;

pub use connection::{Answer, Connection, Frame, Opened, Received, Session};
pub use load::{Load, Ran, Source, Until};
