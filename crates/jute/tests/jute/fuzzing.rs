//! The body of the fuzz target, run for a bounded time on what the stable toolchain has: the corpus,
//! and random changes of it and of valid bytes.

use bytes::BytesMut;
use ottla_jute::{OpCode, Writer};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::any;

#[path = "../fuzz/jute.rs"]
mod jute;

const ROUNDS: u64 = 40_000;

fn corpus() -> Vec<Vec<u8>> {
    let folder = format!("{}/../../fuzz/corpus/jute", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let inputs: Vec<_> = files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(inputs.len() >= 6, "{folder} lacks its files");
    inputs
}

/// The byte that makes the target read an operation's request (below 128) or response.
fn kind(op: OpCode, from: usize) -> u8 {
    let count = OpCode::ALL.len();
    let wanted = OpCode::ALL.iter().position(|other| *other == op).unwrap();
    (from..from + count)
        .find(|kind| kind % count == wanted)
        .unwrap() as u8
}

fn requests(runner: &mut TestRunner, count: usize) -> Vec<Vec<u8>> {
    let of = |runner: &mut TestRunner| {
        let request = any::request().new_tree(runner).unwrap().current();
        let mut out = BytesMut::from(&[kind(request.op_code(), 8)][..]);
        request.write(&mut Writer::new(&mut out));
        out.to_vec()
    };
    (0..count).map(|_| of(runner)).collect()
}

fn responses(runner: &mut TestRunner, count: usize) -> Vec<Vec<u8>> {
    let of = |runner: &mut TestRunner| {
        let (op, response) = any::response().new_tree(runner).unwrap().current();
        let mut bytes = vec![kind(op, 128)];
        bytes.extend_from_slice(&response.encode());
        bytes
    };
    (0..count).map(|_| of(runner)).collect()
}

/// A small generator of its own, so that a failure repeats itself.
struct Seed(u64);

impl Seed {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// Flips, cuts, repeats and overwrites a few bytes.
fn mutate(data: &mut Vec<u8>, seed: &mut Seed) {
    for _ in 0..=seed.below(3) {
        let at = seed.below(data.len());
        match (seed.below(5), data.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << seed.below(8),
            (1, Some(byte)) => *byte = [0, 1, 0x7f, 0x80, 0xff][seed.below(5)],
            (2, Some(_)) => data.truncate(at),
            (3, Some(_)) => {
                let tail = data.split_off(at);
                data.extend_from_slice(&tail[..tail.len() / 2]);
                data.extend_from_slice(&tail);
            }
            _ => data.push(seed.below(256) as u8),
        }
    }
}

#[test]
fn no_bytes_break_a_decoder() {
    let runner = &mut TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let mut inputs = corpus();
    inputs.extend(requests(runner, 300));
    inputs.extend(responses(runner, 300));
    for input in &inputs {
        jute::body(input);
    }
    let seed = &mut Seed(0x0771_a5ee_d000_0001);
    for round in 0..ROUNDS {
        let mut data: Vec<u8> = if round % 8 == 0 {
            (0..seed.below(64)).map(|_| seed.below(256) as u8).collect()
        } else {
            inputs[seed.below(inputs.len())].clone()
        };
        mutate(&mut data, seed);
        jute::body(&data);
    }
}

#[test]
fn lengths_that_lie_take_no_memory() {
    // Vectors, strings and buffers of 2^31 - 1 elements in a few bytes.
    let huge = [0x7f, 0xff, 0xff, 0xff];
    for kind in 0..=255_u8 {
        for prefix in [0, 4, 8, 9, 17] {
            let mut data = vec![kind];
            data.extend(std::iter::repeat_n(0, prefix));
            data.extend_from_slice(&huge);
            data.extend_from_slice(&[b'/'; 32]);
            jute::body(&data);
        }
    }
}
