//! Files, and what is sent to be restored.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use indicatif::ProgressBar;
use ottla_runtime::Runtime;
use ottla_runtime::disk::{Disk, File, OpenMode};
use ottla_znode::ZooKeeperSnapshot;

use crate::Error;

/// Files are read in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;

/// A file that is read from its beginning to its end.
pub(super) struct FileRead {
    file: Arc<dyn File>,
    at: u64,
    /// Advances with what is read.
    bar: ProgressBar,
}

impl FileRead {
    pub(super) fn open(disk: &dyn Disk, path: &Path, bar: &ProgressBar) -> io::Result<Self> {
        Ok(FileRead {
            file: disk.open(path, OpenMode::Read)?,
            at: 0,
            bar: bar.clone(),
        })
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

impl Read for FileRead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(out, self.at)?;
        self.at += count as u64;
        self.bar.inc(count as u64);
        Ok(count)
    }
}

/// What is sent.
pub(super) enum Source<'a> {
    File {
        runtime: &'a Runtime,
        name: String,
        file: Arc<dyn File>,
        at: u64,
    },
    /// Standard input.
    Input(&'a mut dyn io::BufRead),
    /// A state that was read before.
    State(Box<ZooKeeperSnapshot>),
}

impl Source<'_> {
    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Source::File {
                runtime,
                name,
                file,
                at,
            } => {
                let (file, from) = (Arc::clone(file), *at);
                let reading = move || {
                    let mut piece = vec![0; PIECE_BYTES];
                    let count = file.read_at(&mut piece, from)?;
                    piece.truncate(count);
                    Ok(Bytes::from(piece))
                };
                let piece: io::Result<Bytes> = runtime.tasks.blocking(reading).await;
                let piece = piece.map_err(|source| Error::File {
                    path: name.clone(),
                    source,
                })?;
                *at += piece.len() as u64;
                Ok(Some(piece).filter(|piece| !piece.is_empty()))
            }
            Source::Input(input) => {
                let mut piece = vec![0; PIECE_BYTES];
                let count = input.read(&mut piece).map_err(|source| Error::Stream {
                    stream: "cannot read standard input",
                    source,
                })?;
                piece.truncate(count);
                Ok(Some(Bytes::from(piece)).filter(|piece| !piece.is_empty()))
            }
            Source::State(snapshot) => Ok(snapshot.next()),
        }
    }
}
