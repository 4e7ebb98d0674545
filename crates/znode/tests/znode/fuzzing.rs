//! The body of the fuzz target, run for a bounded time on what the stable toolchain has: the corpus,
//! and random changes of it and of valid bytes.

use ottla_znode::{Command, Entry, Rules, State};

use crate::random::{Commands, Random};

#[path = "../fuzz/znode.rs"]
mod znode;

const ROUNDS: usize = 8_000;

fn corpus() -> Vec<Vec<u8>> {
    let folder = format!("{}/../../fuzz/corpus/znode", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let inputs: Vec<_> = files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(inputs.len() >= 2, "{folder} lacks its files");
    inputs
}

/// An entry that opens all sessions and then does this and that.
fn entry(seed: u64, count: usize) -> Vec<u8> {
    let mut commands = Commands::new(seed, true);
    let entry = Entry {
        rules: Rules {
            extended_types: true,
            enforce_quota: true,
            ..Rules::default()
        },
        now_ms: 1_700_000_000_000,
        commands: (0..count).map(|_| commands.next()).collect(),
    };
    [&[0][..], &entry.encode()].concat()
}

fn snapshot(seed: u64) -> Vec<u8> {
    let mut commands = Commands::new(seed, true);
    let mut state = State::new();
    for _ in 0..300 {
        state.apply(1, 1, &commands.next(), Rules::default());
    }
    let chunks = state.view().chunks();
    [1].into_iter().chain(chunks.flatten()).collect()
}

fn backup(seed: u64) -> Vec<u8> {
    let mut commands = Commands::new(seed, true);
    let mut state = State::new();
    for _ in 0..60 {
        state.apply(1, 1, &commands.next(), Rules::default());
    }
    let parts = state.view().zookeeper_snapshot();
    [3].into_iter().chain(parts.flatten()).collect()
}

/// A restore of a small state, in parts.
fn restore(seed: u64) -> Vec<u8> {
    let mut state = State::new();
    let mut random = Commands::new(seed, false);
    for _ in 0..20 {
        state.apply(1, 1, &random.next(), Rules::default());
    }
    let mut commands: Vec<Command> = Vec::new();
    for bytes in state.view().chunks() {
        commands.push(Command::RestorePart {
            restore: seed,
            part: commands.len() as u32,
            ends: true,
            bytes,
        });
    }
    commands.push(Command::RestoreEnd {
        restore: seed,
        parts: commands.len() as u32,
        digest: state.digest(),
        only_if_empty: false,
    });
    let entry = Entry {
        rules: Rules::default(),
        now_ms: 1,
        commands,
    };
    [&[0][..], &entry.encode()].concat()
}

fn mutate(data: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(2) {
        let at = random.below(data.len().max(1) as u64) as usize;
        match (random.below(5), data.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << random.below(8),
            (1, Some(byte)) => *byte = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            (2, Some(_)) => data.truncate(at),
            (3, Some(_)) => {
                let tail = data.split_off(at);
                data.extend_from_slice(&tail[..tail.len() / 2]);
                data.extend_from_slice(&tail);
            }
            _ => data.push(random.below(256) as u8),
        }
    }
}

#[test]
fn no_bytes_break_the_state() {
    let mut inputs = corpus();
    inputs.extend((0..40).map(|seed| entry(seed, 30)));
    inputs.extend((0..4).map(snapshot));
    inputs.extend((0..4).map(backup));
    inputs.extend((0..8).map(restore));
    for input in &inputs {
        znode::body(input);
    }
    let random = &mut Random::new(3);
    for _ in 0..ROUNDS {
        let mut data = random.pick(&inputs).clone();
        mutate(&mut data, random);
        znode::body(&data);
    }
}
