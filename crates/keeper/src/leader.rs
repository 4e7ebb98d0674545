//! What the leader does for all: it puts commands into the log, and ends sessions that are silent.

pub(crate) mod desk;
pub(crate) mod liveness;
pub(crate) mod reaper;
