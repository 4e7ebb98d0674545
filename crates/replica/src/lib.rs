//! What one partition's replicas decide, without anything that would carry it out.
//!
//! ```text
//! leader     follower fetched ─┐                ┌─▶ the replicated offset (moves the high watermark)
//!            controller said ──┼─▶ LeaderState ─┤
//!            time passed ──────┘                └─▶ a Proposal: other in-sync replicas
//!
//! follower   the leader's log parts from mine ─▶ truncation_offset ─▶ where to cut
//! ```
//!
//! The high watermark is what every replica in sync has on disk. The leader counts those in sync
//! whom the controller has named, and those whom it has proposed: so a record is committed only
//! when every leader that could be elected has it, whether the proposal is accepted or not.
//!
//! Architecture invariant: no IO, no clock, no locks. Time comes in as milliseconds of a clock that
//! never goes back.

mod follower;
mod leader;

pub use follower::{EpochEnd, truncation_offset};
pub use leader::{
    Follower, InSync, LeaderState, Membership, Proposal, ProposalOutcome, UNKNOWN_OFFSET,
};
