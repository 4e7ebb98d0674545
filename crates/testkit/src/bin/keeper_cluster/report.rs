//! What a run was, what happened, and what was found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use ottla_testkit::check::Finding;
use ottla_testkit::faults::Kind;
use ottla_testkit::keeper::history::{Answer, Event, History};
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
    clients: usize,
    writes: usize,
    acknowledged: usize,
    refused: usize,
    unknown: usize,
    reads: usize,
    events: usize,
    appended: usize,
    made: usize,
    listed: usize,
    sessions: usize,
    resumed: usize,
    expired: usize,
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
    pub(crate) findings: Vec<Finding>,
    pub(crate) failures: Vec<String>,
    pub(crate) kept: Option<PathBuf>,
}

impl Counts {
    fn of(history: &History) -> Counts {
        let mut counts = Counts {
            clients: history.clients.len(),
            ..Counts::default()
        };
        let mut acknowledged_us = Vec::new();
        for of in history.entries() {
            match &of.entry.event {
                Event::Wrote { answer, .. } => {
                    counts.writes += 1;
                    match answer {
                        Answer::Done(_) => {
                            counts.acknowledged += 1;
                            acknowledged_us.push(of.entry.ended_us);
                        }
                        Answer::Refused(_) => counts.refused += 1,
                        Answer::Unknown => counts.unknown += 1,
                    }
                }
                Event::Read { answer, .. } => counts.reads += usize::from(answer.done().is_some()),
                Event::Fired { .. } => counts.events += 1,
                Event::Appended { answer, .. } => {
                    counts.appended += usize::from(answer.done().is_some());
                }
                Event::Made(answer) => counts.made += usize::from(answer.done().is_some()),
                Event::Listed { answer, .. } => {
                    counts.listed += usize::from(answer.done().is_some());
                }
                Event::Opened { .. } => counts.sessions += 1,
                Event::Resumed(Answer::Done(())) => counts.resumed += 1,
                Event::Resumed(Answer::Refused(_)) => counts.expired += 1,
                _ => {}
            }
        }
        acknowledged_us.sort_unstable();
        let waits = acknowledged_us.windows(2).map(|pair| pair[1] - pair[0]);
        counts.longest_wait_ms = waits.max().unwrap_or(0) / 1000;
        counts
    }
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
            findings: Vec::new(),
            failures: Vec::new(),
            kept: None,
        }
    }

    /// What its files are called.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}-nodes-seed-{}", self.flavour, self.nodes, self.seed)
    }

    /// Nothing was found, nothing failed, and clients did get something of everything done.
    pub(crate) fn is_good(&self) -> bool {
        let c = &self.counts;
        let did_all = [
            c.acknowledged,
            c.reads,
            c.events,
            c.appended,
            c.made,
            c.listed,
        ];
        self.findings.is_empty()
            && self.failures.is_empty()
            && did_all.iter().all(|count| *count > 0)
    }

    /// Takes in what clients did.
    pub(crate) fn count(&mut self, history: &History) {
        self.counts = Counts::of(history);
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let c = &self.counts;
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "\n{} servers of {}, seed {}, {:.0} s in all",
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
            "{} clients: {} writes of registers ({} acknowledged, {} refused, {} unknown), longest wait \
             between two acknowledgements {} ms; {} reads, {} watches fired; {} nodes kept, {} ephemerals, \
             {} lists of those; {} sessions, {} resumed, {} found to be over",
            c.clients,
            c.writes,
            c.acknowledged,
            c.refused,
            c.unknown,
            c.longest_wait_ms,
            c.reads,
            c.events,
            c.appended,
            c.made,
            c.listed,
            c.sessions,
            c.resumed,
            c.expired
        );
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
            let _ = writeln!(text, "what servers and clients wrote: {}", kept.display());
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
        let zookeeper = if self.flavour == "zookeeper" {
            " --zookeeper"
        } else {
            ""
        };
        let minutes = self.minutes;
        format!(
            "cargo xtask keeper-test{zookeeper} --nodes {} --seed {} --minutes {minutes} --faults {}",
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
                "fault": h.kind.name(), "server": h.node,
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
            "servers": self.nodes,
            "seed": self.seed,
            "seconds": self.seconds,
            "good": self.is_good(),
            "faults": happened.collect::<Vec<_>>(),
            "not_run": not_run.collect::<Vec<_>>(),
            "clients": c.clients,
            "writes": { "asked": c.writes, "acknowledged": c.acknowledged, "refused": c.refused, "unknown": c.unknown },
            "reads": c.reads,
            "watches_fired": c.events,
            "nodes": { "kept": c.appended, "ephemeral": c.made, "lists": c.listed },
            "sessions": { "opened": c.sessions, "resumed": c.resumed, "over": c.expired },
            "longest_wait_ms": c.longest_wait_ms,
            "findings": findings.collect::<Vec<_>>(),
            "failures": self.failures,
            "again": self.again(),
        });
        fs::write(&path, serde_json::to_string_pretty(&whole)?)?;
        Ok(path)
    }
}
