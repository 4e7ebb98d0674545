//! The data directory of a ZooKeeper: its newest whole snapshot, and all transactions behind it.
//!
//! ```text
//!   dataDir/version-2/snapshot.ZXID      and dataLogDir/version-2/log.ZXID
//!
//!   snapshot ──▶ transactions of its zxid + 1, + 2, …      no number may be missing
//! ```
//!
//! As a ZooKeeper does when it starts: a snapshot that a crash has cut off gives way to the one before
//! it, and so does the end of the log that was not written (`FileTxnSnapLog.restore`).

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use ottla_jute::files::{Compression, Decompressed, FileName, LogReader};
use ottla_runtime::disk::Disk;
use ottla_znode::{Import, State};

use super::source::FileRead;

const FOLDER: &str = "version-2";

/// What there is to be read, by zxid.
#[derive(Debug)]
pub(super) struct Files {
    /// With their sizes.
    snapshots: Vec<(i64, Compression, PathBuf, u64)>,
    logs: Vec<(i64, PathBuf, u64)>,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) state: State,
    /// The name of the snapshot that it began with.
    pub(super) snapshot: String,
    /// So many transactions of the log behind it.
    pub(super) transactions: u64,
    /// What was odd, and did no harm.
    pub(super) notes: Vec<String>,
}

impl Files {
    /// What will be read, if the newest snapshot is whole.
    pub(super) fn bytes(&self) -> u64 {
        let Some((zxid, _, _, size)) = self.snapshots.last() else {
            return 0;
        };
        self.logs_behind(*zxid)
            .map(|(_, _, size)| size)
            .sum::<u64>()
            + size
    }

    /// The logs that may hold what comes behind a transaction: all that begin later, and the one
    /// before those.
    fn logs_behind(&self, zxid: i64) -> impl Iterator<Item = &(i64, PathBuf, u64)> {
        let later = self.logs.partition_point(|(first, ..)| *first <= zxid);
        self.logs.iter().skip(later.saturating_sub(1))
    }
}

/// Looks for the files of a ZooKeeper.
pub(super) fn list(disk: &dyn Disk, data_dir: &Path, log_dir: &Path) -> Result<Files, String> {
    let mut files = Files {
        snapshots: Vec::new(),
        logs: Vec::new(),
    };
    let snapshot_folder = folder(disk, data_dir)?;
    for (name, path, size) in entries(disk, &snapshot_folder)? {
        if let FileName::Snapshot { zxid, compression } = name {
            files.snapshots.push((zxid, compression, path, size));
        }
    }
    for (name, path, size) in entries(disk, &folder(disk, log_dir)?)? {
        if let FileName::Log { zxid } = name {
            files.logs.push((zxid, path, size));
        }
    }
    files.snapshots.sort_by_key(|(zxid, ..)| *zxid);
    files.logs.sort_by_key(|(zxid, ..)| *zxid);
    if files.snapshots.is_empty() {
        return Err(format!(
            "there is no snapshot (snapshot.ZXID) in {}; name the dataDir of a ZooKeeper 3.4 or newer \
             that has run",
            snapshot_folder.display()
        ));
    }
    Ok(files)
}

/// The folder with the files: `version-2`, or the directory if it is that one itself.
fn folder(disk: &dyn Disk, directory: &Path) -> Result<PathBuf, String> {
    if directory.file_name().is_some_and(|name| name == FOLDER) {
        return Ok(directory.to_owned());
    }
    let below = directory.join(FOLDER);
    if disk.list(&below).is_ok() {
        return Ok(below);
    }
    Err(format!(
        "{} has no folder {FOLDER}: it is no directory of a ZooKeeper, or may not be read; name its \
         dataDir, and its dataLogDir with --log-dir",
        directory.display()
    ))
}

