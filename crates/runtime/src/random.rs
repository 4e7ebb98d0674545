//! Randomness: from the system, or from a seed.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// A shared source of random numbers.
#[derive(Clone)]
pub struct Random(Arc<Mutex<ChaCha12Rng>>);

impl Random {
    pub(crate) fn from_system() -> Self {
        Random(Arc::new(Mutex::new(rand::make_rng())))
    }

    /// The same seed gives the same numbers.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Random(Arc::new(Mutex::new(ChaCha12Rng::seed_from_u64(seed))))
    }

    /// 16 random bytes, for ids.
    #[must_use]
    pub fn bytes16(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.0.lock().fill_bytes(&mut bytes);
        bytes
    }

    /// A random number.
    #[must_use]
    pub fn next_u64(&self) -> u64 {
        self.0.lock().next_u64()
    }

    /// A number from 0 to `bound - 1`; 0 when `bound` is 0.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            0
        } else {
            self.0.lock().random_range(0..bound)
        }
    }
}
