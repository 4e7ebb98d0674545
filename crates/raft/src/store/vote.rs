//! The vote: whom this member has voted for in which term.
//!
//! ```text
//! vote   slot | slot                  each 40 bytes, at 0 and at 512
//! slot   magic u32 | number u64 | has vote u8 | term u64 | voted for u64 | committed u8 | pad | crc u32
//! ```
//!
//! Both slots are written and flushed one after the other, in place, so that a vote can be saved on
//! a full disk. At most one of them is torn by a crash, and then the vote that it would have held
//! was never answered for; of two good ones the one with the greater number counts. Both bad means
//! damage, for then a vote that others rely on may be forgotten.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use ottla_model::Sabotage;
use ottla_runtime::Disk;
use ottla_runtime::disk::{File, OpenMode};

use crate::codec::{self, Reader, crc32c};
use crate::error::Error;
use crate::openraft_config::Vote;

const NAME: &str = "vote";
const MAGIC: u32 = 0x4f54_4c56;
const SLOT: usize = 40;
/// Slots are in different sectors.
const SLOTS: [u64; 2] = [0, 512];

/// The file of the vote.
pub(super) struct VoteFile {
    file: Arc<dyn File>,
    path: PathBuf,
    number: u64,
}

impl VoteFile {
    /// Opens the file; makes it when it is missing.
    pub(super) fn open(disk: &dyn Disk, dir: &Path) -> Result<(Self, Option<Vote>), Error> {
        let path = dir.join(NAME);
        if !disk.exists(&path) {
            let mut bytes = vec![0; SLOTS[1] as usize + SLOT];
            for at in SLOTS {
                bytes[at as usize..][..SLOT].copy_from_slice(&encode(0, None));
            }
            disk.write_atomically(&path, &bytes)
                .map_err(Error::io("create", &path))?;
        }
        let bytes = Bytes::from(disk.read(&path).map_err(Error::io("read", &path))?);
        let slots = SLOTS.map(|at| {
            let at = (at as usize).min(bytes.len());
            decode(&bytes.slice(at..(at + SLOT).min(bytes.len())))
        });
        let [first, second] = slots;
        let (number, vote) = match (first, second) {
            (Ok(first), Ok(second)) => {
                if first.0 >= second.0 {
                    first
                } else {
                    second
                }
            }
            (Ok(only), Err(_)) | (Err(_), Ok(only)) => only,
            (Err(reason), Err(_)) => {
                return Err(Error::Corrupt {
                    path,
                    position: 0,
                    reason,
                });
            }
        };
        let file = disk
            .open(&path, OpenMode::Write)
            .map_err(Error::io("open", &path))?;
        let mut this = VoteFile { file, path, number };
        // What was found counts from now on, so it must survive the next crash; and a torn slot
        // must not stay the only copy's neighbour.
        for slot in SLOTS {
            this.write_slot(slot, vote.as_ref())
                .map_err(Error::io("write", &this.path))?;
        }
        Ok((this, vote))
    }

    /// Saves the vote; once this returns it is on disk.
    pub(super) fn save(&mut self, vote: &Vote) -> Result<(), Error> {
        self.number += 1;
        for slot in SLOTS {
            self.write_slot(slot, Some(vote))
                .map_err(Error::io("write", &self.path))?;
        }
        Ok(())
    }

    fn write_slot(&mut self, at: u64, vote: Option<&Vote>) -> io::Result<()> {
        let bytes = encode(self.number, vote);
        self.file.write_at(&[IoSlice::new(&bytes)], at)?;
        if Sabotage::ForgetsVotes.is_on() {
            return Ok(());
        }
        self.file.sync_data()
    }
}

fn encode(number: u64, vote: Option<&Vote>) -> Vec<u8> {
    let mut out = Vec::with_capacity(SLOT);
    out.put_u32(MAGIC);
    out.put_u64(number);
    out.put_u8(u8::from(vote.is_some()));
    if let Some(vote) = vote {
        codec::put_vote(&mut out, vote);
    }
    out.resize(SLOT - 4, 0);
    let crc = crc32c(&out);
    out.put_u32(crc);
    out
}

pub(super) fn decode(bytes: &Bytes) -> Result<(u64, Option<Vote>), String> {
    if bytes.len() < SLOT {
        return Err("it is too short".to_owned());
    }
    let mut crc = Reader::new(bytes.slice(SLOT - 4..));
    if crc.u32()? != crc32c(&bytes[..SLOT - 4]) {
        return Err("both copies of the vote have wrong checksums".to_owned());
    }
    let mut reader = Reader::new(bytes.clone());
    if reader.u32()? != MAGIC {
        return Err("this is no vote".to_owned());
    }
    let number = reader.u64()?;
    let vote = if reader.flag()? {
        Some(reader.vote()?)
    } else {
        None
    };
    Ok((number, vote))
}
