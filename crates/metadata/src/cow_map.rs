//! An ordered map that is cheap to clone and to compare with its own past.
//!
//! ```text
//! chunks: [ Arc<[a b c]>, Arc<[d e f g]>, Arc<[h i]> ]     at most CHUNK_LEN entries in each
//! ```
//!
//! A clone copies one pointer a chunk; a change copies one chunk. With 10,000 entries that is about
//! 160 pointers and 128 entries, instead of 10,000 entries. Two versions share the chunks that did
//! not change, so [`CowMap::diff`] skips them by comparing pointers.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

/// The largest number of entries in a chunk; a fuller one is split in two.
const CHUNK_LEN: usize = 128;

/// One run of entries, ordered by key; never empty while it is in a map.
type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// An ordered map with cheap clones; see the module's text.
#[derive(Debug, Clone)]
pub(crate) struct CowMap<K, V> {
    chunks: Vec<Chunk<K, V>>,
    len: usize,
}

impl<K, V> Default for CowMap<K, V> {
    fn default() -> Self {
        CowMap {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

/// How one key differs between two maps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Difference<'a, V> {
    /// Only the new map has the key.
    Added(&'a V),
    /// Only the old map has the key.
    Removed(&'a V),
    /// Both have the key, in chunks that are not shared; the values may still be equal.
    Both { old: &'a V, new: &'a V },
}

impl<K: Ord + Clone, V: Clone> CowMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.iter().map(|(k, v)| (k, v)))
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let at = position(chunk, key).ok()?;
        chunk.get(at).map(|(_, value)| value)
    }

    /// The value, for change in place: its chunk is copied first when another map shares it.
    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key);
        let at = position(self.chunks.get(index)?, key).ok()?;
        let chunk = Arc::make_mut(self.chunks.get_mut(index)?);
        chunk.get_mut(at).map(|(_, value)| value)
    }

    /// Puts a value and returns the one that it replaces.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        // A key beyond the last chunk's end belongs at that end.
        let index = self.chunk_of(&key).min(self.chunks.len().saturating_sub(1));
        let Some(shared) = self.chunks.get_mut(index) else {
            self.chunks.push(Arc::new(vec![(key, value)]));
            self.len = 1;
            return None;
        };
        let chunk = Arc::make_mut(shared);
        match position(chunk, &key) {
            Ok(at) => Some(std::mem::replace(&mut chunk[at].1, value)),
            Err(at) => {
                chunk.insert(at, (key, value));
                self.len += 1;
                if chunk.len() > CHUNK_LEN {
                    let upper = chunk.split_off(CHUNK_LEN / 2);
                    self.chunks.insert(index + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    /// Takes a value out.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key);
        let at = position(self.chunks.get(index)?, key).ok()?;
        let chunk = Arc::make_mut(self.chunks.get_mut(index)?);
        let (_, value) = chunk.remove(at);
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.remove(index);
        }
        Some(value)
    }

    /// The differences from `old` to this map in the order of keys, without looking into chunks
    /// that both share.
    pub(crate) fn diff<'a>(
        &'a self,
        old: &'a Self,
        mut found: impl FnMut(&'a K, Difference<'a, V>),
    ) {
        let (mut before, mut after) = (Cursor::new(old), Cursor::new(self));
        loop {
            if before.skip_shared(&mut after) {
                continue;
            }
            match (before.entry(), after.entry()) {
                (None, None) => return,
                (Some((key, gone)), None) => {
                    found(key, Difference::Removed(gone));
                    before.advance();
                }
                (None, Some((key, new))) => {
                    found(key, Difference::Added(new));
                    after.advance();
                }
                (Some((old_key, old)), Some((new_key, new))) => match old_key.cmp(new_key) {
                    Ordering::Less => {
                        found(old_key, Difference::Removed(old));
                        before.advance();
                    }
                    Ordering::Greater => {
                        found(new_key, Difference::Added(new));
                        after.advance();
                    }
                    Ordering::Equal => {
                        found(new_key, Difference::Both { old, new });
                        before.advance();
                        after.advance();
                    }
                },
            }
        }
    }

    /// The first chunk whose last key is not below `key`; the number of chunks when there is none.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.chunks
            .partition_point(|chunk| chunk.last().is_some_and(|(last, _)| last.borrow() < key))
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for CowMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

fn position<K: Borrow<Q>, V, Q: Ord + ?Sized>(chunk: &[(K, V)], key: &Q) -> Result<usize, usize> {
    chunk.binary_search_by(|(k, _)| k.borrow().cmp(key))
}

/// A place in a map while two maps are compared.
struct Cursor<'a, K, V> {
    chunks: &'a [Chunk<K, V>],
    chunk: usize,
    at: usize,
}

impl<'a, K, V> Cursor<'a, K, V> {
    fn new(map: &'a CowMap<K, V>) -> Self {
        Cursor {
            chunks: &map.chunks,
            chunk: 0,
            at: 0,
        }
    }

    fn entry(&self) -> Option<&'a (K, V)> {
        self.chunks.get(self.chunk)?.get(self.at)
    }

    fn advance(&mut self) {
        self.at += 1;
        if self
            .chunks
            .get(self.chunk)
            .is_some_and(|chunk| self.at >= chunk.len())
        {
            self.chunk += 1;
            self.at = 0;
        }
    }

    /// Steps over one chunk in both maps when both stand at the start of the same one.
    fn skip_shared(&mut self, other: &mut Self) -> bool {
        let (Some(mine), Some(theirs)) =
            (self.chunks.get(self.chunk), other.chunks.get(other.chunk))
        else {
            return false;
        };
        let shared = self.at == 0 && other.at == 0 && Arc::ptr_eq(mine, theirs);
        if shared {
            self.chunk += 1;
            other.chunk += 1;
        }
        shared
    }
}

#[cfg(test)]
mod tests;
