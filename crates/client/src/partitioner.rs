//! Which partition a record goes to, as Kafka's Java client decides it.

/// The 32-bit murmur2 hash of Kafka's Java client, which seeds it with `0x9747b28c`.
#[must_use]
pub fn murmur2(data: &[u8]) -> i32 {
    const MULTIPLIER: u32 = 0x5bd1_e995;
    const SHIFT: u32 = 24;
    // The length is mixed in as 32 bits, whatever it is.
    let mut hash = 0x9747_b28c_u32 ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = word.iter().rev().fold(0, |k, b| k << 8 | u32::from(*b));
        k = k.wrapping_mul(MULTIPLIER);
        k ^= k >> SHIFT;
        hash = hash.wrapping_mul(MULTIPLIER) ^ k.wrapping_mul(MULTIPLIER);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |k, b| k << 8 | u32::from(*b));
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^= hash >> 15;
    i32::from_ne_bytes(hash.to_ne_bytes())
}

/// The partition of a record with this key, among `partitions` of them (at least one).
#[must_use]
pub fn partition_of_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & i32::MAX) % partitions.max(1)
}

/// Where records without a key go: to one partition until it has got a batch's worth of bytes,
/// then to the next one (KIP-480, KIP-794).
#[derive(Debug)]
pub(crate) struct Sticky {
    partition: i32,
    bytes: usize,
    batch_bytes: usize,
}

impl Sticky {
    pub(crate) fn new(first: i32, batch_bytes: usize) -> Self {
        Sticky {
            partition: first,
            bytes: 0,
            batch_bytes,
        }
    }

    pub(crate) fn next(&mut self, record_bytes: usize, partitions: i32) -> i32 {
        if self.bytes >= self.batch_bytes {
            self.bytes = 0;
            self.partition = self.partition.wrapping_add(1) & i32::MAX;
        }
        self.bytes += record_bytes;
        self.partition % partitions.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_java_client() {
        let known: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (
                b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            (b"abc", 479_470_107),
        ];
        for (data, hash) in known {
            assert_eq!(murmur2(data), hash, "{}", String::from_utf8_lossy(data));
        }
    }

    #[test]
    fn partitions_of_keys_are_in_range() {
        for n in 0..1000u32 {
            let partition = partition_of_key(&n.to_be_bytes(), 7);
            assert!((0..7).contains(&partition));
        }
        assert_eq!(partition_of_key(b"", 1), 0);
    }

    #[test]
    fn records_without_keys_fill_one_batch_after_the_other() {
        let mut sticky = Sticky::new(2, 100);
        let went: Vec<i32> = (0..6).map(|_| sticky.next(50, 3)).collect();
        assert_eq!(went, [2, 2, 0, 0, 1, 1]);
    }
}
