//! Consumer groups of the new protocol (KIP-848): the coordinator assigns, members follow.
//!
//! A member sends heartbeats and nothing else. Three things happen in each, and each is a record:
//!
//! ```text
//!   1. subscriptions or topics changed ──▶ the group epoch goes up
//!   2. group epoch > assignment epoch  ──▶ a target assignment for all members is computed
//!   3. member epoch < assignment epoch ──▶ the member is reconciled, step by step:
//!
//!        Stable ── must give up partitions ──▶ UnrevokedPartitions ── gave them up ──┐
//!          ▲                                                                         │
//!          └── all of its target ◀── UnreleasedPartitions ◀── others hold some ──────┤
//!          └────────────────────────────── all are free ◀────────────────────────────┘
//! ```
//!
//! A partition is given to a member only once nobody else has it, so no two members ever own the
//! same one.
//!
//! # Changes and the log
//! A [`ConsumerGroup`](group::ConsumerGroup) is a set of keyed values, just like its records. An
//! operation applies its records at once and remembers what they replaced ([`edit`]); nobody hears
//! of it before the records are durable, and if they cannot be written, it is undone. While an
//! append is on its way, further operations of the same group wait in its [lane](lane), and are
//! then carried out together, with one append.

pub(crate) mod assignor;
mod classic;
pub(crate) mod cluster;
pub(crate) mod commit;
mod describe;
pub(crate) mod edit;
pub(crate) mod embedded;
mod fence;
pub(crate) mod group;
mod hash;
mod heartbeat;
pub(crate) mod lane;
pub(crate) mod member;
mod membership;
mod migrate;
pub(crate) mod options;
mod reconcile;
pub(crate) mod records;
pub(crate) mod regex;
mod replay;
pub(crate) mod request;
mod target;
