//! The small text files: checkpoints of the data folder, `partition.metadata`, the clean-shutdown
//! marker.
//!
//! ```text
//! 0                     version          version: 0
//! 2                     entries          topic_id: 4L6g3nShT-eMCtK--X86sw
//! orders 0 1000         topic partition offset
//! orders 1 998
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use ottla_model::{Offset, TopicId, TopicName, TopicPartition};
use ottla_runtime::Disk;

use crate::Error;

/// Offsets by partition.
pub(crate) type Offsets = BTreeMap<TopicPartition, Offset>;

const VERSION: &str = "0";

/// The marker's text, as Kafka's own brokers read it.
pub(crate) const CLEAN_SHUTDOWN_TEXT: &str = "{\"version\":0,\"brokerEpoch\":-1}";

/// Reads a file that may be missing.
pub(crate) fn read_if_exists(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match disk.read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// The lines between the version and the end, after checking both numbers in front.
pub(crate) fn body_lines(bytes: &[u8]) -> Result<Vec<&str>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let mut lines = text.lines();
    let version = lines.next().unwrap_or_default();
    if version.trim() != VERSION {
        return Err(format!("version '{version}' is not 0"));
    }
    let count: usize = lines
        .next()
        .and_then(|l| l.trim().parse().ok())
        .ok_or("its second line is not the number of entries")?;
    let lines: Vec<&str> = lines.filter(|l| !l.trim().is_empty()).collect();
    if lines.len() != count {
        return Err(format!("{} entries instead of {count}", lines.len()));
    }
    Ok(lines)
}

/// Text of the form that [`body_lines`] reads.
pub(crate) fn with_count(lines: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("{VERSION}\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

pub(crate) fn parse_offsets(bytes: &[u8]) -> Result<Offsets, String> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let topic = TopicName::new(words.next()?).ok()?;
        let partition = words.next()?.parse().ok()?;
        let offset = words.next()?.parse().ok()?;
        let is_whole = words.next().is_none() && partition >= 0 && offset >= 0;
        is_whole.then_some((TopicPartition::new(topic, partition), offset))
    };
    let mut offsets = Offsets::new();
    for line in body_lines(bytes)? {
        let (partition, offset) =
            entry(line).ok_or_else(|| format!("'{line}' is not 'topic partition offset'"))?;
        offsets.insert(partition, offset);
    }
    Ok(offsets)
}

pub(crate) fn format_offsets(offsets: &Offsets) -> String {
    with_count(
        offsets
            .iter()
            .map(|(tp, offset)| format!("{} {} {offset}", tp.topic, tp.partition)),
    )
}

pub(crate) fn read_offsets(disk: &dyn Disk, path: &Path) -> Result<Option<Offsets>, Error> {
    let Some(bytes) = read_if_exists(disk, path)? else {
        return Ok(None);
    };
    parse_offsets(&bytes)
        .map(Some)
        .map_err(|reason| Error::Malformed {
            path: path.to_owned(),
            reason,
        })
}

pub(crate) fn parse_partition_metadata(bytes: &[u8]) -> Option<TopicId> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    let version = lines.next()?.strip_prefix("version:")?;
    let id = lines.next()?.strip_prefix("topic_id:")?;
    if version.trim() != VERSION {
        return None;
    }
    id.trim().parse().ok()
}

pub(crate) fn format_partition_metadata(id: TopicId) -> String {
    format!("version: {VERSION}\ntopic_id: {id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn checkpoints_have_kafkas_form() {
        let tp = |t: &str, p| TopicPartition::new(TopicName::new(t).unwrap(), p);
        let offsets = Offsets::from([(tp("a", 0), 7), (tp("b", 11), 0)]);
        let text = format_offsets(&offsets);
        assert_eq!(text, "0\n2\na 0 7\nb 11 0\n");
        assert_eq!(parse_offsets(text.as_bytes()), Ok(offsets));
        for bad in [
            "",
            "1\n0\n",
            "0\n2\na 0 7\n",
            "0\n1\na 0\n",
            "0\n1\na 0 -7\n",
            "0\n1\n.. 0 7\n",
        ] {
            assert!(parse_offsets(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn partition_metadata_has_kafkas_form() {
        let id: TopicId = "4L6g3nShT-eMCtK--X86sw".parse().unwrap();
        let text = format_partition_metadata(id);
        assert_eq!(text, "version: 0\ntopic_id: 4L6g3nShT-eMCtK--X86sw");
        assert_eq!(parse_partition_metadata(text.as_bytes()), Some(id));
        assert_eq!(parse_partition_metadata(b"version: 1\ntopic_id: x"), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(parse_offsets(&bytes));
            let _ = parse_partition_metadata(&bytes);
        }
    }
}
