//! Against a small broker in memory, behind real sockets.

mod admin;
mod clusters;
mod connecting;
mod node;
mod records;
