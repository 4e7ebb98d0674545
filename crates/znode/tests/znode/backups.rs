//! Snapshots of ZooKeeper's format, and states that are replaced by them.

use bytes::Bytes;
use ottla_jute::{CreateMode, ErrorCode};
use ottla_znode::{Command, Import, Reply, Rules, State, View};

use crate::random::Commands;
use crate::world::World;

const RULES: Rules = Rules {
    enforce_quota: false,
    skip_acl: false,
    extended_types: true,
    digest: true,
    sasl: false,
    x509: false,
};

/// A state with a bit of everything.
fn busy(seed: u64) -> State {
    let mut state = State::new();
    let mut commands = Commands::new(seed, true);
    for step in 0..600 {
        state.apply(1, step, &commands.next(), RULES);
    }
    state
}

fn import(parts: impl Iterator<Item = Bytes>) -> State {
    let bytes: Vec<u8> = parts.flatten().collect();
    let mut import = Import::new();
    import.snapshot(&bytes[..]).expect("a whole snapshot");
    import.finish()
}

/// The commands that bring a state; the last one is the end.
fn commands(view: &View, restore: u64, only_if_empty: bool) -> Vec<Command> {
    // Cut into small parts, so that chunks have several.
    let mut parts = Vec::new();
    for chunk in view.chunks() {
        let pieces: Vec<Bytes> = chunk.chunks(200).map(Bytes::copy_from_slice).collect();
        let last = pieces.len() - 1;
        for (at, bytes) in pieces.into_iter().enumerate() {
            parts.push(Command::RestorePart {
                restore,
                part: parts.len() as u32,
                ends: at == last,
                bytes,
            });
        }
    }
    let end = Command::RestoreEnd {
        restore,
        parts: parts.len() as u32,
        digest: view.digest(),
        only_if_empty,
    };
    parts.push(end);
    parts
}

fn apply(state: &mut State, command: &Command) -> Result<Reply, ErrorCode> {
    let outcome = state.apply(1, 1_000, command, RULES);
    assert_eq!(outcome.zxid, state.last_zxid());
    state.check().unwrap();
    outcome.reply
}

#[test]
fn a_snapshot_of_zookeepers_format_has_everything_but_passwords() {
    for seed in 0..10 {
        let state = busy(seed);
        let imported = import(state.view().zookeeper_snapshot());
        imported.check().unwrap();
        assert_eq!(imported.last_zxid(), state.last_zxid());
        assert_eq!(imported.node_count(), state.node_count());
        let sessions = |state: &State| -> Vec<(i64, i32)> {
            state.sessions().map(|(id, s)| (id, s.timeout_ms)).collect()
        };
        assert_eq!(sessions(&imported), sessions(&state));
        // Once more: the same bytes, since nodes keep their order.
        let again: Vec<u8> = imported.view().zookeeper_snapshot().flatten().collect();
        let first: Vec<u8> = state.view().zookeeper_snapshot().flatten().collect();
        assert_eq!(again.len(), first.len());
        assert_eq!(
            import([Bytes::from(again)].into_iter()).digest(),
            imported.digest()
        );
    }
}

#[test]
fn any_cut_or_changed_snapshot_is_refused() {
    let state = busy(3);
    let bytes: Vec<u8> = state.view().zookeeper_snapshot().flatten().collect();
    // Behind these a snapshot of an older ZooKeeper may end: its digest and its zxid have seals of
    // their own.
    let with_zxid = bytes.len() - 21;
    let with_digest = with_zxid - 33;
    let near_the_end = bytes.len() - 100..bytes.len();
    let lengths = (0..bytes.len()).step_by(97).chain(near_the_end);
    for length in lengths.filter(|length| ![with_zxid, with_digest].contains(length)) {
        let cut = Import::new().snapshot(&bytes[..length]);
        assert!(cut.is_err(), "{length} of {} bytes", bytes.len());
    }
    for at in (16..bytes.len()).step_by(89) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        let is_seals_text = Import::new().snapshot(&changed[..]).is_ok();
        // The "/" behind a checksum is not read by ZooKeeper either.
        assert!(!is_seals_text || bytes.len() - at <= 60, "byte {at}");
    }
}

#[test]
fn every_member_that_gets_the_parts_has_the_same_state() {
    let backup = import(busy(5).view().zookeeper_snapshot());
    let (mut one, mut other) = (busy(6), busy(6));
    let before = one.last_zxid();
    let all = commands(&backup.view(), 77, false);
    for command in &all[..all.len() - 1] {
        assert_eq!(apply(&mut one, command), Ok(Reply::PartTaken));
        // A snapshot in the middle of it goes on where the original does.
        apply(&mut other, command).unwrap();
        other = State::restore(other.view().chunks()).unwrap();
        assert_eq!(one.digest(), other.digest());
    }
    let end = &all[all.len() - 1];
    assert_eq!(apply(&mut one, end), Ok(Reply::Restored));
    assert_eq!(apply(&mut other, end), Ok(Reply::Restored));
    assert_eq!(one.digest(), other.digest());
    assert!(one.last_zxid() > before, "numbers do not go back");
    assert!(one.view().chunks().eq(other.view().chunks()));
}

