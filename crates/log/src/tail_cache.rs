//! The newest batches of all logs, in memory, so that those who follow a log never touch the disk.
//!
//! One budget holds for all logs. What was appended first, in whichever log, goes first.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use ottla_model::Offset;
use ottla_record::StampedBatch;
use parking_lot::Mutex;

/// Memory that a batch takes besides its bytes.
const OVERHEAD_BYTES: u64 = 256;

/// Batches shorter than this are copied: as slices of what a client sent they would keep alive its
/// whole request, or the whole buffer that small requests share, which may be many times as large.
const COPIED_BELOW_BYTES: usize = 4096;

/// The budget that all logs share.
pub(crate) struct TailCache {
    budget_bytes: u64,
    order: Mutex<Order>,
}

#[derive(Default)]
struct Order {
    used_bytes: u64,
    /// Who appended how much, oldest first.
    groups: VecDeque<(Weak<LogTail>, usize, u64)>,
}

/// One log's newest batches; their offsets have no gap, and the last one is the log's last.
#[derive(Default)]
pub(crate) struct LogTail(Mutex<VecDeque<CachedBatch>>);

struct CachedBatch {
    base_offset: Offset,
    last_offset: Offset,
    head: Bytes,
    body: Bytes,
}

/// A piece of the tail.
pub(crate) struct TailSlice {
    pub(crate) chunks: Vec<Bytes>,
    pub(crate) bytes: usize,
    pub(crate) base_offset: Option<Offset>,
    pub(crate) next_offset: Offset,
}

impl TailCache {
    pub(crate) fn new(budget_bytes: u64) -> Self {
        TailCache {
            budget_bytes,
            order: Mutex::default(),
        }
    }

    /// Adds a group of batches at a log's end.
    pub(crate) fn push(&self, tail: &Arc<LogTail>, batches: Vec<StampedBatch>) {
        if batches.is_empty() {
            return;
        }
        let bytes = batches.iter().map(cost).sum::<u64>();
        if bytes > self.budget_bytes {
            // It would push out everything, itself included. Older batches of this log must go too,
            // since the tail has no gaps; their groups then find nothing to drop.
            tail.0.lock().clear();
            return;
        }
        let count = batches.len();
        let mut order = self.order.lock();
        {
            let mut cached = tail.0.lock();
            cached.extend(batches.into_iter().map(|b| CachedBatch {
                base_offset: b.header.base_offset,
                last_offset: b.header.last_offset(),
                head: b.head,
                body: unshared(b.body),
            }));
        }
        order.used_bytes += bytes;
        order.groups.push_back((Arc::downgrade(tail), count, bytes));
        let mut dropped = Vec::new();
        while order.used_bytes > self.budget_bytes {
            let Some((oldest, count, bytes)) = order.groups.pop_front() else {
                break;
            };
            order.used_bytes -= bytes;
            if let Some(oldest) = oldest.upgrade() {
                let mut cached = oldest.0.lock();
                let count = count.min(cached.len());
                dropped.extend(cached.drain(..count));
            }
        }
        drop(order);
    }

    /// The bytes in use.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.order.lock().used_bytes
    }
}

fn unshared(body: Bytes) -> Bytes {
    if body.len() < COPIED_BELOW_BYTES {
        Bytes::copy_from_slice(&body)
    } else {
        body
    }
}

fn cost(batch: &StampedBatch) -> u64 {
    batch.total_len() as u64 + OVERHEAD_BYTES
}

impl LogTail {
    /// Forgets all; for a log that is cut or closed.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// Forgets the batches before `offset`, which compaction has changed on disk.
    pub(crate) fn forget_before(&self, offset: Offset) {
        let mut cached = self.0.lock();
        let count = cached.partition_point(|b| b.last_offset < offset);
        cached.drain(..count);
    }

