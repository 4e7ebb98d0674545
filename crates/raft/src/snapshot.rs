//! Snapshots on disk.
//!
//! ```text
//! 00000000000000001200-7.snapshot       the state up to entry 1200, which is of term 7
//!
//! header  magic u32 | length u32 | last entry | membership | crc u32
//! part    length u32 | crc u32 | bytes                                 as many as there are
//! footer  0 u32 | parts u64 | crc u32                                  a file without it was cut off
//! ```
//!
//! A snapshot appears under its name only when it is whole and on disk. It is written and read part
//! by part, so that its size does not matter for memory. All of this blocks.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use ottla_runtime::Disk;
use ottla_runtime::disk::{File, OpenMode};

use crate::codec::{self, Reader, crc32c};
use crate::error::Error;
use crate::member::Position;
use crate::openraft_config::SnapshotMeta;
use crate::state_machine::Chunks;

const MAGIC: u32 = 0x4f54_4c53;
const SUFFIX: &str = ".snapshot";
/// What a crash during the writing or the receiving leaves behind.
const UNFINISHED_SUFFIX: &str = ".snapshot.unfinished";
/// A header is never larger: it has only the membership.
const HEADER_MAX: usize = 16 << 20;

/// The folder of the snapshots.
#[derive(Clone)]
pub(crate) struct Snapshots {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
}

/// A snapshot that can be read.
#[derive(Clone)]
pub(crate) struct SnapshotFile {
    pub(crate) file: Arc<dyn File>,
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
    /// Where its first part begins.
    start: u64,
}

impl SnapshotFile {
    fn corrupt(&self, position: u64, reason: String) -> Error {
        Error::Corrupt {
            path: self.path.clone(),
            position,
            reason,
        }
    }

    /// So many bytes from there on.
    pub(crate) fn read(&self, position: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        let read = self.file.read_at(&mut bytes, position)?;
        bytes.truncate(read);
        Ok(bytes.into())
    }

    fn exactly(&self, position: u64, len: usize) -> Result<Reader, String> {
        let bytes = self.read(position, len).map_err(|e| e.to_string())?;
        if bytes.len() < len {
            return Err("it is cut off".to_owned());
        }
        Ok(Reader::new(bytes))
    }

    /// Its parts, each checked before it is handed out. What comes after an error means nothing.
    pub(crate) fn chunks(&self) -> Chunks<'static> {
        let this = self.clone();
        let mut at = Some((this.start, 0_u64));
        Box::new(std::iter::from_fn(move || {
            let (position, number) = at.take()?;
            match this.part(position, number) {
                Ok(None) => None,
                Ok(Some(bytes)) => {
                    at = Some((position + 8 + bytes.len() as u64, number + 1));
                    Some(Ok(bytes))
                }
                Err(reason) => Some(Err(this.corrupt(position, reason).to_string())),
            }
        }))
    }

    /// The part that begins there, or none when the footer does.
    fn part(&self, position: u64, number: u64) -> Result<Option<Bytes>, String> {
        let len = self.exactly(position, 4)?.u32()? as usize;
        if len == 0 {
            let mut footer = self.exactly(position, 16)?;
            let content = footer.take(12)?;
            if footer.u32()? != crc32c(&content) {
                return Err("its end has a wrong checksum".to_owned());
            }
            let mut content = Reader::new(content.slice(4..));
            let parts = content.u64()?;
            if parts != number || position + 16 != self.len {
                return Err(format!("it has {number} parts of {parts}"));
            }
            return Ok(None);
        }
        if len as u64 > self.len {
            return Err("a part is longer than all of it".to_owned());
        }
        let mut part = self.exactly(position + 4, 4 + len)?;
        let crc = part.u32()?;
        let bytes = part.take(len)?;
        if crc32c(&bytes) != crc {
            return Err("a part has a wrong checksum".to_owned());
        }
        Ok(Some(bytes))
    }

    /// Reads all of it.
    pub(crate) fn verify(&self) -> Result<(), String> {
        self.chunks().try_for_each(|chunk| chunk.map(drop))
    }
}

impl Snapshots {
    /// The newest snapshot.
    pub(crate) fn newest(&self) -> Result<Option<(SnapshotMeta, SnapshotFile)>, Error> {
        let mut newest: Option<(Position, String)> = None;
        for entry in self.list()? {
            if let Some(position) = parse(&entry)
                && newest.as_ref().is_none_or(|(known, _)| *known < position)
            {
                newest = Some((position, entry));
            }
        }
        let Some((position, name)) = newest else {
            return Ok(None);
        };
        let (meta, file) = self.open(self.dir.join(name))?;
        if meta.last_log_id.as_ref().map(Position::of) != Some(position) {
            return Err(file.corrupt(0, "its name is that of another snapshot".to_owned()));
        }
        Ok(Some((meta, file)))
    }

    /// Opens a file and reads its header.
    pub(crate) fn open(&self, path: PathBuf) -> Result<(SnapshotMeta, SnapshotFile), Error> {
        let file = self
            .disk
            .open(&path, OpenMode::Read)
            .map_err(Error::io("open", &path))?;
        let len = file.len().map_err(Error::io("measure", &path))?;
        let mut file = SnapshotFile {
            file,
            path,
            len,
            start: 0,
        };
        match file.header() {
            Ok((meta, start)) => {
                file.start = start;
                Ok((meta, file))
            }
            Err(reason) => Err(file.corrupt(0, reason)),
        }
    }

