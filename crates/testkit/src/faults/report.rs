//! What a run of faults was, what happened, and what was found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::{FaultArguments, Kind};
use crate::check::Finding;

/// More of one kind say nothing new to a person; the file has all.
const SHOWN_OF_A_CHECK: usize = 5;

/// A fault as it was.
#[derive(Clone, Debug)]
pub struct Happened {
    /// What it was.
    pub kind: Kind,
    /// Its node's number.
    pub node: usize,
    /// When it began.
    pub at_second: f64,
    /// How long it was.
    pub lasted_seconds: f64,
}

/// How much the clients did.
pub trait Counts: Default {
    /// Whether they got everything done that they are there for.
    fn did_all(&self) -> bool;
    /// For people: lines.
    fn text(&self) -> String;
    /// For programs: an object.
    fn json(&self) -> Value;
}

/// Who was hit.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// What its nodes are.
    pub flavour: &'static str,
    /// The command of `cargo xtask` that plays such a run.
    pub command: &'static str,
    /// The flavour for which that command has an option of the same name.
    pub reference: &'static str,
}

/// Everything of a run.
#[derive(Debug)]
pub struct Report<C> {
    subject: Subject,
    nodes: usize,
    seed: u64,
    minutes: f64,
    wanted: Vec<Kind>,
    /// How much the clients did.
    pub counts: C,
    /// How long all of it took.
    pub seconds: f64,
    /// Kinds that cannot be made here, and why.
    pub not_run: Vec<(Kind, String)>,
    /// What was done to the nodes.
    pub happened: Vec<Happened>,
    /// What the checks say.
    pub findings: Vec<Finding>,
    /// What went wrong with the run itself.
    pub failures: Vec<String>,
    /// Where everything is that nodes and clients wrote.
    pub kept: Option<PathBuf>,
}

impl<C: Counts> Report<C> {
    /// Of a run that is about to begin.
    pub fn of(subject: Subject, arguments: &FaultArguments, wanted: &[Kind]) -> Report<C> {
        Report {
            subject,
            nodes: arguments.nodes,
            seed: arguments.seed,
            minutes: arguments.minutes,
            wanted: wanted.to_vec(),
            counts: C::default(),
            seconds: 0.0,
            not_run: Vec::new(),
            happened: Vec::new(),
            findings: Vec::new(),
            failures: Vec::new(),
            kept: None,
        }
    }

    /// What its files are called.
    pub fn name(&self) -> String {
        let flavour = self.subject.flavour;
        format!("{flavour}-{}-nodes-seed-{}", self.nodes, self.seed)
    }

    /// Nothing was found, nothing failed, and clients did get everything done.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.failures.is_empty() && self.counts.did_all()
    }

    /// For people.
    fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "\n{} nodes of {}, seed {}, {:.0} s in all",
            self.nodes, self.subject.flavour, self.seed, self.seconds
        );
        self.tell_faults(&mut text);
        let _ = writeln!(text, "{}", self.counts.text());
        self.tell_findings(&mut text);
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

    fn tell_faults(&self, text: &mut String) {
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
    }

    fn tell_findings(&self, text: &mut String) {
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
    }

    fn again(&self) -> String {
        let kinds: Vec<&str> = self.wanted.iter().map(|kind| kind.name()).collect();
        let Subject {
            flavour,
            command,
            reference,
        } = self.subject;
        let mut again = format!("cargo xtask {command}");
        if flavour == reference {
            let _ = write!(again, " --{reference}");
        }
        let (nodes, seed, minutes) = (self.nodes, self.seed, self.minutes);
        let kinds = kinds.join(",");
        let _ = write!(
            again,
            " --nodes {nodes} --seed {seed} --minutes {minutes} --faults {kinds}"
        );
        again
    }

    /// Tells people and writes the file; what the program ends with.
    pub fn conclude(&self, folder: &Path) -> Result<ExitCode> {
        println!("{}", self.text());
        let path = self.write(folder)?;
        println!("wrote {}", path.display());
        Ok(if self.is_good() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// Writes the same as JSON; where that is.
    fn write(&self, folder: &Path) -> Result<PathBuf> {
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
        let whole = json!({
            "flavour": self.subject.flavour,
            "nodes": self.nodes,
            "seed": self.seed,
            "seconds": self.seconds,
            "good": self.is_good(),
            "faults": happened.collect::<Vec<_>>(),
            "not_run": not_run.collect::<Vec<_>>(),
            "done": self.counts.json(),
            "findings": findings.collect::<Vec<_>>(),
            "failures": self.failures,
            "again": self.again(),
        });
        fs::write(&path, serde_json::to_string_pretty(&whole)?)?;
        Ok(path)
    }
}
