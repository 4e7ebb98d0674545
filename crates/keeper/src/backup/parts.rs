//! A state as commands of bounded size.

use bytes::Bytes;
use ottla_znode::{Chunks, Command, View};

/// No part is larger. Entries of the log hold some of them, and what clients ask for meanwhile.
const PART_BYTES: usize = 512 << 10;

/// The commands that bring a state, but for the end.
pub(super) struct Parts {
    restore: u64,
    chunks: Chunks,
    /// What is left of the chunk.
    rest: Bytes,
    number: u32,
}

impl Parts {
    pub(super) fn new(restore: u64, view: &View) -> Self {
        Parts {
            restore,
            chunks: view.chunks(),
            rest: Bytes::new(),
            number: 0,
        }
    }

    /// How many there were.
    pub(super) fn sent(&self) -> u32 {
        self.number
    }
}

impl Iterator for Parts {
    type Item = Command;

    fn next(&mut self) -> Option<Command> {
        if self.rest.is_empty() {
            self.rest = self.chunks.next()?;
        }
        let bytes = self.rest.split_to(self.rest.len().min(PART_BYTES));
        let part = self.number;
        self.number += 1;
        Some(Command::RestorePart {
            restore: self.restore,
            part,
            ends: self.rest.is_empty(),
            bytes,
        })
    }
}
