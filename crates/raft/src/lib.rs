//! A replicated state machine: a group of members agrees on a log of entries, and each applies them
//! to its own copy of the state.
//!
//! It is openraft with our own log, snapshots and messages, and nothing of openraft is seen from
//! outside. What the entries mean is the business of the [`StateMachine`], how requests get to other
//! members that of the [`Transport`].

mod async_runtime;
mod codec;
mod error;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod handle;
mod machine;
mod member;
mod network;
mod observer;
mod openraft_config;
mod options;
mod peers;
mod receive;
mod rpc;
mod service;
mod snapshot;
mod state;
mod state_machine;
mod store;
mod transport;
mod watch;

pub use error::{ChangeError, Error, ProposeError};
pub use handle::{Handle, Proposal};
pub use member::{Endpoint, Member, NodeId, Position};
pub use observer::Observer;
pub use options::Options;
pub use service::{Raft, Service};
pub use state::{Peer, State};
pub use state_machine::{Chunks, StateMachine, View};
pub use transport::{Transport, TransportError};
