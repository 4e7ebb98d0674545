//! Where lines come from: standard input, or a file.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use indicatif::ProgressBar;
use ottla_runtime::Runtime;
use ottla_runtime::disk::{File, OpenMode};
use tokio::sync::mpsc;

use crate::produce::lines::read_line;
use crate::progress::{self, Counted};
use crate::{Error, Streams};

/// Lines that may wait to be sent. Beyond that the reader waits, and with it whoever writes to us.
const WAITING: usize = 1024;

/// A line and its number, from 1.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) line: u64,
    pub(super) bytes: Vec<u8>,
}

/// Lines that a thread reads ahead.
pub(super) struct Source {
    /// What the person calls it.
    pub(super) name: String,
    lines: mpsc::Receiver<io::Result<Vec<u8>>>,
    count: u64,
    bar: ProgressBar,
}

impl Source {
    /// Opens the file, or takes standard input, and begins to read.
    pub(super) fn open(
        file: Option<&Path>,
        runtime: &Runtime,
        streams: &mut Streams,
    ) -> Result<Self, Error> {
        let (name, input, len): (String, Box<dyn BufRead + Send>, _) = match file {
            Some(path) => {
                let name = path.display().to_string();
                let open = || {
                    let file = runtime.disk.open(path, OpenMode::Read)?;
                    let len = file.len()?;
                    Ok((file, len))
                };
                let (file, len) = open().map_err(|source| Error::File {
                    path: name.clone(),
                    source,
                })?;
                let reader = FromStart { file, position: 0 };
                let reader = BufReader::with_capacity(256 * 1024, reader);
                (name, Box::new(reader), Some(len))
            }
            None => {
                let taken = streams.input.take();
                let input = taken.unwrap_or_else(|| Box::new(io::empty()));
                ("standard input".to_owned(), input, None)
            }
        };
        let (tx, lines) = mpsc::channel(WAITING);
        let reader = runtime.tasks.workers("input", 1);
        reader.submit(move || read_all(input, &tx));
        reader.close();
        Ok(Source {
            name,
            lines,
            count: 0,
            bar: progress::bar(Counted::Bytes, len, streams),
        })
    }

    /// The next line; `None` at the end. May be cancelled: no line is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Read, Error>> {
        let read = self.lines.recv().await?;
        self.count += 1;
        let line = self.count;
        Some(match read {
            Ok(bytes) => {
                self.bar.inc(bytes.len() as u64 + 1);
                Ok(Read { line, bytes })
            }
            Err(source) if source.kind() == io::ErrorKind::InvalidData => Err(Error::Line {
                input: self.name.clone(),
                line,
                reason: source.to_string(),
            }),
            Err(source) => Err(Error::File {
                path: self.name.clone(),
                source,
            }),
        })
    }

    /// Takes the progress bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn read_all(mut input: Box<dyn BufRead + Send>, lines: &mpsc::Sender<io::Result<Vec<u8>>>) {
    loop {
        let next = match read_line(&mut *input) {
            Ok(None) => return,
            Ok(Some(line)) => Ok(line),
            Err(error) => Err(error),
        };
        let failed = next.is_err();
        if lines.blocking_send(next).is_err() || failed {
            return;
        }
    }
}

/// Reads a file of the runtime's disk from its start to its end.
struct FromStart {
    file: Arc<dyn File>,
    position: u64,
}

impl io::Read for FromStart {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buf, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}
