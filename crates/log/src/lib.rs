//! Partitions on disk: segments, indexes, recovery, retention, in Kafka's own layout.
//!
//! ```text
//!            Log (handle) ── append ─▶ queue ─▶ Owner ─▶ segment files
//!              │    │                             │
//!              │    └─ read ◀── tail cache ◀──────┤ newest batches
//!              │         ◀───── segments ◀────────┤ snapshot of the list
//!              └─ watch ◀────── offsets ◀─────────┘ after the flush
//! ```
//!
//! A produce goes [`Log::append`] → `owner` (one job at a time) → `append` (judge, stamp, write) →
//! flush → offsets published → [`AppendFuture`] resolves. A fetch asks [`Log::try_read_cached`], and
//! [`Log::read_blocking`] where memory does not have it.
//!
//! Transactional records come with a [`VerificationGuard`], or to a transaction that is open here
//! already; [`Append::transaction_marker`] ends it. What is not decided keeps the last stable offset
//! back, and what was aborted is told to whoever reads [`UpTo::LastStable`].
//!
//! Architecture invariant: what was acknowledged is on disk (unless the configuration says
//! otherwise), offsets never go back, no byte is served whose CRC was not checked on the way in or
//! on the way from disk, and no network task ever waits for the disk.

mod aborted;
mod append;
mod checkpoint;
mod checkpoints;
mod clean;
mod core;
mod dir;
mod epochs;
mod error;
mod follow;
mod handles;
mod housekeeping;
mod index;
mod layout;
mod log;
mod options;
mod owner;
mod probe;
mod producer_snapshot;
mod producer_state;
mod progress;
mod read;
mod recovery;
mod replay;
mod retention;
mod roll;
mod room;
mod segment;
mod tail_cache;
mod transactions;
mod truncate;
mod verification;
mod walk;

pub use crate::core::LogOffsets;
pub use append::{Appended, UNKNOWN_OFFSET};
pub use clean::{Cleaned, Cleaner, CleanerHandle, CleanerOptions};
pub use dir::{LogDir, RecoveryReport};
pub use error::{AppendError, Error};
pub use housekeeping::Housekeeping;
pub use log::{AppendFuture, Log, OffsetWatch, SegmentInfo};
pub use options::{Append, LogConfig, LogDirOptions, Origin, Wait};
pub use probe::{Probe, SYNC_TIME_BOUNDS_US};
pub use producer_state::{ProducerEntry, RememberedBatch};
pub use progress::RecoveryProgress;
pub use read::{ReadResult, TimestampOffset, UpTo};
pub use transactions::{AbortedTransaction, OpenTransaction, TransactionMarker};
pub use verification::{Verification, VerificationGuard};
