//! Offsets in a file: what `-o json` of a dry run printed, or Kafka's CSV.

use std::collections::BTreeMap;
use std::path::Path;

use ottla_runtime::Runtime;
use serde::Deserialize;

use super::target::Place;
use crate::Error;

/// More is no file of offsets.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Deserialize)]
struct Document {
    offsets: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    topic: String,
    partition: i32,
    /// Null where nothing could be said; such a partition is left alone.
    offset: Option<i64>,
}

/// Reads the file.
pub(super) fn read(
    path: &Path,
    group: &str,
    runtime: &Runtime,
) -> Result<BTreeMap<Place, i64>, Error> {
    let failed = |source| Error::File {
        path: path.display().to_string(),
        source,
    };
    let file = runtime.disk.open(path, ottla_runtime::disk::OpenMode::Read);
    let len = file.and_then(|file| file.len()).map_err(failed)?;
    if len > FILE_BYTES_MAX {
        return Err(failed(std::io::Error::other(format!(
            "{len} bytes are too many for a file of offsets"
        ))));
    }
    let bytes = runtime.disk.read(path).map_err(failed)?;
    let text =
        String::from_utf8(bytes).map_err(|_| failed(std::io::Error::other("it is no text")))?;
    parse(&text, group).map_err(|(line, reason)| Error::Line {
        input: path.display().to_string(),
        line,
        reason,
    })
}

/// JSON when it begins like JSON, else CSV.
pub(super) fn parse(text: &str, group: &str) -> Result<BTreeMap<Place, i64>, (u64, String)> {
    if !text.trim_start().starts_with(['{', '[']) {
        return csv(text, group);
    }
    let document = serde_json::from_str::<Document>(text)
        .map(|document| document.offsets)
        .or_else(|first| serde_json::from_str::<Vec<Entry>>(text).map_err(|_| first));
    let entries = document.map_err(|error| (error.line() as u64, error.to_string()))?;
    let offsets = entries.into_iter().filter_map(|entry| {
        let offset = entry.offset.filter(|offset| *offset >= 0)?;
        Some(((entry.topic, entry.partition), offset))
    });
    Ok(offsets.collect())
}

/// Lines of `topic,partition,offset`, or `group,topic,partition,offset` of which those of other
/// groups are left out, as Kafka's own tool exports them.
fn csv(text: &str, group: &str) -> Result<BTreeMap<Place, i64>, (u64, String)> {
    let mut offsets = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |reason: &str| (number, format!("{line:?} {reason}"));
        let cells: Vec<&str> = line
            .split(',')
            .map(|c| c.trim().trim_matches('"'))
            .collect();
        let (topic, partition, offset) = match cells.as_slice() {
            [topic, partition, offset] => (topic, partition, offset),
            [of, topic, partition, offset] if *of == group => (topic, partition, offset),
            [_, _, _, _] => continue,
            _ => return Err(wrong("is not topic,partition,offset")),
        };
        let partition = partition.parse::<i32>().ok().filter(|p| *p >= 0);
        let offset = offset.parse::<i64>().ok().filter(|o| *o >= 0);
        let (Some(partition), Some(offset)) = (partition, offset) else {
            return Err(wrong("has no numbers for partition and offset"));
        };
        offsets.insert(((*topic).to_owned(), partition), offset);
    }
    Ok(offsets)
}
