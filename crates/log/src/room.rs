//! The disk's room: a full disk must leave enough for what makes room again.
//!
//! ```text
//! │ records of clients … │ offsets and groups │ metadata, checkpoints, indexes │
//!                        └─ half the reserve ─┴──────── the other half ────────┘
//! ```
//!
//! Clients are refused while less than the reserve is free, so that topics can still be deleted,
//! consumers can still commit, and the node can still be stopped and started.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ottla_runtime::Disk;
use parking_lot::Mutex;

use crate::Origin;

/// The disk is asked again after this many bytes at the latest.
const GRANT_BYTES_MAX: u64 = 64 << 20;
/// A full disk is spoken of once in this time, however many appends it refuses.
const TELL_AGAIN_MS: i64 = 60_000;

/// The room of one data folder, for all its logs.
pub(crate) struct Room {
    reserve_bytes: u64,
    /// Bytes that clients may write before the disk is asked again.
    granted: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    full: bool,
    at_ms: Option<i64>,
}

impl Room {
    pub(crate) fn new(reserve_bytes: u64) -> Self {
        Room {
            reserve_bytes,
            granted: AtomicU64::new(0),
            told: Mutex::default(),
        }
    }

    /// Takes room for an append; `StorageFull` when only the reserve is left.
    pub(crate) fn take(
        &self,
        disk: &dyn Disk,
        folder: &Path,
        bytes: u64,
        origin: Origin,
    ) -> io::Result<()> {
        let kept = match origin {
            Origin::Client => self.reserve_bytes,
            // The leader has accepted what it sends.
            Origin::Coordinator | Origin::Leader => self.reserve_bytes / 2,
        };
        if kept == 0 || (origin == Origin::Client && self.take_granted(bytes)) {
            return Ok(());
        }
        let free = disk.free_bytes(folder)?;
        let left = free.saturating_sub(kept);
        if bytes > left {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!(
                    "{free} bytes are free, and {kept} are kept for making room again \
                     (ottla.disk.reserve.bytes)"
                ),
            ));
        }
        if origin == Origin::Client {
            // A small part, since others fill the disk, too.
            let grant = ((left - bytes) / 8).min(GRANT_BYTES_MAX);
            self.granted.store(grant, Ordering::Relaxed);
        }
        Ok(())
    }

    fn take_granted(&self, bytes: u64) -> bool {
        let less = |granted: u64| granted.checked_sub(bytes);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.granted.fetch_update(set, fetch, less).is_ok()
    }

    /// Whether to tell that the disk is full.
    pub(crate) fn tell_full(&self, now_ms: i64) -> bool {
        self.granted.store(0, Ordering::Relaxed);
        let mut told = self.told.lock();
        let due = told.at_ms.is_none_or(|at| now_ms - at >= TELL_AGAIN_MS);
        if due {
            told.full = true;
            told.at_ms = Some(now_ms);
        }
        due
    }

    /// Whether to tell that there is room again: a client's records were written.
    pub(crate) fn tell_room(&self) -> bool {
        std::mem::take(&mut self.told.lock().full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_runtime::disk::SimDisk;

    #[test]
    fn clients_leave_the_reserve_and_coordinators_half_of_it() {
        let disk = SimDisk::new(1);
        disk.set_capacity_bytes(1_000);
        let room = Room::new(400);
        let take = |bytes, origin| room.take(&disk, Path::new("/"), bytes, origin);
        take(600, Origin::Client).unwrap();
        let refused = take(601, Origin::Client).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        take(800, Origin::Coordinator).unwrap();
        take(801, Origin::Coordinator).unwrap_err();
        disk.set_capacity_bytes(100);
        take(1, Origin::Client).unwrap_err();
        take(1, Origin::Coordinator).unwrap_err();
        Room::new(0)
            .take(&disk, Path::new("/"), u64::MAX, Origin::Client)
            .unwrap();
    }

    #[test]
    fn a_full_disk_is_told_once_a_minute_and_its_end_once() {
        let room = Room::new(400);
        assert!(!room.tell_room());
        assert!(room.tell_full(5));
        assert!(!room.tell_full(6));
        assert!(room.tell_room() && !room.tell_room());
        assert!(!room.tell_full(7) && !room.tell_room());
        assert!(room.tell_full(5 + TELL_AGAIN_MS) && room.tell_room());
    }
}
