//! Compaction: of each key only the last record stays (`cleanup.policy=compact`).
//!
//! ```text
//!            clean                    dirty                not cleanable
//!  [ 0 ....... ][ 1000 .... ][ 1200 ....... ][ 1900 .. ][ 2400 .........
//!                            ▲ first dirty offset       ▲ active segment, last stable offset,
//!                                                         or within min.compaction.lag.ms
//!  1. the dirty section's keys and their last offsets go into a map of bounded size
//!  2. all segments up to the mapped offset are read; what a later record replaces is left out
//!  3. each group of segments is replaced by one new segment
//! ```
//!
//! | step | on disk | after a crash |
//! |---|---|---|
//! | write the new segment | `.cleaned` files | they are removed |
//! | rename its indexes, flush the folder | `.index.swap`, `.timeindex.swap`, `.txnindex.swap` | without a `.log.swap` they are removed |
//! | rename the log, flush the folder | `.log.swap` | **from here on the swap is completed** |
//! | remove the replaced segments, flush the folder | | completed |
//! | rename indexes, then the log, flush the folder | `.log` | done |
//! | write `cleaner-offset-checkpoint` | | at worst the same is cleaned once more |
//!
//! Offsets, batches' base and last offsets, sequences and timestamps never change. The reading and
//! writing happens away from the log's owner, which only makes the swap; readers go on with the
//! segments that they hold.
//!
//! Architecture invariant: nothing at or above the last stable offset, in the active segment, or
//! within the lag is touched; bytes whose CRC is wrong are never copied.

mod filter;
mod hash;
mod job;
mod offset_map;
mod options;
mod output;
mod pick;
mod reader;
mod service;
mod sizes;
mod state;
mod swap;
mod throttle;
mod transactions;

pub use options::CleanerOptions;
pub use service::{Cleaned, Cleaner, CleanerHandle};

pub(crate) use state::CleanState;
pub(crate) use swap::complete_swaps;
