//! Who takes part, and where in the log something stands.

use std::fmt;

use ottla_model::Uuid;

/// The id of a member: in a Kafka cluster, the node id.
pub type NodeId = u64;

/// Where a member can be reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Endpoint {
    /// The name of the listener (`CONTROLLER`).
    pub listener: String,
    /// A host name or an address; resolved anew for each connection.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// What the group knows of a member. It is part of the membership, so every member has the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// Where it can be reached, the preferred endpoint first.
    pub endpoints: Vec<Endpoint>,
    /// The id of the volume that holds its log (KIP-853). A member that comes back with an empty
    /// volume has another one, and is not taken for its old self.
    pub directory_id: Uuid,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.endpoints.first() {
            Some(endpoint) => write!(f, "{}:{}", endpoint.host, endpoint.port)?,
            None => f.write_str("no endpoint")?,
        }
        write!(f, " (directory {})", self.directory_id)
    }
}

/// An entry's place in the log. Two logs that have the same position hold the same entries up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The term of the leader that made the entry.
    pub term: u64,
    /// Counts entries from 0.
    pub index: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}
