//! What a server tells of itself.
//!
//! ```text
//! requests, commands ─▶ meters (atomics) ─┐
//! raft ─▶ observer ───────────────────────┤
//! tree, watches, connections ─────────────┴▶ Reading ─▶ mntr, srvr, stat │ /commands/* │ /metrics
//! ```
//!
//! The names and their order are those of ZooKeeper 3.9 (`table`).

pub(crate) mod connections;
pub(crate) mod dates;
pub(crate) mod digests;
pub(crate) mod directories;
pub(crate) mod elections;
pub(crate) mod ensemble;
pub(crate) mod environment;
mod meter;
mod meters;
pub(crate) mod moments;
mod observer;
mod prometheus;
pub(crate) mod reading;
pub(crate) mod sessions;
mod table;
pub(crate) mod version;
pub(crate) mod watches;

pub use meter::{SizesRead, SummaryRead};
pub use prometheus::Dialect;
pub use reading::{Detail, Metric, Number, Reading, ServerState, Unit, Value};

pub(crate) use meter::micros;
pub(crate) use meters::Meters;
pub(crate) use observer::RaftObserver;
