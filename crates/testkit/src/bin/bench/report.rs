//! The figures, their goals, and the table of both.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::side::Side;

/// What a figure is to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// Ours is at most this part of Kafka's.
    AtMostOfKafka(f64),
    /// Ours is at least this many times Kafka's.
    AtLeastOfKafka(f64),
    /// Ours is at most this, whatever Kafka's is.
    AtMost(f64),
    /// Shown for what it explains.
    None,
}

/// One row: each side's values, one for each round.
#[derive(Debug)]
struct Figure {
    unit: &'static str,
    goals: Vec<Goal>,
    ottla: Vec<f64>,
    kafka: Vec<f64>,
}

/// All rows, in the order in which they were first measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    names: Vec<String>,
    figures: BTreeMap<String, Figure>,
}

impl Report {
    /// Adds a value of one round.
    pub(crate) fn add(
        &mut self,
        side: Side,
        name: &str,
        unit: &'static str,
        goals: &[Goal],
        value: f64,
    ) {
        println!("  {:<6} {name}: {value:.2} {unit}", side.name());
        if !self.figures.contains_key(name) {
            self.names.push(name.to_owned());
        }
        let figure = self.figures.entry(name.to_owned()).or_insert(Figure {
            unit,
            goals: goals.to_vec(),
            ottla: Vec::new(),
            kafka: Vec::new(),
        });
        match side {
            Side::Ottla => figure.ottla.push(value),
            Side::Kafka => figure.kafka.push(value),
        }
    }

    /// The table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from(
            "| figure | unit | Ottla | Kafka | Ottla / Kafka | goal | |\n|---|---|---|---|---|---|---|\n",
        );
        for (name, figure) in self.rows() {
            let ratio = figure
                .ratio()
                .map_or("–".into(), |ratio| format!("{ratio:.3}"));
            let goals: Vec<String> = figure
                .goals
                .iter()
                .filter_map(|goal| goal.words())
                .collect();
            let shown = |values: &[f64]| median(values).map_or("–".into(), number);
            // Writing into a string cannot fail.
            let _ = writeln!(
                table,
                "| {name} | {} | {} | {} | {ratio} | {} | {} |",
                figure.unit,
                shown(&figure.ottla),
                shown(&figure.kafka),
                goals.join(", "),
                figure.verdict(),
            );
        }
        table
    }

    /// Writes medians, ratios and all single values.
    pub(crate) fn write_json(&self, path: &Path, conditions: &serde_json::Value) -> Result<()> {
        let rows: Vec<_> = self
            .rows()
            .map(|(name, figure)| {
                json!({
                    "figure": name,
                    "unit": figure.unit,
                    "ottla": { "median": median(&figure.ottla), "values": figure.ottla },
                    "kafka": { "median": median(&figure.kafka), "values": figure.kafka },
                    "ratio": figure.ratio(),
                    "goals": figure.goals.iter().filter_map(|goal| goal.words()).collect::<Vec<_>>(),
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
    /// Ours divided by Kafka's, of the medians.
    fn ratio(&self) -> Option<f64> {
        Some(median(&self.ottla)? / median(&self.kafka)?)
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
    fn words(self) -> Option<String> {
        match self {
            Goal::AtMostOfKafka(part) => Some(format!("at most {part:.2} of Kafka's")),
            Goal::AtLeastOfKafka(times) => Some(format!("at least {times:.1} × Kafka's")),
            Goal::AtMost(value) => Some(format!("under {value}")),
            Goal::None => None,
        }
    }

    fn met(self, figure: &Figure) -> Option<bool> {
        match self {
            Goal::AtMostOfKafka(part) => Some(figure.ratio()? <= part),
            Goal::AtLeastOfKafka(times) => Some(figure.ratio()? >= times),
            Goal::AtMost(value) => Some(median(&figure.ottla)? < value),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_judged_by_medians() {
        let mut report = Report::default();
        for (ottla, kafka) in [(1.0, 9.0), (2.0, 4.0), (50.0, 6.0)] {
            report.add(
                Side::Ottla,
                "cost",
                "s",
                &[Goal::AtMostOfKafka(0.34)],
                ottla,
            );
            report.add(
                Side::Kafka,
                "cost",
                "s",
                &[Goal::AtMostOfKafka(0.34)],
                kafka,
            );
        }
        report.add(Side::Ottla, "start", "ms", &[Goal::AtMost(150.0)], 200.0);
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
