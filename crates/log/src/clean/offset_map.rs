//! Which offset is the last one of each key: in bounded memory, however long the keys are.
//!
//! An entry is the key's hash and the offset, 24 bytes. The map begins small and grows up to its
//! budget; it is cut into shards by the hash, so that only one of them is there twice while it
//! grows.
//!
//! The map speaks for the section of the log up to [`OffsetMap::latest_offset`]. When it is full,
//! the rest of the section waits for the next cleaning.

use ottla_model::Offset;

use super::hash::HashKey;

const SHARDS: usize = 32;
const ENTRY_BYTES: usize = size_of::<Entry>();
/// A shard begins with so many entries.
const FIRST_ENTRIES: usize = 16;

#[derive(Clone, Copy)]
struct Entry {
    hash: (u64, u64),
    /// The offset and one, so that zero means free.
    next_offset: Offset,
}

const FREE: Entry = Entry {
    hash: (0, 0),
    next_offset: 0,
};

/// Keys and their last offsets.
pub(crate) struct OffsetMap {
    key: HashKey,
    shards: Vec<Vec<Entry>>,
    used: [usize; SHARDS],
    /// A shard never gets more entries than this by itself.
    shard_entries_max: usize,
    load_percent: usize,
    latest_offset: Offset,
    full: bool,
}

impl OffsetMap {
    /// At most `budget_bytes`, of which `load_factor` (0 to 1) is used: a fuller map is slower.
    pub(crate) fn new(random: [u8; 16], budget_bytes: u64, load_factor: f64) -> Self {
        let entries = usize::try_from(budget_bytes).unwrap_or(usize::MAX) / ENTRY_BYTES;
        OffsetMap {
            key: HashKey::new(random),
            shards: vec![Vec::new(); SHARDS],
            used: [0; SHARDS],
            shard_entries_max: (entries / SHARDS).max(2),
            load_percent: (load_factor.clamp(0.01, 0.95) * 100.0) as usize,
            latest_offset: -1,
            full: false,
        }
    }

    /// Notes that `key` has a record at `offset`.
    ///
    /// It always takes the record, since the batch that it belongs to must be taken as a whole;
    /// whoever fills the map asks [`OffsetMap::is_full`] between batches.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) {
        let hash = self.key.hash(key);
        let number = shard_of(hash);
        let (Some(shard), Some(used)) = (self.shards.get_mut(number), self.used.get_mut(number))
        else {
            return;
        };
        let allowed = |entries: usize| (entries * self.load_percent / 100).max(1);
        if *used >= allowed(shard.len()) || shard.is_empty() {
            grow(shard, self.shard_entries_max, *used, allowed);
        }
        let at = find(shard, hash);
        if let Some(entry) = shard.get_mut(at) {
            if entry.next_offset == 0 {
                *used += 1;
                entry.hash = hash;
            }
            entry.next_offset = entry.next_offset.max(offset + 1);
        }
        self.full |= *used >= allowed(self.shard_entries_max);
    }

    /// The last offset of `key` in the mapped section.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Offset> {
        let hash = self.key.hash(key);
        let shard = self.shards.get(shard_of(hash))?;
        let entry = shard.get(find(shard, hash))?;
        (entry.next_offset > 0).then(|| entry.next_offset - 1)
    }

    /// Whether the next batch must wait for the next cleaning.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Up to here the map knows every key; -1 when it knows nothing.
    pub(crate) fn latest_offset(&self) -> Offset {
        self.latest_offset
    }

    /// Says that everything up to `offset` was put.
    pub(crate) fn mapped_up_to(&mut self, offset: Offset) {
        self.latest_offset = self.latest_offset.max(offset);
    }

    /// How many keys there are.
    pub(crate) fn keys(&self) -> usize {
        self.used.iter().sum()
    }

    /// The memory in use.
    pub(crate) fn bytes(&self) -> usize {
        self.shards.iter().map(|s| s.capacity() * ENTRY_BYTES).sum()
    }
}

/// The shard by the second half of the hash, the place in it by the first.
fn shard_of(hash: (u64, u64)) -> usize {
    (hash.1 % SHARDS as u64) as usize
}

/// Where `hash` is, or where it belongs: there is always a free entry.
fn find(shard: &[Entry], hash: (u64, u64)) -> usize {
    let len = shard.len();
    let mut at = ((u128::from(hash.0) * len as u128) >> 64) as usize;
    while let Some(entry) = shard.get(at)
        && entry.next_offset != 0
        && entry.hash != hash
    {
        at += 1;
        if at == len {
            at = 0;
        }
    }
    at
}

/// Makes room for one more entry: twice as much, up to the maximum; beyond it only as much as the
/// batch that began below it needs.
fn grow(shard: &mut Vec<Entry>, max: usize, used: usize, allowed: impl Fn(usize) -> usize) {
    let doubled = (shard.len() * 2).max(FIRST_ENTRIES);
    let len = if used < allowed(max) {
        doubled.min(max)
    } else if used + 1 < shard.len() {
        return;
    } else {
        shard.len() + shard.len() / 8 + FIRST_ENTRIES
    };
    let old = std::mem::replace(shard, vec![FREE; len]);
    for entry in old.into_iter().filter(|e| e.next_offset != 0) {
        let at = find(shard, entry.hash);
        if let Some(slot) = shard.get_mut(at) {
            *slot = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn the_map_says_what_a_plain_one_says() {
        let mut map = OffsetMap::new([7; 16], 1 << 20, 0.9);
        let mut plain: HashMap<Vec<u8>, Offset> = HashMap::new();
        let random = ottla_runtime::Random::from_seed(3);
        for offset in 0..60_000 {
            let key = format!("key {}", random.below(20_000)).into_bytes();
            map.put(&key, offset);
            plain.insert(key, offset);
        }
        assert!(!map.is_full());
        assert_eq!(map.keys(), plain.len());
        for (key, offset) in &plain {
            assert_eq!(map.get(key), Some(*offset));
        }
        assert_eq!(map.get(b"another"), None);
        assert!(map.bytes() <= 1 << 20, "{}", map.bytes());
    }

    #[test]
    fn a_full_map_stays_near_its_budget_and_still_takes_the_rest_of_a_batch() {
        let mut map = OffsetMap::new([9; 16], 24 * 3200, 0.9);
        let mut offset = 0;
        while !map.is_full() {
            map.put(&i64::to_be_bytes(offset), offset);
            offset += 1;
        }
        assert!((1500..3200).contains(&offset), "{offset}");
        assert!(map.bytes() <= 24 * 3200);
        for more in offset..offset + 5000 {
            map.put(&i64::to_be_bytes(more), more);
        }
        for known in 0..offset + 5000 {
            assert_eq!(map.get(&i64::to_be_bytes(known)), Some(known));
        }
    }

    #[test]
    fn an_empty_map_is_small_and_knows_nothing() {
        let map = OffsetMap::new([0; 16], 128 << 20, 0.9);
        assert_eq!((map.bytes(), map.latest_offset()), (0, -1));
        assert_eq!(map.get(b"a"), None);
    }
}
