//! The figures of a benchmark that compares two sides, their goals, and the table of both.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Our own.
    Ours,
    /// What it is measured against.
    Theirs,
}

/// What a figure is to reach.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// Ours is at most this part of theirs.
    AtMostOfTheirs(f64),
    /// Ours is at least this many times theirs.
    AtLeastOfTheirs(f64),
    /// Ours is at most this, whatever theirs is.
    AtMost(f64),
    /// Shown for what it explains.
    None,
}

/// One row: each side's values, one for each round.
#[derive(Debug)]
struct Figure {
    unit: &'static str,
    goals: Vec<Goal>,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// All rows, in the order in which they were first measured.
#[derive(Debug)]
pub struct Report {
    our_name: &'static str,
    their_name: &'static str,
    names: Vec<String>,
    figures: BTreeMap<String, Figure>,
}

impl Report {
    /// Without rows yet; the names are those of the columns.
    pub fn of(our_name: &'static str, their_name: &'static str) -> Report {
        Report {
            our_name,
            their_name,
            names: Vec::new(),
            figures: BTreeMap::new(),
        }
    }

    /// Adds a value of one round.
    pub fn add(
        &mut self,
        whose: impl Into<Whose>,
        name: &str,
        unit: &'static str,
        goals: &[Goal],
        value: f64,
    ) {
        let whose = whose.into();
        let shown = match whose {
            Whose::Ours => self.our_name,
            Whose::Theirs => self.their_name,
        };
        println!("  {shown:<9} {name}: {value:.2} {unit}");
        if !self.figures.contains_key(name) {
            self.names.push(name.to_owned());
        }
        let figure = self.figures.entry(name.to_owned()).or_insert(Figure {
            unit,
            goals: goals.to_vec(),
            ours: Vec::new(),
            theirs: Vec::new(),
        });
        match whose {
            Whose::Ours => figure.ours.push(value),
            Whose::Theirs => figure.theirs.push(value),
        }
    }

    /// The table in Markdown.
    pub fn table(&self) -> String {
        let (ours, theirs) = (self.our_name, self.their_name);
        let mut table = format!(
            "| figure | unit | {ours} | {theirs} | {ours} / {theirs} | goal | |\n|---|---|---|---|---|---|---|\n",
        );
        for (name, figure) in self.rows() {
            let ratio = figure
                .ratio()
                .map_or("–".into(), |ratio| format!("{ratio:.3}"));
            let goals = figure.goals_in_words(self.their_name);
            let shown = |values: &[f64]| median(values).map_or("–".into(), number);
            // Writing into a string cannot fail.
            let _ = writeln!(
                table,
                "| {name} | {} | {} | {} | {ratio} | {} | {} |",
                figure.unit,
                shown(&figure.ours),
                shown(&figure.theirs),
                goals.join(", "),
                figure.verdict(),
            );
        }
        table
    }

    /// Writes medians, ratios and all single values.
    pub fn write_json(&self, path: &Path, conditions: &serde_json::Value) -> Result<()> {
        let [ours, theirs] = [self.our_name, self.their_name].map(str::to_lowercase);
        let values = |values: &[f64]| json!({ "median": median(values), "values": values });
        let rows: Vec<_> = self
            .rows()
            .map(|(name, figure)| {
                json!({
                    "figure": name,
                    "unit": figure.unit,
                    ours.as_str(): values(&figure.ours),
                    theirs.as_str(): values(&figure.theirs),
                    "ratio": figure.ratio(),
                    "goals": figure.goals_in_words(self.their_name),
                    "verdict": figure.verdict(),
                })
            })
            .collect();
        let whole = json!({ "conditions": conditions, "figures": rows });
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, serde_json::to_string_pretty(&whole)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn rows(&self) -> impl Iterator<Item = (&String, &Figure)> {
        self.names
            .iter()
            .filter_map(|name| self.figures.get(name).map(|figure| (name, figure)))
    }
}

impl Figure {
    /// Ours divided by theirs, of the medians.
    fn ratio(&self) -> Option<f64> {
        Some(median(&self.ours)? / median(&self.theirs)?)
    }

    fn goals_in_words(&self, theirs: &str) -> Vec<String> {
        let words = |goal: &Goal| goal.words(theirs);
        self.goals.iter().filter_map(words).collect()
    }

    fn verdict(&self) -> &'static str {
        let met: Vec<bool> = self
            .goals
            .iter()
            .filter_map(|goal| goal.met(self))
            .collect();
        match met.as_slice() {
            [] => "",
            all if all.iter().all(|&met| met) => "met",
            _ => "missed",
        }
    }
}

impl Goal {
    fn words(self, theirs: &str) -> Option<String> {
        match self {
            Goal::AtMostOfTheirs(part) => Some(format!("at most {part:.2} of {theirs}'s")),
            Goal::AtLeastOfTheirs(times) => Some(format!("at least {times:.1} × {theirs}'s")),
            Goal::AtMost(value) => Some(format!("under {value}")),
            Goal::None => None,
        }
    }

    fn met(self, figure: &Figure) -> Option<bool> {
        match self {
            Goal::AtMostOfTheirs(part) => Some(figure.ratio()? <= part),
            Goal::AtLeastOfTheirs(times) => Some(figure.ratio()? >= times),
            Goal::AtMost(value) => Some(median(&figure.ours)? < value),
            Goal::None => None,
        }
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        small if small < 10.0 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    }
}

/// What a reader must know of the machine.
pub fn machine() -> serde_json::Map<String, serde_json::Value> {
    let of = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = of("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let known = [
        ("cores", json!(cores)),
        (
            "cpu",
            json!(model.map(|m| m.trim_matches([' ', '\t', ':']))),
        ),
        ("memory", json!(of("/proc/meminfo").lines().next())),
        ("kernel", json!(of("/proc/sys/kernel/osrelease").trim())),
    ];
    known
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_judged_by_medians() {
        let mut report = Report::of("Ottla", "Kafka");
        for (ottla, kafka) in [(1.0, 9.0), (2.0, 4.0), (50.0, 6.0)] {
            report.add(
                Whose::Ours,
                "cost",
                "s",
                &[Goal::AtMostOfTheirs(0.34)],
                ottla,
            );
            report.add(
                Whose::Theirs,
                "cost",
                "s",
                &[Goal::AtMostOfTheirs(0.34)],
                kafka,
            );
        }
        report.add(Whose::Ours, "start", "ms", &[Goal::AtMost(150.0)], 200.0);
        let table = report.table();
        assert!(
            table.contains("| cost | s | 2.00 | 6.00 | 0.333 | at most 0.34 of Kafka's | met |"),
            "{table}"
        );
        assert!(
            table.contains("| start | ms | 200 | – | – | under 150 | missed |"),
            "{table}"
        );
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
