//! The replicated state of a ZooKeeper service as a pure state machine: the tree of nodes, the
//! sessions, ACLs, quotas; and, for each server, the watches of its clients.
//!
//! Commands go in, in the order of the replicated log; a reply and a list of changes come out.
//! Everything is decided when a command is applied, not when it is proposed: each member does the
//! same checks on the same state and comes to the same end. The time comes with the command.
//!
//! ```text
//!   client's request ──▶ Command ──▶ Entry ──▶ log ──▶ State::apply ──▶ Outcome ──▶ reply
//!                                                                          └─ changes ──▶ Watches ──▶ events
//!   client's read ──────────────────────────────────▶ State::answer
//!                                                     State::view ──▶ chunks ──▶ State::restore
//!                                                          └─ a snapshot as ZooKeeper's ──▶ Import
//! ```
//!
//! The behaviour is that of ZooKeeper 3.9: which error comes first, how versions and numbers of
//! sequential nodes count, what a stat says, which watch sees which event (`PrepRequestProcessor`,
//! `DataTree`, `FinalRequestProcessor`, `WatchManager`). Where it differs:
//! - The number of a sequential node goes on from 2147483647 to -2147483648, as ZooKeeper's manual
//!   says it does.
//! - A client's `deleteContainer` needs the permission that a `delete` needs.
//! - `createTTL` without a time to live is `BADARGUMENTS` (there it ends the server).
//! - Quota numbers that cannot be read are left alone (there they end the server).
//! - Children are listed in the order of their creation (there in no order).
//!
//! Architecture invariant: no IO, no clock, no randomness, no tasks. The same commands give the
//! same state, replies and changes.

mod acl;
mod acl_table;
mod apply;
mod command;
mod commit;
mod decide;
mod digest;
mod error;
mod import;
mod incoming;
mod kind;
mod node;
mod outcome;
mod pages;
mod path;
mod quota;
mod read;
mod restore;
mod rules;
mod session;
mod state;
mod tree;
mod view;
mod watches;

pub use acl::{allows, client_info};
pub use command::{Closing, Command, Entry, Operation, Requester};
pub use error::Error;
pub use import::Import;
pub use kind::{Kind, TTL_MS_MAX};
pub use outcome::{Change, ChangeKind, Outcome, Reply};
pub use path::{CONFIG_PATH, is_valid as is_valid_path};
pub use read::{Access, ChildNames};
pub use restore::Restorer;
pub use rules::Rules;
pub use session::{Owner, Session};
pub use state::State;
pub use view::{Chunks, View, ZooKeeperSnapshot};
pub use watches::{Fired, WatchMode, WatchSummary, Watches};