    /// Writes a snapshot; once this returns it is on disk under its name.
    pub(crate) fn write(
        &self,
        meta: &SnapshotMeta,
        chunks: Chunks<'_>,
    ) -> Result<SnapshotFile, Error> {
        let path = self.path_of(meta);
        let unfinished = self.unfinished("written");
        let file = self
            .disk
            .open(&unfinished, OpenMode::Truncate)
            .map_err(Error::io("create", &unfinished))?;
        let failed = |action| Error::io(action, &unfinished);
        let header = encode_header(meta);
        let start = header.len() as u64;
        file.write_at(&[IoSlice::new(&header)], 0)
            .map_err(failed("write"))?;
        let mut position = start;
        let mut parts = 0_u64;
        for chunk in chunks {
            let chunk = chunk.map_err(|reason| failed("make")(io::Error::other(reason)))?;
            if chunk.is_empty() {
                continue;
            }
            let mut head = Vec::with_capacity(8);
            head.put_u32(chunk.len() as u32);
            head.put_u32(crc32c(&chunk));
            file.write_at(&[IoSlice::new(&head), IoSlice::new(&chunk)], position)
                .map_err(failed("write"))?;
            position += 8 + chunk.len() as u64;
            parts += 1;
        }
        let mut footer = Vec::with_capacity(16);
        footer.put_u32(0);
        footer.put_u64(parts);
        let crc = crc32c(&footer);
        footer.put_u32(crc);
        file.write_at(&[IoSlice::new(&footer)], position)
            .map_err(failed("write"))?;
        file.sync_data().map_err(failed("flush"))?;
        self.publish(&unfinished, &path)?;
        Ok(SnapshotFile {
            file,
            path,
            len: position + 16,
            start,
        })
    }

    /// Gives a received file, whose bytes are on disk, the name that makes it a snapshot.
    pub(crate) fn adopt(
        &self,
        meta: &SnapshotMeta,
        received: &SnapshotFile,
    ) -> Result<SnapshotFile, Error> {
        let path = self.path_of(meta);
        if received.path != path {
            self.publish(&received.path, &path)?;
        }
        Ok(SnapshotFile {
            path,
            ..received.clone()
        })
    }

    fn publish(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.disk
            .rename(from, to)
            .map_err(Error::io("rename", from))?;
        self.disk
            .sync_dir(&self.dir)
            .map_err(Error::io("flush", &self.dir))
    }

    /// Removes all older snapshots than this one, and what unfinished writes have left.
    pub(crate) fn remove_others(&self, keep: &Path) -> Result<(), Error> {
        for name in self.list()? {
            let path = self.dir.join(&name);
            let goes = parse(&name).is_some() && path != keep;
            if goes {
                self.disk
                    .remove_file(&path)
                    .map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Removes what unfinished writes of an earlier life have left.
    pub(crate) fn remove_unfinished(&self) -> Result<(), Error> {
        for name in self.list()? {
            if name.ends_with(UNFINISHED_SUFFIX) {
                let path = self.dir.join(&name);
                self.disk
                    .remove_file(&path)
                    .map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// A name for a file that is on its way.
    pub(crate) fn unfinished(&self, kind: &str) -> PathBuf {
        self.dir.join(format!("{kind}{UNFINISHED_SUFFIX}"))
    }

    fn path_of(&self, meta: &SnapshotMeta) -> PathBuf {
        // A snapshot of nothing is never made.
        let last = meta.last_log_id.as_ref().map(Position::of);
        self.dir.join(name_of(last.unwrap_or_default()))
    }

    fn list(&self) -> Result<Vec<String>, Error> {
        let entries = self.disk.list(&self.dir);
        let entries = entries.map_err(Error::io("list", &self.dir))?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }
}

impl SnapshotFile {
    fn header(&self) -> Result<(SnapshotMeta, u64), String> {
        let mut reader = self.exactly(0, 8)?;
        if reader.u32()? != MAGIC {
            return Err("this is no snapshot".to_owned());
        }
        let len = reader.u32()? as usize;
        if len > HEADER_MAX || len as u64 > self.len {
            return Err("its header is too long".to_owned());
        }
        let mut rest = self.exactly(8, len + 4)?;
        let content = rest.take(len)?;
        if rest.u32()? != crc32c(&content) {
            return Err("its header has a wrong checksum".to_owned());
        }
        let mut content = Reader::new(content);
        let meta = SnapshotMeta {
            last_log_id: content.log_id()?,
            last_membership: content.stored_membership()?,
        };
        content.end()?;
        Ok((meta, 8 + len as u64 + 4))
    }
}

fn encode_header(meta: &SnapshotMeta) -> Vec<u8> {
    let mut content = Vec::new();
    codec::put_log_id(&mut content, meta.last_log_id.as_ref());
    codec::put_stored_membership(&mut content, &meta.last_membership);
    let mut out = Vec::with_capacity(content.len() + 12);
    out.put_u32(MAGIC);
    out.put_u32(content.len() as u32);
    let crc = crc32c(&content);
    out.append(&mut content);
    out.put_u32(crc);
    out
}

fn name_of(last: Position) -> String {
    format!("{:020}-{}{SUFFIX}", last.index, last.term)
}

fn parse(name: &str) -> Option<Position> {
    let (index, term) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let position = Position {
        term: term.parse().ok()?,
        index: index.parse().ok()?,
    };
    // Only the very form that we write: a renamed copy is none of ours.
    (name_of(position) == name).then_some(position)
}

#[cfg(test)]
mod tests;
