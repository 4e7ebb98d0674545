//! SipHash-2-4 with 128 bits of output (Aumasson and Bernstein; the reference implementation's
//! `siphash(…, outlen = 16)`).
//!
//! Compaction takes keys with equal hashes for equal keys, so a collision would lose a record. The
//! hash is keyed with random bytes for each cleaning: a producer cannot choose keys that collide,
//! which an unkeyed hash (Kafka uses MD5) allows.

/// A key of the hash function.
#[derive(Clone, Copy)]
pub(crate) struct HashKey(u64, u64);

impl HashKey {
    pub(crate) fn new(random: [u8; 16]) -> Self {
        let value = u128::from_le_bytes(random);
        HashKey(value as u64, (value >> 64) as u64)
    }

    /// The hash of `bytes`, in two halves.
    pub(crate) fn hash(self, bytes: &[u8]) -> (u64, u64) {
        let mut state = State::new(self);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            state.absorb(u64::from_le_bytes(*word));
        }
        let mut last = (bytes.len() as u64) << 56;
        for (i, &byte) in rest.iter().enumerate() {
            last |= u64::from(byte) << (8 * i);
        }
        state.absorb(last);
        state.v2 ^= 0xee;
        state.rounds(4);
        let first = state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
        state.v1 ^= 0xdd;
        state.rounds(4);
        (first, state.v0 ^ state.v1 ^ state.v2 ^ state.v3)
    }
}

struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    fn new(key: HashKey) -> Self {
        State {
            v0: key.0 ^ 0x736f_6d65_7073_6575,
            v1: key.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            v2: key.0 ^ 0x6c79_6765_6e65_7261,
            v3: key.1 ^ 0x7465_6462_7974_6573,
        }
    }

    fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.rounds(2);
        self.v0 ^= word;
    }

    fn rounds(&mut self, count: usize) {
        for _ in 0..count {
            self.v0 = self.v0.wrapping_add(self.v1);
            self.v1 = self.v1.rotate_left(13) ^ self.v0;
            self.v0 = self.v0.rotate_left(32);
            self.v2 = self.v2.wrapping_add(self.v3);
            self.v3 = self.v3.rotate_left(16) ^ self.v2;
            self.v0 = self.v0.wrapping_add(self.v3);
            self.v3 = self.v3.rotate_left(21) ^ self.v0;
            self.v2 = self.v2.wrapping_add(self.v1);
            self.v1 = self.v1.rotate_left(17) ^ self.v2;
            self.v2 = self.v2.rotate_left(32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the reference implementation's `vectors.h`: key 00 … 0f, input 00 … n-1.
    #[test]
    fn the_reference_vectors_come_out() {
        let key = HashKey::new(std::array::from_fn(|i| i as u8));
        let input: Vec<u8> = (0..15).collect();
        let out = |n: usize| {
            let (a, b) = key.hash(&input[..n]);
            (a.swap_bytes(), b.swap_bytes())
        };
        assert_eq!(out(0), (0xa381_7f04_ba25_a8e6, 0x6df6_7214_c755_0293));
        assert_eq!(out(1), (0xda87_c1d8_6b99_af44, 0x3476_5911_9b22_fc45));
        assert_eq!(out(15), (0x5493_e999_33b0_a811, 0x7e08_ec0f_97cf_c3d9));
    }
}
