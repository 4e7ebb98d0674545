//! What `ottla mirror` tells at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Sides;
use super::groups::GroupCopied;
use super::topics::LeftOut;
use crate::output::View;
use crate::size::bytes_text;
use crate::table::table;

/// The reply to the person.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    from: String,
    to: String,
    /// Nothing was done; the numbers tell what would be.
    dry_run: bool,
    /// It ended before everything was copied; another run goes on.
    pub(super) interrupted: bool,
    records: u64,
    bytes: u64,
    elapsed_ms: u64,
    topics: Vec<TopicCopied>,
    groups: Vec<GroupCopied>,
}

/// A topic.
#[derive(Debug, Default, Serialize)]
pub(super) struct TopicCopied {
    name: String,
    pub(super) partitions: usize,
    pub(super) created: bool,
    /// Those of this run; with `dry_run` the offsets that the source holds.
    pub(super) records: u64,
    /// As sent to the target, compressed as they are.
    pub(super) bytes: u64,
    /// Whether each record has the offset that it has in the source; null when nothing was done.
    pub(super) same_offsets: Option<bool>,
    /// Offsets that the source deleted while they were still to be copied.
    pub(super) deleted_before_copied: u64,
    /// The settings that it was made with.
    pub(super) configs: BTreeMap<String, String>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) failure: Option<String>,
}

impl Summary {
    pub(super) fn new(sides: &Sides, dry_run: bool) -> Summary {
        Summary {
            from: sides.from.bootstrap_servers.clone(),
            to: sides.to.bootstrap_servers.clone(),
            dry_run,
            interrupted: false,
            records: 0,
            bytes: 0,
            elapsed_ms: 0,
            topics: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// The place of a topic, made when it is not there.
    pub(super) fn topic(&mut self, name: &str) -> &mut TopicCopied {
        let found = self.topics.binary_search_by(|t| t.name.as_str().cmp(name));
        let at = found.unwrap_or_else(|at| {
            let name = name.to_owned();
            self.topics.insert(
                at,
                TopicCopied {
                    name,
                    ..TopicCopied::default()
                },
            );
            at
        });
        &mut self.topics[at]
    }

    /// What became of a group, instead of what was told before.
    pub(super) fn group(&mut self, copied: GroupCopied) {
        self.groups.retain(|group| group.group != copied.group);
        self.groups.push(copied);
        self.groups.sort_by(|a, b| a.group.cmp(&b.group));
    }

    pub(super) fn groups_to_copy(&mut self, groups: &[String]) {
        for group in groups {
            self.group(GroupCopied {
                group: group.clone(),
                committed: 0,
                unchanged: 0,
                note: None,
            });
        }
    }

    pub(super) fn took(&mut self, elapsed: Duration) {
        self.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.records = self.topics.iter().map(|topic| topic.records).sum();
        self.bytes = self.topics.iter().map(|topic| topic.bytes).sum();
    }

    /// How many topics and groups there are.
    pub(super) fn things(&self) -> usize {
        self.topics.len() + self.groups.len()
    }

    fn last_line(&self) -> String {
        if self.dry_run {
            return "nothing was copied: this was a dry run\n".to_owned();
        }
        let seconds = self.elapsed_ms as f64 / 1000.0;
        let speed = (self.bytes as f64 / seconds.max(0.001)) as u64;
        format!(
            "{} records, {} in {seconds:.1} s ({}/s){}\n",
            self.records,
            bytes_text(self.bytes),
            bytes_text(speed),
            if self.interrupted {
                "; interrupted, another run goes on from here"
            } else {
                ""
            }
        )
    }
}

impl TopicCopied {
    fn offsets(&self) -> &'static str {
        match self.same_offsets {
            Some(true) => "same",
            Some(false) => "translated",
            None => "-",
        }
    }

    fn note(&self) -> String {
        let mut notes = Vec::new();
        if let Some(failure) = &self.failure {
            notes.push(format!("failed: {failure}"));
        }
        if self.deleted_before_copied > 0 {
            let count = self.deleted_before_copied;
            notes.push(format!(
                "{count} offsets deleted in the source before they were copied"
            ));
        }
        if !self.left_out.is_empty() {
            let names: Vec<&str> = self.left_out.iter().map(|l| l.name.as_str()).collect();
            notes.push(format!("left out: {}", names.join(", ")));
        }
        notes.join("; ")
    }
}

impl View for Summary {
    fn table(&self, _wide: bool) -> String {
        let headings = [
            "TOPIC",
            "PARTITIONS",
            "RECORDS",
            "BYTES",
            "OFFSETS",
            "NEW",
            "NOTE",
        ];
        let rows = self.topics.iter().map(|topic| {
            [
                topic.name.clone(),
                topic.partitions.to_string(),
                topic.records.to_string(),
                bytes_text(topic.bytes),
                topic.offsets().to_owned(),
                if topic.created { "yes" } else { "no" }.to_owned(),
                topic.note(),
            ]
        });
        let mut text = table(&headings, rows);
        if !self.groups.is_empty() {
            let rows = self.groups.iter().map(|group| {
                [
                    group.group.clone(),
                    group.committed.to_string(),
                    group.unchanged.to_string(),
                    group.note.clone().unwrap_or_default(),
                ]
            });
            text.push('\n');
            text += &table(&["GROUP", "COMMITTED", "UNCHANGED", "NOTE"], rows);
        }
        text.push('\n');
        text + &self.last_line()
    }

    fn names(&self) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.clone()).collect()
    }
}
