//! Partitions on several brokers: followers fetch, leaders ask for other replicas in sync.
//!
//! ```text
//! reconcile ── Turn ──▶ Fetchers ──▶ Fetcher (one task a leader and connection) ── Fetch ──▶ leader
//!                                        └─▶ the log: cut, append, high watermark
//! handlers/fetch ─▶ Partition::fetched ─▶ propose ─▶ Isr (one task) ── AlterPartition ──▶ controller
//! ```

mod counts;
mod fetcher;
mod fetchers;
mod incoming;
mod isr;
mod session;
mod throttle;

pub use counts::ReplicationCounts;
pub(crate) use fetchers::Fetchers;
pub(crate) use isr::{Isr, IsrTask};
pub(crate) use throttle::{Side, Throttle};
