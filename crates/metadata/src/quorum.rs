//! Who keeps the metadata.

use ottla_model::{BrokerId, LeaderEpoch, Uuid};

/// The metadata quorum, as its leader knows it (KIP-595). How far it is, the image says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// The node that decides.
    pub leader_id: BrokerId,
    /// Its term.
    pub leader_epoch: LeaderEpoch,
    /// Those that elect it and have all records, in the order of their ids.
    pub voters: Vec<Voter>,
}

/// A member of the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// The node.
    pub id: BrokerId,
    /// The folder in which it keeps the metadata (KIP-853).
    pub directory_id: Uuid,
}