    /// Batches from the one that has `from` up to those that end before `limit`, in at most
    /// `max_bytes` (but one batch in any case when `min_one_batch`). `None` when `from` is not here.
    pub(crate) fn read(
        &self,
        from: Offset,
        limit: Offset,
        max_bytes: usize,
        min_one_batch: bool,
    ) -> Option<TailSlice> {
        let cached = self.0.lock();
        let first = cached.partition_point(|b| b.last_offset < from);
        let begins = cached.get(first)?.base_offset;
        if begins > from {
            return None;
        }
        let mut slice = TailSlice {
            chunks: Vec::new(),
            bytes: 0,
            base_offset: None,
            next_offset: from,
        };
        for batch in cached.range(first..) {
            let len = batch.head.len() + batch.body.len();
            let is_first = slice.chunks.is_empty();
            let fits = slice.bytes + len <= max_bytes || (is_first && min_one_batch);
            if batch.last_offset >= limit || !fits {
                break;
            }
            slice.chunks.push(batch.head.clone());
            slice.chunks.push(batch.body.clone());
            slice.bytes += len;
            slice.base_offset.get_or_insert(batch.base_offset);
            slice.next_offset = batch.last_offset + 1;
        }
        Some(slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_record::BatchHeader;

    fn batch(base_offset: Offset, records: i32, body: usize) -> StampedBatch {
        let header = BatchHeader {
            base_offset,
            last_offset_delta: records - 1,
            record_count: records,
            ..BatchHeader::default()
        };
        StampedBatch {
            header,
            head: Bytes::copy_from_slice(&header.encode()),
            body: vec![7; body].into(),
        }
    }

    #[test]
    fn the_oldest_group_of_any_log_goes_first() {
        let cache = TailCache::new(3 * (61 + 100 + OVERHEAD_BYTES));
        let (a, b) = (Arc::new(LogTail::default()), Arc::new(LogTail::default()));
        cache.push(&a, vec![batch(0, 1, 100)]);
        cache.push(&b, vec![batch(0, 1, 100)]);
        cache.push(&a, vec![batch(1, 1, 100)]);
        assert!(a.read(0, 9, 1000, true).is_some());
        cache.push(&b, vec![batch(1, 1, 100)]);
        assert!(a.read(0, 9, 1000, true).is_none());
        assert!(a.read(1, 9, 1000, true).is_some());
        assert_eq!(b.read(0, 9, 1000, true).unwrap().next_offset, 2);
        assert!(cache.used_bytes() <= 3 * (61 + 100 + OVERHEAD_BYTES));
    }

    #[test]
    fn a_group_beyond_the_budget_leaves_no_gap() {
        let cache = TailCache::new(1000);
        let tail = Arc::new(LogTail::default());
        cache.push(&tail, vec![batch(0, 1, 10)]);
        cache.push(&tail, vec![batch(1, 1, 5000)]);
        cache.push(&tail, vec![batch(2, 1, 10)]);
        assert!(tail.read(0, 9, 100, true).is_none());
        assert_eq!(tail.read(2, 9, 100, true).unwrap().next_offset, 3);
    }

    #[test]
    fn reads_stop_at_the_limit_and_at_whole_batches() {
        let cache = TailCache::new(1 << 20);
        let tail = Arc::new(LogTail::default());
        cache.push(
            &tail,
            vec![batch(0, 5, 39), batch(5, 5, 39), batch(10, 5, 39)],
        );
        let slice = tail.read(3, 15, 250, false).unwrap();
        assert_eq!(
            (slice.base_offset, slice.next_offset, slice.bytes),
            (Some(0), 10, 200)
        );
        assert_eq!(tail.read(7, 14, 1000, false).unwrap().next_offset, 10);
        assert_eq!(tail.read(5, 15, 10, false).unwrap().bytes, 0);
        assert_eq!(tail.read(5, 15, 10, true).unwrap().bytes, 100);
        assert!(tail.read(15, 20, 1000, true).is_none());
    }
}
