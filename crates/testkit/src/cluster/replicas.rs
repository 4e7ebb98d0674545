//! Compares what the nodes have on disk, once they are stopped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where two replicas of a partition differ, as text; nothing when all are the same byte for byte.
/// `folders` are the nodes' data folders in the order of their ids. Internal topics are left out:
/// compaction works on each replica for itself.
pub(super) fn differences(folders: &[PathBuf]) -> Result<Vec<String>> {
    let mut replicas: BTreeMap<String, Vec<(usize, PathBuf)>> = BTreeMap::new();
    for (node, folder) in folders.iter().enumerate() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_partition = name.rsplit_once('-').is_some_and(|(topic, partition)| {
                !topic.is_empty() && !topic.starts_with('_') && partition.parse::<u32>().is_ok()
            });
            if is_partition && entry.file_type()?.is_dir() {
                replicas
                    .entry(name)
                    .or_default()
                    .push((node + 1, entry.path()));
            }
        }
    }
    let mut found = Vec::new();
    for (partition, folders) in replicas {
        let mut first: Option<(usize, Vec<u8>)> = None;
        for (node, folder) in folders {
            let bytes = whole_log(&folder)?;
            let Some((other, expected)) = &first else {
                first = Some((node, bytes));
                continue;
            };
            if bytes != *expected {
                let same = bytes
                    .iter()
                    .zip(expected)
                    .take_while(|(a, b)| a == b)
                    .count();
                found.push(format!(
                    "{partition} has {} bytes at node {node} and {} at node {other}; they differ \
                     from byte {same} on",
                    bytes.len(),
                    expected.len()
                ));
            }
        }
    }
    Ok(found)
}

/// The bytes of all segments, one behind the other: where a segment begins, each replica decides.
fn whole_log(folder: &Path) -> Result<Vec<u8>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            segments.push(path);
        }
    }
    segments.sort();
    let mut bytes = Vec::new();
    for segment in segments {
        let read = fs::read(&segment);
        bytes.extend(read.with_context(|| format!("cannot read {}", segment.display()))?);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_differs_is_found_wherever_segments_begin() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write("1/orders-0/0.log", b"abcdef");
        write("2/orders-0/0.log", b"abc");
        write("2/orders-0/3.log", b"def");
        write("2/orders-0/0.index", b"other");
        write("1/__consumer_offsets-0/0.log", b"x");
        write("2/__consumer_offsets-0/0.log", b"y");
        let folders = ["1", "2"].map(|node| folder.path().join(node));
        assert!(differences(&folders).unwrap().is_empty());
        write("2/orders-0/3.log", b"deX");
        let found = differences(&folders).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("from byte 5 on"), "{found:?}");
        write("2/orders-0/3.log", b"d");
        assert_eq!(differences(&folders).unwrap().len(), 1);
    }
}
