//! Views and snapshots.

use bytes::Bytes;
use ottla_jute::CreateMode;
use ottla_znode::{Error, Restorer, Rules, State};

use crate::random::{Commands, Random};
use crate::world::World;

const RULES: Rules = Rules {
    enforce_quota: true,
    skip_acl: false,
    extended_types: true,
    digest: true,
    sasl: false,
    x509: false,
};

fn run(state: &mut State, commands: &mut Commands, count: usize) {
    for step in 0..count {
        let command = commands.next();
        state.apply(1, step as i64, &command, RULES);
    }
}

/// A state with a bit of everything.
fn busy(seed: u64) -> State {
    let mut state = State::new();
    run(&mut state, &mut Commands::new(seed, true), 600);
    state
}

#[test]
fn a_view_stays_as_it_was_while_the_state_goes_on() {
    for seed in 0..10 {
        let mut commands = Commands::new(seed, true);
        let mut state = State::new();
        run(&mut state, &mut commands, 500);
        let before: Vec<Bytes> = state.view().chunks().collect();
        let (view, digest) = (state.view(), state.digest());
        run(&mut state, &mut commands, 500);
        assert_ne!(state.digest(), digest);
        let after: Vec<Bytes> = view.chunks().collect();
        assert_eq!(before, after);
        assert_eq!(
            (view.digest(), view.clone().chunks().count()),
            (digest, after.len())
        );
        let restored = State::restore(after).unwrap();
        restored.check().unwrap();
        assert_eq!(restored.digest(), digest);
        assert_eq!(restored.last_zxid(), view.last_zxid());
        state.check().unwrap();
    }
}

#[test]
fn a_restored_state_goes_on_as_the_original_does() {
    for seed in 0..10 {
        let mut original = busy(seed);
        let mut restored = State::restore(original.view().chunks()).unwrap();
        // Snapshots of both are the same bytes.
        assert!(original.view().chunks().eq(restored.view().chunks()));
        let mut commands = Commands::new(seed + 100, true);
        for step in 0..500 {
            let command = commands.next();
            let one = original.apply(2, step, &command, RULES);
            let other = restored.apply(2, step, &command, RULES);
            assert_eq!(one, other, "{command:?}");
            assert_eq!(original.digest(), restored.digest());
        }
        restored.check().unwrap();
    }
}

#[test]
fn a_view_can_be_written_on_another_thread() {
    let state = busy(2);
    let (view, digest) = (state.view(), state.digest());
    let written = std::thread::spawn(move || view.chunks().collect::<Vec<Bytes>>());
    let chunks = written.join().unwrap();
    assert_eq!(State::restore(chunks).unwrap().digest(), digest);
}

#[test]
fn large_states_come_in_several_parts_of_whole_items() {
    let mut world = World::new();
    world.nodes(&["/p"]);
    let big = "x".repeat(700_000);
    for n in 0..6000 {
        world.nodes(&[&format!("/p/{n}")]);
    }
    world.set("/p/4000", &big, -1).unwrap();
    let chunks: Vec<Bytes> = world.state.view().chunks().collect();
    assert!(chunks.len() >= 3, "{} chunks", chunks.len());
    let sizes: Vec<_> = chunks.iter().map(Bytes::len).collect();
    let whole = sizes[..sizes.len() - 1]
        .iter()
        .all(|size| *size >= 256 << 10);
    assert!(whole, "{sizes:?}");
    let mut restorer = Restorer::default();
    for chunk in &chunks {
        restorer.push(chunk).unwrap();
    }
    let restored = restorer.finish().unwrap();
    assert_eq!(restored.digest(), world.state.digest());
    assert_eq!(restored.node_count(), 6006);
}

fn restore_bytes(bytes: &[u8]) -> Result<State, Error> {
    State::restore([bytes])
}

#[test]
fn damaged_snapshots_are_errors() {
    let state = busy(3);
    let whole: Vec<u8> = state.view().chunks().flatten().collect();
    assert_eq!(restore_bytes(&whole).unwrap().digest(), state.digest());
    let random = &mut Random::new(8);
    for _ in 0..3000 {
        let mut bytes = whole.clone();
        let at = random.below(bytes.len() as u64) as usize;
        match random.below(3) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at),
            _ => {
                let tail = bytes.split_off(at);
                bytes.extend_from_slice(&tail[tail.len() / 2..]);
            }
        }
        if bytes == whole {
            continue;
        }
        let restored = restore_bytes(&bytes);
        assert!(restored.is_err(), "byte {at} of {}", whole.len());
    }
    let twice = [whole.clone(), whole].concat();
    assert!(matches!(restore_bytes(&twice), Err(Error::Snapshot { .. })));
    assert!(matches!(restore_bytes(&[]), Err(Error::Snapshot { .. })));
    assert!(matches!(
        restore_bytes(&[0, 9]),
        Err(Error::Version { version: 9, .. })
    ));
}

#[test]
fn places_of_deleted_nodes_are_used_again() {
    let mut world = World::new();
    for round in 0..3 {
        for n in 0..500 {
            world
                .create(&format!("/n{n}"), CreateMode::Ephemeral)
                .unwrap();
        }
        world.check();
        world.close(1);
        world.check();
        assert_eq!(world.state.node_count(), 5, "round {round}");
        world.open(1);
    }
}
