//! What stands in the raft log: the commands that came together.
//!
//! ```text
//! term u64 │ entry of `znode`: rules, the leader's time, command, command, …
//! ```
//!
//! An entry names the term in which it was proposed: one that lands in the log of another term is
//! skipped, by all members alike, because whoever waited for it was told that it is lost.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla_znode::{Command, Entry, Rules};

const TERM_LEN: usize = 8;

/// Commands one after the other, as they are sent to the leader and stand in an entry.
#[derive(Debug, Default)]
pub(crate) struct Commands(BytesMut);

impl Commands {
    /// Adds a command.
    pub(crate) fn push(&mut self, command: &Command) {
        command.encode(&mut self.0);
    }

    /// Adds what another server has put together.
    pub(crate) fn extend(&mut self, commands: &[u8]) {
        self.0.extend_from_slice(commands);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes all of them out.
    pub(crate) fn take(&mut self) -> Bytes {
        self.0.split().freeze()
    }
}

/// The entry of these commands.
pub(crate) fn encode(term: u64, rules: Rules, now_ms: i64, commands: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(2 * TERM_LEN + TERM_LEN + commands.len());
    out.put_u64(term);
    Entry::begin(&mut out, rules, now_ms);
    out.put_slice(commands);
    out.freeze()
}

/// The term of an entry, and what it carries.
pub(crate) fn decode(entry: &[u8]) -> Result<(u64, Entry), String> {
    let Some((mut term, _)) = entry.split_at_checked(TERM_LEN) else {
        return Err(format!("an entry of {} bytes is too short", entry.len()));
    };
    // Data share the memory of the copy, and are copied once more, into the tree.
    let body = Bytes::copy_from_slice(&entry[TERM_LEN..]);
    let body = Entry::decode(&body).map_err(|error| error.to_string())?;
    Ok((term.get_u64(), body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_znode::Closing;

    #[test]
    fn commands_come_back_in_their_order() {
        let close = |session: i64| Command::CloseSession {
            session,
            owner: None,
            closing: Closing::Expired,
        };
        let mut commands = Commands::default();
        (0..5).for_each(|session| commands.push(&close(session)));
        let all = commands.take();
        assert!(commands.is_empty());
        let (term, entry) = decode(&encode(7, Rules::default(), -1, &all)).unwrap();
        assert_eq!((term, entry.now_ms), (7, -1));
        assert_eq!(entry.commands, (0..5).map(close).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_entry_is_an_error() {
        assert!(decode(&[]).is_err());
        assert!(decode(&[0; TERM_LEN]).is_err());
        assert!(decode(&[9; 40]).unwrap_err().contains("version 9"));
    }
}
