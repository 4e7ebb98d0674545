//! What a run was, what happened, and what was found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use ottla_testkit::check::Finding;
use ottla_testkit::faults::Kind;
use ottla_testkit::history::{Event, History, Role};
use serde_json::json;

use crate::Arguments;

/// More of one kind say nothing new to a person; the file has all.
const SHOWN_OF_A_CHECK: usize = 5;

/// A fault as it was.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) kind: Kind,
    pub(crate) node: usize,
    pub(crate) at_second: f64,
    pub(crate) lasted_seconds: f64,
}

/// How much the clients did.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent: usize,
    acknowledged: usize,
    refused: usize,
    committed: usize,
    aborted: usize,
    read: usize,
    offsets_committed: usize,
    offsets_told: usize,
    clients: usize,
    longest_wait_ms: u64,
}

/// Everything of a run.
#[derive(Debug)]
pub(crate) struct Report {
    flavour: &'static str,
    nodes: usize,
    seed: u64,
    minutes: f64,
    wanted: Vec<Kind>,
    counts: Counts,
    pub(crate) seconds: f64,
    pub(crate) not_run: Vec<(Kind, String)>,
    pub(crate) happened: Vec<Happened>,
    pub(crate) written_again: usize,
    pub(crate) findings: Vec<Finding>,
    pub(crate) failures: Vec<String>,
    pub(crate) kept: Option<PathBuf>,
}

impl Report {
    pub(crate) fn of(flavour: &'static str, arguments: &Arguments, wanted: &[Kind]) -> Report {
        Report {
            flavour,
            nodes: arguments.nodes,
            seed: arguments.seed,
            minutes: arguments.minutes,
            wanted: wanted.to_vec(),
            counts: Counts::default(),
            seconds: 0.0,
            not_run: Vec::new(),
            happened: Vec::new(),
            written_again: 0,
            findings: Vec::new(),
            failures: Vec::new(),
            kept: None,
        }
    }

