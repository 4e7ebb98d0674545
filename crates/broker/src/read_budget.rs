//! Memory for records on their way from the disk to clients.
//!
//! A fetch may ask for many megabytes, and a client that reads its answer slowly keeps them. All
//! answers together stay within a budget: a read gets at most a quarter of what is left of it. So
//! the first ones are served in full, later ones in ever smaller pieces, and nobody waits for
//! somebody else's slow client. When nothing is left a fetch still gets its first batch, without
//! which a consumer would never come forward (KIP-74).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// What is left of the budget, in bytes.
#[derive(Clone)]
pub(crate) struct ReadBudget(Arc<AtomicUsize>);

/// A part of the budget; given back when it is dropped.
pub(crate) struct Grant {
    budget: ReadBudget,
    bytes: usize,
}

/// Bytes that keep their grant as long as anyone keeps them.
struct Granted {
    bytes: Bytes,
    _grant: Arc<Grant>,
}

impl AsRef<[u8]> for Granted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl ReadBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        ReadBudget(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Takes `wanted` bytes, or a quarter of what is left if that is less. Never waits.
    pub(crate) fn take(&self, wanted: usize) -> Grant {
        let mut taken = 0;
        let take = |left: usize| {
            taken = wanted.min(left / 4);
            Some(left - taken)
        };
        // The closure always gives a value, so the update cannot fail.
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        Grant {
            budget: self.clone(),
            bytes: taken,
        }
    }
}

impl Grant {
    /// How much may be read.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back what was not needed, and ties the rest to the bytes that were read.
    pub(crate) fn bind(mut self, chunks: Vec<Bytes>) -> Vec<Bytes> {
        let used: usize = chunks.iter().map(Bytes::len).sum();
        let unused = self.bytes.saturating_sub(used);
        self.bytes -= unused;
        self.budget.0.fetch_add(unused, Ordering::AcqRel);
        let grant = Arc::new(self);
        let bind = |bytes| {
            Bytes::from_owner(Granted {
                bytes,
                _grant: Arc::clone(&grant),
            })
        };
        chunks.into_iter().map(bind).collect()
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(budget: &ReadBudget) -> usize {
        budget.0.load(Ordering::Acquire)
    }

    #[test]
    fn a_grant_lives_as_long_as_its_bytes() {
        let budget = ReadBudget::new(1000);
        let grant = budget.take(200);
        assert_eq!((grant.bytes(), left(&budget)), (200, 800));
        let chunks = grant.bind(vec![Bytes::from(vec![1; 60]), Bytes::from(vec![2; 40])]);
        assert_eq!(left(&budget), 900);
        let kept = chunks[1].slice(10..20);
        drop(chunks);
        assert_eq!((left(&budget), &kept[..]), (900, &[2; 10][..]));
        drop(kept);
        assert_eq!(left(&budget), 1000);
    }

    #[test]
    fn nobody_takes_everything() {
        let budget = ReadBudget::new(1024);
        let grants: Vec<Grant> = (0..20).map(|_| budget.take(usize::MAX)).collect();
        assert_eq!(grants[0].bytes(), 256);
        assert_eq!(grants[1].bytes(), 192);
        assert!(grants.iter().map(Grant::bytes).sum::<usize>() <= 1024);
        drop(grants);
        assert_eq!(left(&budget), 1024);
    }

    #[test]
    fn a_batch_that_is_larger_than_its_grant_is_bound_all_the_same() {
        let budget = ReadBudget::new(0);
        let chunks = budget.take(100).bind(vec![Bytes::from(vec![1; 50])]);
        assert_eq!(chunks[0].len(), 50);
        drop(chunks);
        assert_eq!(left(&budget), 0);
    }
}
