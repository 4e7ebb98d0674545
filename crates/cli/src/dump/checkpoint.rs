//! The small text files of a data folder.
//!
//! ```text
//! 0                     version          version: 0             node.id=1
//! 2                     entries          topic_id: 4L6g3n…      cluster.id=MkU3…
//! orders 0 1000         an entry
//! ```

use std::path::Path;

use ottla_runtime::disk::File;
use serde_json::json;

use super::sink::Sink;
use super::unreadable;
use crate::Error;

/// The files that are text.
pub(super) const NAMES: [&str; 8] = [
    "leader-epoch-checkpoint",
    "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint",
    "replication-offset-checkpoint",
    "cleaner-offset-checkpoint",
    "partition.metadata",
    "meta.properties",
    "quorum-state",
];

/// Larger ones are none of these.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) fn dump(
    path: &Path,
    file: &dyn File,
    len: u64,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    sink.begin(path, "text", len)?;
    if len > FILE_BYTES_MAX {
        return sink.damage(0, format!("{len} bytes are too many"));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let read = file
        .read_at(&mut bytes, 0)
        .map_err(|e| unreadable(path, e))?;
    let Ok(text) = std::str::from_utf8(bytes.get(..read).unwrap_or_default()) else {
        return sink.damage(0, "it is not text");
    };
    if text.is_empty() {
        return sink.note(0, "it is empty: nothing was written to it yet");
    }
    if !name.ends_with("-checkpoint") {
        for line in text.lines() {
            sink.item("line", format!("  {line}"), &json!({ "text": line }))?;
        }
        return Ok(());
    }
    let words = if name == "leader-epoch-checkpoint" {
        2
    } else {
        3
    };
    let (mut position, mut announced, mut found) = (0, None, 0_u64);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let at = position;
        position += line.len() as u64;
        let line = line.trim_end();
        match number {
            0 if line != "0" => sink.damage(at, format!("version {line:?}; only 0 is known"))?,
            0 => {}
            1 => announced = line.parse::<u64>().ok(),
            _ if line.is_empty() => {}
            _ => {
                found += 1;
                entry(at, line, words, sink)?;
            }
        }
    }
    if announced != Some(found) {
        let announced = announced.map_or_else(|| "no number of".to_owned(), |n| n.to_string());
        sink.damage(
            2,
            format!("{announced} entries are announced, {found} are there"),
        )?;
    }
    Ok(())
}

fn entry(at: u64, line: &str, words: usize, sink: &mut Sink<'_>) -> Result<(), Error> {
    let parts: Vec<&str> = line.split_whitespace().collect();
    let numbers: Option<Vec<i64>> = parts
        .iter()
        .skip(words - 2)
        .map(|word| word.parse().ok())
        .collect();
    let fields = match (parts.as_slice(), numbers.as_deref()) {
        ([_, _], Some([epoch, start])) if words == 2 => {
            json!({ "leader_epoch": epoch, "start_offset": start })
        }
        ([topic, _, _], Some([partition, offset])) if words == 3 => {
            json!({ "topic": topic, "partition": partition, "offset": offset })
        }
        _ => return sink.damage(at, format!("{line:?} is no entry")),
    };
    sink.item("checkpoint_entry", format!("  {line}"), &fields)
}
