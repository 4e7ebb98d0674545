//! Sessions as they are replicated.

/// Who speaks for a session: which connection of which server. Each time a client attaches, the
/// server chooses another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The server's id.
    pub server: u64,
    /// The server's number of the attachment. It must differ from all earlier ones of this server
    /// that the session may have had, those before a restart included.
    pub attach: u64,
}

/// One session. That it is alive is known to the leader, and not part of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// What a client must know to attach.
    pub password: [u8; 16],
    /// The timeout that was agreed on, in ms.
    pub timeout_ms: i32,
    /// Who speaks for it.
    pub owner: Owner,
}
