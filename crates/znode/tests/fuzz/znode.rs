//! What the fuzz target `znode` does with each input; the tests run it on random bytes.

use bytes::Bytes;
use ottla_znode::{Entry, State};

/// The first byte says what the others are: an entry of the log, whose commands are applied, or a
/// snapshot. Nothing may panic, and the state stays whole.
pub(crate) fn body(data: &[u8]) {
    let Some((&kind, rest)) = data.split_first() else {
        return;
    };
    if kind % 2 == 0 {
        entry(&Bytes::copy_from_slice(rest));
    } else if let Ok(state) = State::restore([rest]) {
        state.check().expect("what was restored is whole");
        let bytes: Vec<u8> = state.view().chunks().flatten().collect();
        let again = State::restore([bytes]).expect("it was written just now");
        assert_eq!(again.digest(), state.digest());
    }
}

fn entry(bytes: &Bytes) {
    let Ok(entry) = Entry::decode(bytes) else {
        return;
    };
    assert_eq!(Entry::decode(&entry.encode()).as_ref(), Ok(&entry));
    let mut state = State::new();
    for command in &entry.commands {
        let outcome = state.apply(1, entry.now_ms, command, entry.rules);
        assert_eq!(outcome.zxid, state.last_zxid());
        assert!(outcome.reply.is_ok() || outcome.changes.is_empty());
    }
    state.check().expect("the state is whole");
}
