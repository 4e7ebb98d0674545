//! What the fuzz target `znode` does with each input; the tests run it on random bytes.

use bytes::Bytes;
use ottla_znode::{Entry, Import, State};

/// The first byte says what the others are: an entry of the log, whose commands are applied, a
/// snapshot, or one of ZooKeeper's. Nothing may panic, and the state stays whole.
pub(crate) fn body(data: &[u8]) {
    let Some((&kind, rest)) = data.split_first() else {
        return;
    };
    if kind % 4 == 3 {
        backup(rest);
    } else if kind % 2 == 0 {
        entry(&Bytes::copy_from_slice(rest));
    } else if let Ok(state) = State::restore([rest]) {
        state.check().expect("what was restored is whole");
        let bytes: Vec<u8> = state.view().chunks().flatten().collect();
        let again = State::restore([bytes]).expect("it was written just now");
        assert_eq!(again.digest(), state.digest());
    }
}

fn backup(bytes: &[u8]) {
    let mut import = Import::new();
    if import.snapshot(bytes).is_err() {
        return;
    }
    let state = import.finish();
    state.check().expect("what was imported is whole");
    let written: Vec<u8> = state.view().zookeeper_snapshot().flatten().collect();
    let mut again = Import::new();
    again
        .snapshot(&written[..])
        .expect("it was written just now");
    assert_eq!(again.finish().node_count(), state.node_count());
    State::restore(state.view().chunks()).expect("members take it");
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