#[test]
fn what_is_half_or_mixed_changes_nothing() {
    let backup = busy(5);
    let mut state = World::new().state;
    let znodes = state.node_count();
    let all = commands(&backup.view(), 1, false);
    let (end, parts) = all.split_last().unwrap();
    assert!(parts.len() > 3);
    // The end without the parts.
    assert_eq!(apply(&mut state, end), Err(ErrorCode::BadVersion));
    // A part is missing.
    apply(&mut state, &parts[0]).unwrap();
    assert_eq!(apply(&mut state, &parts[2]), Err(ErrorCode::BadVersion));
    assert_eq!(apply(&mut state, &parts[1]), Err(ErrorCode::BadVersion));
    // The last part is missing.
    for part in &parts[..parts.len() - 1] {
        apply(&mut state, part).unwrap();
    }
    assert_eq!(apply(&mut state, end), Err(ErrorCode::BadVersion));
    // Another one begins meanwhile.
    apply(&mut state, &parts[0]).unwrap();
    let others = commands(&backup.view(), 2, false);
    apply(&mut state, &others[0]).unwrap();
    assert_eq!(apply(&mut state, &parts[1]), Err(ErrorCode::BadVersion));
    apply(&mut state, &others[1]).unwrap();
    // It is given up.
    let digest = state.digest();
    apply(&mut state, &Command::RestoreAbort { restore: 1 }).unwrap();
    assert_eq!(
        state.digest(),
        digest,
        "that is not the one that is under way"
    );
    apply(&mut state, &Command::RestoreAbort { restore: 2 }).unwrap();
    assert_eq!(apply(&mut state, &others[2]), Err(ErrorCode::BadVersion));
    // Bytes that are no state.
    let wrong = Command::RestorePart {
        restore: 3,
        part: 0,
        ends: true,
        bytes: Bytes::from_static(b"no state"),
    };
    apply(&mut state, &wrong).unwrap();
    let end = Command::RestoreEnd {
        restore: 3,
        parts: 1,
        digest: 0,
        only_if_empty: false,
    };
    assert_eq!(apply(&mut state, &end), Err(ErrorCode::MarshallingError));
    assert_eq!(state.node_count(), znodes);
}

#[test]
fn a_restore_that_nobody_goes_on_with_is_dropped() {
    let all = commands(&busy(5).view(), 9, false);
    let mut state = State::new();
    let empty = state.digest();
    apply(&mut state, &all[0]).unwrap();
    assert!(state.reapable(61_000, 0, 10).is_empty());
    let reaped = state.reapable(61_001, 0, 10);
    assert_eq!(reaped, [Command::RestoreAbort { restore: 9 }]);
    apply(&mut state, &reaped[0]).unwrap();
    assert_eq!(state.digest(), empty);
}

#[test]
fn members_and_numbers_stay_and_sessions_end() {
    let mut world = World::new();
    world.open(2);
    let ephemeral = |path: &str| crate::world::create(path, CreateMode::Ephemeral);
    world
        .request(1, ottla_jute::Request::Create(ephemeral("/of-1")))
        .unwrap();
    world
        .request(2, ottla_jute::Request::Create(ephemeral("/of-2")))
        .unwrap();
    let backup = world.state.view();
    let mut state = State::new();
    let members = "server.1=a:2888:3888;2181";
    let set = Command::SetConfig {
        requester: None,
        expected_version: -1,
        members: members.into(),
    };
    apply(&mut state, &set).unwrap();
    let version = state.config_version();
    // The same session is here: its client has seen what will be no more.
    let open = Command::OpenSession {
        session: 1,
        password: [7; 16],
        timeout_ms: 1_000,
        owner: crate::world::owner(1),
    };
    apply(&mut state, &open).unwrap();
    for command in commands(&backup, 1, true) {
        apply(&mut state, &command).unwrap();
    }
    assert_eq!(state.config_version(), version);
    let sessions: Vec<i64> = state.sessions().map(|(id, _)| id).collect();
    assert_eq!(sessions, [2]);
    assert_eq!(state.ephemeral_owners().collect::<Vec<_>>(), [(2, 1)]);
    // There is something now.
    let again = commands(&backup, 2, true);
    let (end, parts) = again.split_last().unwrap();
    parts.iter().for_each(|part| {
        apply(&mut state, part).unwrap();
    });
    assert!(!state.is_empty());
    assert_eq!(apply(&mut state, end), Err(ErrorCode::NotEmpty));
}