fn entries(disk: &dyn Disk, folder: &Path) -> Result<Vec<(FileName, PathBuf, u64)>, String> {
    let unreadable = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let listed = disk.list(folder).map_err(|e| unreadable(folder, e))?;
    let mut files = Vec::new();
    for entry in listed.iter().filter(|entry| !entry.is_dir) {
        let Some(name) = FileName::parse(&entry.name) else {
            continue;
        };
        let path = folder.join(&entry.name);
        let file = FileRead::open(disk, &path, &ProgressBar::hidden());
        let size = file.and_then(|file| file.len());
        files.push((name, path.clone(), size.map_err(|e| unreadable(&path, e))?));
    }
    Ok(files)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Reads the newest snapshot that is whole, and what the log has behind it.
pub(super) fn read(disk: &dyn Disk, files: &Files, bar: &ProgressBar) -> Result<Found, String> {
    let mut notes = Vec::new();
    let mut damaged = None;
    for (zxid, compression, path, _) in files.snapshots.iter().rev() {
        let name = name_of(path);
        match read_snapshot(disk, path, *compression, bar) {
            Ok(mut import) => {
                import.snapshot_zxid(*zxid);
                let replayed = replay(disk, files, (&name, *zxid), import, bar, &mut notes);
                let (import, transactions, last) = replayed?;
                let newest = files.snapshots.last().map_or(*zxid, |(zxid, ..)| *zxid);
                if let Some(reason) = damaged.filter(|_| last < newest) {
                    return Err(format!(
                        "{reason}; and the log behind the one before it ({name}) ends at zxid \
                         0x{last:x}. Take the directory of another server"
                    ));
                }
                return Ok(Found {
                    state: import.finish(),
                    snapshot: name,
                    transactions,
                    notes,
                });
            }
            Err(reason) => {
                let reason = format!("{name}: {reason}");
                notes.push(format!(
                    "{reason} (the one before it is taken, as ZooKeeper does)"
                ));
                damaged.get_or_insert(reason);
            }
        }
    }
    Err(damaged.unwrap_or_else(|| "there is no snapshot".to_owned()))
}

fn read_snapshot(
    disk: &dyn Disk,
    path: &Path,
    compression: Compression,
    bar: &ProgressBar,
) -> Result<Import, String> {
    let file = FileRead::open(disk, path, bar).map_err(|error| error.to_string())?;
    let mut import = Import::new();
    let source = Decompressed::new(compression, file);
    import.snapshot(source).map_err(|error| error.to_string())?;
    Ok(import)
}

/// Carries out the transactions behind a snapshot: how many, and the last one.
fn replay(
    disk: &dyn Disk,
    files: &Files,
    (snapshot, zxid): (&str, i64),
    mut import: Import,
    bar: &ProgressBar,
    notes: &mut Vec<String>,
) -> Result<(Import, u64, i64), String> {
    let (mut last, mut before, mut count) = (zxid, snapshot.to_owned(), 0);
    for (_, path, size) in files.logs_behind(zxid) {
        let name = name_of(path);
        if *size == 0 {
            // A crash came before the first byte.
            continue;
        }
        let told = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let file = FileRead::open(disk, path, bar).map_err(|error| told(&error))?;
        let mut reader = LogReader::new(file).map_err(|error| told(&error))?;
        for entry in reader.by_ref() {
            let entry = entry.map_err(|error| told(&error))?;
            let next = entry.header.zxid;
            if next <= last {
                continue;
            }
            if !follows(last, next) {
                return Err(format!(
                    "transactions are missing between {before} and {name}: 0x{last:x} is followed by \
                     0x{next:x}; name the dataLogDir with --log-dir, or take the directory of another \
                     server"
                ));
            }
            import.replay(&entry);
            last = next;
            count += 1;
        }
        if reader.is_torn() {
            notes.push(format!(
                "{name} ends inside a transaction, which nobody was promised; it is left out"
            ));
        }
        before = name;
    }
    Ok((import, count, last))
}

/// Whether one zxid may be the next one behind another: the counter goes on, or begins anew with a
/// later epoch.
fn follows(last: i64, next: i64) -> bool {
    let epoch = |zxid: i64| zxid >> 32;
    let counter = |zxid: i64| zxid & 0xffff_ffff;
    if epoch(last) == epoch(next) {
        return next == last + 1;
    }
    epoch(next) > epoch(last) && counter(next) <= 1
}

#[cfg(test)]
mod tests;
