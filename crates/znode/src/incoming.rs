//! A state on its way in, to replace this one: a backup that is restored.
//!
//! ```text
//!   part 0, part 1, …  kept aside, part of the state and of its snapshots; nobody sees them
//!   end                all parts are there, and they are a whole state: it takes this one's place
//! ```
//!
//! The parts are those of [`crate::View::chunks`], cut once more where a piece of data is large. A part
//! 0 begins anew, whatever was there; a part that does not fit the one before it ends everything.
//!
//! What stays of the old state: the members of the ensemble (`/zookeeper/config`), and the numbers of
//! changes, which do not go back. The sessions of the old state end. Those of the new one come with it,
//! unless the old state has the same: its client has seen what is no more, and begins anew.

use bytes::Bytes;
use ottla_jute::ErrorCode;

use crate::digest;
use crate::outcome::Reply;
use crate::path;
use crate::restore::Restorer;
use crate::state::State;

/// Parts that nobody has followed up for so long are dropped.
const PATIENCE_MS: i64 = 60_000;

/// What has come so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) restore: u64,
    /// When the last part came.
    pub(crate) last_ms: i64,
    pub(crate) parts: Vec<Part>,
    /// Over all parts.
    hash: u64,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Whether it is the last one of its chunk.
    pub(crate) ends: bool,
    pub(crate) bytes: Bytes,
}

impl Incoming {
    pub(crate) fn new(restore: u64, last_ms: i64) -> Self {
        Incoming {
            restore,
            last_ms,
            parts: Vec::new(),
            hash: 0,
        }
    }

    pub(crate) fn push(&mut self, part: Part) {
        self.hash = digest::part(self.hash, part.ends, &part.bytes);
        self.parts.push(part);
    }

    /// Its term in the digest of the state.
    pub(crate) fn digest(&self) -> u64 {
        digest::incoming(
            self.restore,
            self.last_ms,
            self.parts.len() as u64,
            self.hash,
        )
    }

    pub(crate) fn is_stale(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.last_ms) > PATIENCE_MS
    }

    /// The state that the parts are.
    fn build(&self) -> Option<State> {
        let mut restorer = Restorer::default();
        let mut begun = Vec::new();
        for part in &self.parts {
            if !part.ends {
                begun.extend_from_slice(&part.bytes);
            } else if begun.is_empty() {
                restorer.push(&part.bytes).ok()?;
            } else {
                begun.extend_from_slice(&part.bytes);
                restorer.push(&begun).ok()?;
                begun.clear();
            }
        }
        restorer.finish().ok().filter(|_| begun.is_empty())
    }
}

impl State {
    /// Whether there is nothing but what a new service has; sessions do not count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tree.count() == State::new().tree.count()
    }

    /// Takes a part. An error means that the parts so far are of no use.
    pub(crate) fn take_part(
        &mut self,
        restore: u64,
        number: u32,
        part: Part,
        now_ms: i64,
    ) -> Result<Reply, ErrorCode> {
        if number == 0 {
            self.incoming = Some(Incoming::new(restore, now_ms));
        }
        let incoming = self.incoming.as_mut();
        let incoming = incoming.filter(|incoming| incoming.restore == restore);
        let incoming = incoming.ok_or(ErrorCode::BadVersion)?;
        if incoming.parts.len() != number as usize {
            self.incoming = None;
            return Err(ErrorCode::BadVersion);
        }
        incoming.last_ms = now_ms;
        incoming.push(part);
        Ok(Reply::PartTaken)
    }

    /// All parts have come: they become the state, or are dropped.
    pub(crate) fn end_restore(
        &mut self,
        restore: u64,
        parts: u32,
        digest: u64,
        only_if_empty: bool,
    ) -> Result<Reply, ErrorCode> {
        let is_this = |incoming: &mut Incoming| incoming.restore == restore;
        let incoming = self.incoming.take_if(is_this);
        let incoming = incoming.ok_or(ErrorCode::BadVersion)?;
        if incoming.parts.len() != parts as usize {
            return Err(ErrorCode::BadVersion);
        }
        if only_if_empty && !self.is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        let new = incoming.build().filter(|new| new.digest() == digest);
        self.replace(new.ok_or(ErrorCode::MarshallingError)?);
        Ok(Reply::Restored)
    }

    /// Drops the parts of a restore.
    pub(crate) fn abort_restore(&mut self, restore: u64) {
        self.incoming
            .take_if(|incoming| incoming.restore == restore);
    }

    /// Drops the state for a new one, but for what stays.
    fn replace(&mut self, mut new: State) {
        new.incoming = None;
        new.last_zxid = new.last_zxid.max(self.last_zxid);
        for session in self.sessions.keys() {
            if new.session(*session).is_some() {
                new.delete_ephemerals(*session, new.last_zxid);
                new.remove_session(*session);
            }
        }
        let both = (
            self.tree.find(path::CONFIG_PATH),
            new.tree.find(path::CONFIG_PATH),
        );
        if let (Some(from), Some(to)) = both {
            let config = self.tree.node(from);
            new.tree.set_data(to, config.data());
            new.tree.set_acl(to, self.tree.acl(config));
            new.tree
                .change(to, |node| node.set_persisted(&config.persisted()));
        }
        *self = new;
    }
}
