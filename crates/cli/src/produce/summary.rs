//! What was produced.

use std::collections::BTreeMap;

use ottla_client::RecordPlace;
use serde::Serialize;

use crate::output::{self, OutputFormat, View};
use crate::table::table;
use crate::{Error, Streams};

/// Counts of records, by partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    topic: String,
    records: usize,
    /// Bytes of the lines.
    bytes: u64,
    pub(super) failed: usize,
    #[serde(serialize_with = "as_list")]
    partitions: BTreeMap<i32, Part>,
}

/// What went to one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Part {
    partition: i32,
    records: usize,
    /// Null when the broker does not tell, as with acks 0.
    first_offset: Option<i64>,
    last_offset: Option<i64>,
}

fn as_list<S: serde::Serializer>(
    parts: &BTreeMap<i32, Part>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(parts.values())
}

impl Summary {
    pub(super) fn new(topic: &str) -> Self {
        Summary {
            topic: topic.to_owned(),
            records: 0,
            bytes: 0,
            failed: 0,
            partitions: BTreeMap::new(),
        }
    }

    /// Counts a delivered record.
    pub(super) fn delivered(&mut self, place: RecordPlace, bytes: u64) {
        self.records += 1;
        self.bytes += bytes;
        let part = self.partitions.entry(place.partition).or_insert(Part {
            partition: place.partition,
            records: 0,
            first_offset: None,
            last_offset: None,
        });
        part.records += 1;
        if place.offset >= 0 {
            let first = part.first_offset.unwrap_or(place.offset);
            let last = part.last_offset.unwrap_or(place.offset);
            part.first_offset = Some(first.min(place.offset));
            part.last_offset = Some(last.max(place.offset));
        }
    }

    /// Every record that was tried.
    pub(super) fn total(&self) -> usize {
        self.records + self.failed
    }

    /// For people it goes to standard error, for machines to standard output.
    pub(super) fn print(&self, format: OutputFormat, streams: &mut Streams) -> Result<(), Error> {
        match format {
            OutputFormat::Table | OutputFormat::Wide => {
                streams.say(output::render(self, format)?.trim_end());
                Ok(())
            }
            OutputFormat::Json | OutputFormat::Yaml | OutputFormat::Name => {
                output::print(self, format, streams)
            }
        }
    }
}

impl View for Summary {
    fn table(&self, wide: bool) -> String {
        let records = if self.records == 1 {
            "record"
        } else {
            "records"
        };
        let bytes = if self.bytes == 1 { "byte" } else { "bytes" };
        let failed = match self.failed {
            0 => String::new(),
            failed => format!("; {failed} failed"),
        };
        let mut text = format!(
            "produced {} {records} ({} {bytes}) to {}{failed}\n",
            self.records, self.bytes, self.topic
        );
        if wide && !self.partitions.is_empty() {
            let or_dash = |offset: Option<i64>| {
                offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string())
            };
            let rows = self.partitions.values().map(|part| {
                [
                    part.partition.to_string(),
                    part.records.to_string(),
                    or_dash(part.first_offset),
                    or_dash(part.last_offset),
                ]
            });
            text.push('\n');
            text.push_str(&table(
                &["PARTITION", "RECORDS", "FIRST OFFSET", "LAST OFFSET"],
                rows,
            ));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.topic.clone()]
    }
}

#[cfg(test)]
mod tests;
