//! `ottla keeper snapshot`: a backup of a running ensemble.

use std::io::{IoSlice, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ottla_jute::files::{Decompressed, SnapshotReader};
use ottla_runtime::disk::{Disk, File, OpenMode};
use serde::Serialize;

use super::Context;
use super::admin::{Admin, AdminArgs};
use super::http::Answer;
use super::source::FileRead;
use crate::Error;
use crate::output::{self, View};
use crate::progress::{Counted, bar};
use crate::size::bytes_text;
use indicatif::ProgressBar;

const ACTION: &str = "backing up the keeper";
/// Standard output.
const STDOUT: &str = "-";

/// What `ottla keeper snapshot` takes.
#[derive(Debug, clap::Args)]
pub(in crate::keeper) struct SnapshotArgs {
    /// Where the backup goes; - for standard output. A file that is there is replaced once the new
    /// one is whole
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    admin: AdminArgs,
}

/// A backup that was made.
#[derive(Debug, Serialize)]
struct Made {
    file: String,
    server: String,
    /// The last change that is in it.
    zxid: String,
    bytes: u64,
    znodes: u64,
    sessions: u64,
}

impl View for Made {
    fn table(&self, _wide: bool) -> String {
        format!(
            "{}: {} with {} znodes and {} sessions, up to zxid {}, from {}\n",
            self.file,
            bytes_text(self.bytes),
            self.znodes,
            self.sessions,
            self.zxid,
            self.server
        )
    }

    fn names(&self) -> Vec<String> {
        vec![self.file.clone()]
    }
}

pub(in crate::keeper) async fn run(
    args: &SnapshotArgs,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let admin = Admin::connect(&args.admin, context, ACTION).await?;
    let server = admin.name();
    let mut answer = admin.snapshot().await?;
    let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    let (zxid, size) = (header("last_zxid"), header("snapshot_size").parse().ok());
    let bar = bar(Counted::Bytes, size, context.streams);
    if args.file.as_os_str() == STDOUT {
        let copied = copy_out(&mut answer, context, &bar).await;
        bar.finish_and_clear();
        return copied;
    }
    let path = args.file.display().to_string();
    let unwritable = |source| Error::Failed {
        action: format!("writing {path}"),
        reason: std::io::Error::to_string(&source),
    };
    let part = part_of(&args.file);
    let disk = Arc::clone(&context.runtime.disk);
    let file = disk.open(&part, OpenMode::Truncate).map_err(unwritable)?;
    let saved = save(&mut answer, context, &file, &bar).await;
    bar.finish_and_clear();
    let checked = match saved {
        Ok(bytes) => check(context, &part).await.map(|counts| (bytes, counts)),
        Err(error) => Err(error),
    };
    let (bytes, (znodes, sessions)) = checked.inspect_err(|_| {
        // What is not whole is of no use to anybody.
        let _ = disk.remove_file(&part);
    })?;
    let kept = file
        .sync_data()
        .and_then(|()| disk.rename(&part, &args.file))
        .and_then(|()| disk.sync_dir(folder_of(&args.file)));
    kept.map_err(unwritable)?;
    let made = Made {
        file: path.clone(),
        server,
        zxid,
        bytes,
        znodes,
        sessions,
    };
    let format = context.globals.output.unwrap_or_default();
    output::print(&made, format, context.streams)
}

/// Where a backup is while it is not whole.
fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

async fn next(answer: &mut Answer) -> Result<Option<Bytes>, Error> {
    let piece = answer.next().await;
    piece.map_err(|reason| Error::Failed {
        action: ACTION.to_owned(),
        reason: format!("{reason}; try again"),
    })
}

async fn copy_out(
    answer: &mut Answer,
    context: &mut Context<'_>,
    bar: &ProgressBar,
) -> Result<(), Error> {
    while let Some(piece) = next(answer).await? {
        let written = context.streams.out.write_all(&piece);
        written.map_err(Error::stdout)?;
        bar.inc(piece.len() as u64);
    }
    context.streams.out.flush().map_err(Error::stdout)
}

async fn save(
    answer: &mut Answer,
    context: &Context<'_>,
    file: &Arc<dyn File>,
    bar: &ProgressBar,
) -> Result<u64, Error> {
    let mut at = 0;
    while let Some(piece) = next(answer).await? {
        let (file, length) = (Arc::clone(file), piece.len() as u64);
        let write = move || file.write_at(&[IoSlice::new(&piece)], at);
        let written = context.runtime.tasks.blocking(write).await;
        written.map_err(|source| Error::Failed {
            action: "writing the backup".to_owned(),
            reason: source.to_string(),
        })?;
        at += length;
        bar.inc(length);
    }
    Ok(at)
}

/// Reads the backup once more, with its checksums: how many znodes and sessions it has.
async fn check(context: &Context<'_>, part: &Path) -> Result<(u64, u64), Error> {
    let (disk, path) = (Arc::clone(&context.runtime.disk), part.to_owned());
    let checking = move || count(&*disk, &path);
    let checked = context.runtime.tasks.blocking(checking).await;
    checked.map_err(|reason| Error::Failed {
        action: ACTION.to_owned(),
        reason: format!("what came is no backup: {reason}"),
    })
}

fn count(disk: &dyn Disk, path: &Path) -> Result<(u64, u64), String> {
    let file = FileRead::open(disk, path, &ProgressBar::hidden());
    let source = file.and_then(Decompressed::of_any);
    let source = source.map_err(|error| error.to_string())?;
    let mut reader = SnapshotReader::new(source).map_err(|error| error.to_string())?;
    let sessions = reader.sessions().len() as u64;
    let mut znodes = 0;
    for node in reader.by_ref() {
        node.map_err(|error| error.to_string())?;
        znodes += 1;
    }
    Ok((znodes, sessions))
}
