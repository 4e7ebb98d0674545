//! Clients' connections: from the first byte to the last.
//!
//! ```text
//! accept ─▶ serve: four-letter word, or handshake ─▶ requests ─▶ reads: replies at once
//!                                                             └▶ writes: outbox … machine ─▶ replies
//! ```

pub(crate) mod accept;
pub(crate) mod auth;
pub(crate) mod connection;
pub(crate) mod figures;
pub(crate) mod handshake;
pub(crate) mod replies;
pub(crate) mod requests;
pub(crate) mod serve;