    /// What its files are called.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}-nodes-seed-{}", self.flavour, self.nodes, self.seed)
    }

    /// Nothing was found, nothing failed, and clients did get something done.
    pub(crate) fn is_good(&self) -> bool {
        self.findings.is_empty() && self.failures.is_empty() && self.counts.acknowledged > 0
    }

    /// Takes in what clients did.
    pub(crate) fn count(&mut self, history: &History) {
        let counts = &mut self.counts;
        counts.clients = history.clients.len();
        for client in &history.clients {
            let mut last_ack_us = None;
            for entry in &client.entries {
                match &entry.event {
                    Event::Send { .. } => counts.sent += 1,
                    Event::Acked { number, .. } => {
                        counts.acknowledged += 1;
                        if client.role == Role::Producer && *number == 0 {
                            let before = last_ack_us.replace(entry.at_us).unwrap_or(entry.at_us);
                            let wait_ms = entry.at_us.saturating_sub(before) / 1000;
                            counts.longest_wait_ms = counts.longest_wait_ms.max(wait_ms);
                        }
                    }
                    Event::Refused { .. } => counts.refused += 1,
                    Event::Committed { .. } => counts.committed += 1,
                    Event::Aborted { .. } => counts.aborted += 1,
                    Event::Read { .. } => counts.read += 1,
                    Event::OffsetCommitted { .. } => counts.offsets_committed += 1,
                    Event::OffsetTold { .. } => counts.offsets_told += 1,
                    _ => {}
                }
            }
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let c = &self.counts;
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "\n{} nodes of {}, seed {}, {:.0} s in all",
            self.nodes, self.flavour, self.seed, self.seconds
        );
        let mut times: BTreeMap<Kind, (usize, f64)> = BTreeMap::new();
        for happened in &self.happened {
            let (count, longest) = times.entry(happened.kind).or_default();
            *count += 1;
            *longest = longest.max(happened.lasted_seconds);
        }
        let _ = writeln!(text, "faults: {}", self.happened.len());
        for (kind, (count, longest)) in times {
            let _ = writeln!(
                text,
                "  {kind:<14} {count:>3} ×, mended after {longest:.1} s at most"
            );
        }
        for (kind, why) in &self.not_run {
            let _ = writeln!(text, "  {kind:<14} not run: {why}");
        }
        let _ = writeln!(
            text,
            "{} clients: {} records sent, {} acknowledged, {} refused; {} transactions committed, {} \
             aborted; {} records read; {} offsets committed, {} asked for; longest wait between two \
             acknowledgements {} ms",
            c.clients,
            c.sent,
            c.acknowledged,
            c.refused,
            c.committed,
            c.aborted,
            c.read,
            c.offsets_committed,
            c.offsets_told,
            c.longest_wait_ms
        );
        if self.written_again > 0 {
            let again = self.written_again;
            let _ = writeln!(
                text,
                "{again} records were written again by their clients in a new epoch"
            );
        }
        for failure in &self.failures {
            let _ = writeln!(text, "FAILED: {failure}");
        }
        let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &self.findings {
            let count = shown.entry(finding.check).or_default();
            *count += 1;
            if *count <= SHOWN_OF_A_CHECK {
                let _ = writeln!(text, "FOUND: {finding}");
            }
        }
        for (check, count) in shown.iter().filter(|(_, count)| **count > SHOWN_OF_A_CHECK) {
            let _ = writeln!(text, "FOUND: {check}: {count} in all");
        }
        if let Some(kept) = &self.kept {
            let _ = writeln!(text, "what nodes and clients wrote: {}", kept.display());
        }
        if !self.is_good() {
            let _ = writeln!(text, "again: {}", self.again());
        }
        let verdict = if self.is_good() { "ok" } else { "FAILED" };
        let _ = write!(
            text,
            "case {}: {verdict} ({} findings, {} failures, {:.1} s)",
            self.name(),
            self.findings.len(),
            self.failures.len(),
            self.seconds
        );
        text
    }

    fn again(&self) -> String {
        let kinds: Vec<&str> = self.wanted.iter().map(|kind| kind.name()).collect();
        let kafka = if self.flavour == "kafka" {
            " --kafka"
        } else {
            ""
        };
        let minutes = self.minutes;
        format!(
            "cargo xtask cluster-test{kafka} --nodes {} --seed {} --minutes {minutes} --faults {}",
            self.nodes,
            self.seed,
            kinds.join(",")
        )
    }

    /// Writes the same as JSON; where that is.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.json", self.name()));
        let happened = self.happened.iter().map(|h| {
            json!({
                "fault": h.kind.name(), "node": h.node,
                "at_second": h.at_second, "lasted_seconds": h.lasted_seconds,
            })
        });
        let findings = self
            .findings
            .iter()
            .map(|f| json!({ "check": f.check, "what": f.what }));
        let not_run = self
            .not_run
            .iter()
            .map(|(kind, why)| json!({ "fault": kind.name(), "why": why }));
        let c = &self.counts;
        let whole = json!({
            "flavour": self.flavour,
            "nodes": self.nodes,
            "seed": self.seed,
            "seconds": self.seconds,
            "good": self.is_good(),
            "faults": happened.collect::<Vec<_>>(),
            "not_run": not_run.collect::<Vec<_>>(),
            "clients": c.clients,
            "records": { "sent": c.sent, "acknowledged": c.acknowledged, "refused": c.refused, "read": c.read },
            "transactions": { "committed": c.committed, "aborted": c.aborted },
            "offsets": { "committed": c.offsets_committed, "asked": c.offsets_told },
            "written_again_by_clients": self.written_again,
            "longest_wait_ms": c.longest_wait_ms,
            "findings": findings.collect::<Vec<_>>(),
            "failures": self.failures,
            "again": self.again(),
        });
        fs::write(&path, serde_json::to_string_pretty(&whole)?)?;
        Ok(path)
    }
}
