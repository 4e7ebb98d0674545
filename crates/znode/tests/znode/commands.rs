//! Commands as bytes.

use bytes::BytesMut;
use ottla_jute::{GetData, Reader, Request};
use ottla_znode::{Command, Entry, Error, Operation, Rules, State};

use crate::random::Commands;

fn entry(seed: u64, count: usize) -> Entry {
    let mut commands = Commands::new(seed, true);
    Entry {
        rules: Rules {
            extended_types: true,
            ..Rules::default()
        },
        now_ms: 1_700_000_000_000 + seed as i64,
        commands: (0..count).map(|_| commands.next()).collect(),
    }
}

#[test]
fn entries_come_back_and_commands_can_be_put_behind_one_another() {
    for seed in 0..200 {
        let entry = entry(seed, 5);
        let bytes = entry.encode();
        assert_eq!(Entry::decode(&bytes), Ok(entry.clone()));
        let mut forwarded = BytesMut::new();
        Entry::begin(&mut forwarded, entry.rules, entry.now_ms);
        for command in &entry.commands {
            let mut alone = BytesMut::new();
            command.encode(&mut alone);
            let reader = &mut Reader::new(&alone);
            assert_eq!(Command::read(reader).as_ref(), Ok(command));
            assert_eq!(reader.remaining(), 0);
            forwarded.extend_from_slice(&alone);
        }
        assert_eq!(forwarded, bytes);
    }
}

#[test]
fn what_is_decoded_changes_another_state_in_the_same_way() {
    for seed in 0..20 {
        let (mut one, mut other) = (State::new(), State::new());
        for step in 0..40 {
            let entry = entry(seed * 1000 + step, 10);
            let decoded = Entry::decode(&entry.encode()).unwrap();
            for (mine, theirs) in entry.commands.iter().zip(&decoded.commands) {
                let mine = one.apply(1, entry.now_ms, mine, entry.rules);
                let theirs = other.apply(1, decoded.now_ms, theirs, decoded.rules);
                assert_eq!(mine, theirs);
            }
            assert_eq!(one.digest(), other.digest());
        }
        one.check().unwrap();
    }
}

#[test]
fn versions_rules_and_kinds_that_are_not_known_are_errors() {
    let good = entry(1, 0).encode();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        Entry::decode(&bytes.into())
    };
    assert_eq!(
        with(0, 2),
        Err(Error::Version {
            what: "entry of the log",
            version: 2
        })
    );
    assert!(matches!(
        with(1, 0x80),
        Err(Error::Unknown { value: 0x80, .. })
    ));
    let mut bytes = good.to_vec();
    bytes.push(99);
    let error = Entry::decode(&bytes.into());
    assert!(
        matches!(error, Err(Error::Unknown { value: 99, .. })),
        "{error:?}"
    );
}

#[test]
fn a_read_is_no_operation() {
    let read = Request::GetData(GetData {
        path: "/a".into(),
        watch: false,
    });
    assert_eq!(Operation::try_from(read.clone()), Err(read));
}
