//! The metadata as a replicated state machine: each member applies the same entries to its image.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_metadata::Image;
use ottla_raft::{Chunks, Position, StateMachine, View};
use ottla_runtime::Clock;
use ottla_runtime::published::{Publisher, published};

use crate::entry::{self, epoch};
use crate::snapshot;

pub(crate) use ottla_runtime::published::Published;

/// The reply to an entry whose records count.
pub(crate) const APPLIED: &[u8] = &[1];
/// The reply to an entry that stands where its decision does not hold.
pub(crate) const SKIPPED: &[u8] = &[0];

/// The owner of the image of all committed records. It publishes what it has.
pub(crate) struct Machine {
    image: Image,
    /// What was published last differs from the image.
    changed: bool,
    at: Position,
    publisher: Publisher<Image>,
    clock: Clock,
}

impl Machine {
    /// The machine before the first entry, and where its image can be seen.
    pub(crate) fn new(clock: &Clock) -> (Self, Published<Image>) {
        let (publisher, shown) = published(Image::empty());
        let machine = Machine {
            image: Image::empty(),
            changed: false,
            at: Position::default(),
            publisher,
            clock: clock.clone(),
        };
        (machine, shown)
    }
}

impl StateMachine for Machine {
    fn apply(&mut self, at: Position, bytes: &[u8]) -> Result<Bytes, String> {
        self.at = at;
        let (header, batches) = entry::decode(bytes)?;
        if header.term != at.term || header.decided_at != self.image.metadata_offset() {
            return Ok(Bytes::from_static(SKIPPED));
        }
        entry::apply(&mut self.image, header, batches).map_err(|error| error.to_string())?;
        self.changed = true;
        Ok(Bytes::from_static(APPLIED))
    }

    fn snapshot(&self) -> View {
        let image = Arc::new(self.image.clone());
        let (epoch, now_ms) = (epoch(self.at.term), self.clock.now_ms());
        Box::new(move || match snapshot::parts(&image, epoch, now_ms) {
            Ok(parts) => Box::new(parts.into_iter().map(Ok)),
            Err(error) => Box::new(std::iter::once(Err(error.to_string()))),
        })
    }

    fn restore(&mut self, at: Position, chunks: &mut Chunks<'_>) -> Result<(), String> {
        // An image of 100,000 partitions is some ten MiB, and is in memory as an image anyway.
        let mut bytes = BytesMut::new();
        for chunk in chunks {
            bytes.extend_from_slice(&chunk?);
        }
        self.image = snapshot::from_bytes(bytes.freeze())?;
        self.at = at;
        self.changed = true;
        Ok(())
    }

    fn applied(&mut self, at: Position) {
        self.at = at;
        if std::mem::take(&mut self.changed) {
            self.publisher.publish(self.image.clone());
        }
    }
}
