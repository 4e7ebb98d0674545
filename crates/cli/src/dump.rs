//! `ottla log dump`: what is in the files of a log, without a node.
//!
//! ```text
//!   paths ─▶ walk ─┬▶ segment      batches, records ─▶ decoded (internal topics)
//!                  ├▶ indexes      .index, .timeindex, .txnindex, checked against the segment
//!                  ├▶ snapshot     .snapshot
//!                  └▶ checkpoint   the small text files
//!                       └──▶ Sink: text for people, or one JSON object a line; damage is counted
//! ```
//!
//! The formats are read here anew, and not by the code of a node: what is shown is what the file
//! says, also where a node would not take it.

mod checkpoint;
mod decoded;
mod indexes;
mod segment;
mod sink;
mod snapshot;

use std::path::{Path, PathBuf};

use ottla_runtime::Disk;
use ottla_runtime::disk::OpenMode;

use crate::output::OutputFormat;
use crate::{Error, Streams};
use decoded::Contents;
use sink::Sink;

/// The verbs of `ottla log`.
#[derive(Debug, clap::Subcommand)]
pub enum LogCommand {
    /// Show batches, records, indexes and checkpoints of files, and tell what is damaged
    Dump(DumpArgs),
}

/// What `ottla log dump` takes.
#[derive(Debug, clap::Args)]
pub struct DumpArgs {
    /// Files, folders of partitions, or whole data folders
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// Also the records of each batch; those of internal topics are decoded
    #[arg(short, long)]
    pub records: bool,
    /// Only what is damaged
    #[arg(long, conflicts_with = "records")]
    pub check: bool,
    /// Only batches that reach this offset or a later one
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    pub from_offset: Option<i64>,
    /// What the records are; by default the folder's name tells
    #[arg(long = "as", value_name = "KIND", value_enum)]
    pub contents: Option<Contents>,
}

/// Reads the files and prints them as they are read.
pub(crate) fn run(
    command: &LogCommand,
    disk: &dyn Disk,
    output: Option<OutputFormat>,
    streams: &mut Streams,
) -> Result<(), Error> {
    let LogCommand::Dump(args) = command;
    let json = match output.unwrap_or_default() {
        OutputFormat::Json => true,
        OutputFormat::Table | OutputFormat::Wide => false,
        OutputFormat::Yaml | OutputFormat::Name => {
            return Err(Error::Usage(
                "a dump is text, or with -o json one object a line".to_owned(),
            ));
        }
    };
    let mut sink = Sink::new(json, args.check, streams);
    for path in &args.paths {
        if disk.list(path).is_ok() {
            folder(path, disk, args, &mut sink)?;
        } else {
            file(path, disk, args, &mut sink)?;
        }
    }
    sink.finish()
}

/// Where the metadata quorum keeps its log, below `__cluster_metadata-0`.
const RAFT_FOLDER: &str = "raft";

/// Everything in a folder, folders within it last.
fn folder(path: &Path, disk: &dyn Disk, args: &DumpArgs, sink: &mut Sink<'_>) -> Result<(), Error> {
    let mut entries = disk.list(path).map_err(|source| unreadable(path, source))?;
    entries.sort_by(|a, b| (a.is_dir, &a.name).cmp(&(b.is_dir, &b.name)));
    for entry in entries {
        let inside = path.join(&entry.name);
        if entry.is_dir {
            folder(&inside, disk, args, sink)?;
        } else if kind(&inside) != Kind::Unknown {
            file(&inside, disk, args, sink)?;
        }
    }
    Ok(())
}

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Batches: `.log`, and a snapshot of the metadata.
    Segment,
    OffsetIndex,
    TimeIndex,
    TransactionIndex,
    Producers,
    Text,
    Unknown,
}

fn kind(path: &Path) -> Kind {
    // The quorum's own log is in Raft's format; the node itself checks it when it starts.
    let folder = path.parent().and_then(Path::file_name);
    if folder.is_some_and(|folder| folder == RAFT_FOLDER) {
        return Kind::Unknown;
    }
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    // Files wait under these names for their removal, or to take another's place.
    let name = [".deleted", ".cleaned", ".swap"]
        .iter()
        .fold(name, |name, suffix| {
            name.strip_suffix(suffix).unwrap_or(name)
        });
    match name.rsplit('.').next() {
        Some("log" | "checkpoint") => Kind::Segment,
        Some("index") => Kind::OffsetIndex,
        Some("timeindex") => Kind::TimeIndex,
        Some("txnindex") => Kind::TransactionIndex,
        Some("snapshot") => Kind::Producers,
        _ if checkpoint::NAMES.contains(&name) => Kind::Text,
        _ => Kind::Unknown,
    }
}

fn file(path: &Path, disk: &dyn Disk, args: &DumpArgs, sink: &mut Sink<'_>) -> Result<(), Error> {
    let opened = disk.open(path, OpenMode::Read);
    let len = opened.as_ref().map_err(copy).and_then(|file| file.len());
    let (file, len) = match opened.and_then(|file| len.map(|len| (file, len))) {
        Ok(opened) => opened,
        Err(source) => return Err(unreadable(path, source)),
    };
    match kind(path) {
        Kind::Segment => segment::dump(path, &*file, len, args, sink),
        Kind::OffsetIndex => indexes::offsets(path, &*file, len, disk, sink),
        Kind::TimeIndex => indexes::times(path, &*file, len, sink),
        Kind::TransactionIndex => indexes::transactions(path, &*file, len, sink),
        Kind::Producers => snapshot::dump(path, &*file, len, sink),
        Kind::Text => checkpoint::dump(path, &*file, len, sink),
        Kind::Unknown => Err(Error::Usage(format!(
            "{} is no file of a log by its name: those end in .log, .index, .timeindex, .txnindex, \
             .snapshot or .checkpoint, or are checkpoints",
            path.display()
        ))),
    }
}

/// Errors of the system cannot be cloned; their kind and words are enough.
fn copy(error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), error.to_string())
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests;
