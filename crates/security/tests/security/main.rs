//! The body of the fuzz target, run for a bounded time on what the stable toolchain has: the corpus,
//! and random changes of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

#[path = "../fuzz/identity.rs"]
mod identity;

fn corpus() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/identity");
    let files = std::fs::read_dir(folder).unwrap();
    let mut inputs: Vec<_> = files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 5, "{folder} has lost its inputs");
    inputs
}

#[test]
fn what_the_corpus_holds_ends_in_a_value_or_an_error() {
    corpus().iter().for_each(|input| identity::body(input));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_strangers_say_ends_in_a_value_or_an_error(
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        tail in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let corpus = corpus();
        let mut data = corpus[which.index(corpus.len())].clone();
        for (at, value) in changes {
            let at = at.index(data.len());
            data[at] = value;
        }
        if tail.len() % 2 == 1 {
            data.truncate(cut.index(data.len()));
        }
        data.extend(tail);
        identity::body(&data);
    }
}
