//! A node's part in the metadata quorum: every node has one, be it a voter or a mere follower.
//!
//! ```text
//! command ─▶ router ──────────────▶ decider ─▶ raft log ─▶ machine: apply, publish ─▶ reply
//!              │ not the leader?      │ on the image that entries under way lead to
//!              └─▶ the leader's door ─┘
//!
//! <log dir>/meta.properties                  whose volume this is (identity)
//! <log dir>/__cluster_metadata-0/raft/       the raft log: the records of one decision an entry
//! ```
//!
//! | part | role |
//! |---|---|
//! | `start`, `discovery`, `joiner` | how a node finds its cluster, or founds one, and stays in it |
//! | `router` | the way of this node's commands to whoever decides, and back |
//! | `decider` | decides while this node is the leader; fences who is silent (`suspects`) |
//! | `questions` | what clients ask brokers about the quorum itself |
//! | `machine`, `entry`, `snapshot` | the metadata as raft's state machine |
//! | `door` | the controller's listener; one file an API |
//! | `membership` | voters and followers that come and go |
//! | `peers`, `transport` | connections to the other nodes |
//! | `old` | what a node had before there was a quorum |
//!
//! Architecture invariant: brokers do not know this crate. They hold the two ends that
//! [`Handle::caller`] and [`Handle::published`] give.

mod batch;
mod codec;
mod decider;
mod discovery;
mod door;
mod entry;
mod error;
#[cfg(test)]
mod fixture;
mod handle;
mod identity;
mod joiner;
mod machine;
mod members;
mod membership;
mod old;
mod peers;
mod questions;
mod quorum;
mod router;
mod rules;
mod snapshot;
mod start;
mod suspects;
mod transport;

pub use error::Error;
pub use handle::{Commands, Handle, Questions};
pub use identity::{DEFAULT_NODE_ID, Identity, IdentityOptions, META_PROPERTIES, Volume};
pub use questions::Answered;
pub use rules::DeclaredRules;
pub use start::{Options, start};
