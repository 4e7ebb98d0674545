//! A plan as people and machines see it.

use serde::Serialize;

use crate::moving::Moved;
use crate::output::View;
use crate::size::bytes_text;
use crate::table::table;
use ottla_placement::{Layout, Load, Move, Plan};

/// So many moves are shown to people who did not ask for all.
const SHOWN: usize = 20;

/// A plan, and what came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Planned {
    /// What it is for: `broker/3`, `cluster`, `topic/orders`.
    pub(crate) subject: String,
    /// Whether it was carried out.
    pub(crate) executed: bool,
    /// Partitions that other brokers get.
    partitions_to_copy: usize,
    bytes_to_copy: u64,
    pub(crate) moves: Vec<Move>,
    brokers: Vec<Balance>,
    /// Partitions for which nothing could be found, with the reason.
    pub(crate) stuck: Vec<String>,
    /// Null when nothing was done.
    pub(crate) outcome: Option<Moved>,
    /// What else there is to say.
    #[serde(skip)]
    pub(crate) note: String,
}

#[derive(Debug, Serialize)]
struct Balance {
    broker: i32,
    rack: Option<String>,
    before: Load,
    after: Load,
}

impl Planned {
    pub(crate) fn new(subject: String, plan: &Plan) -> Self {
        Planned {
            subject,
            executed: false,
            partitions_to_copy: plan.copies(),
            bytes_to_copy: plan.bytes(),
            moves: plan.moves.clone(),
            brokers: balance(&plan.before, &plan.after),
            stuck: plan.stuck.clone(),
            outcome: None,
            note: String::new(),
        }
    }

    fn move_table(&self, wide: bool) -> String {
        let shown = if wide { self.moves.len() } else { SHOWN };
        let rows = self.moves.iter().take(shown).map(|one| {
            let copied = if one.is_reorder() {
                "only the order".to_owned()
            } else {
                bytes_text(one.bytes)
            };
            [one.name(), ids(&one.from), ids(&one.to), copied]
        });
        let mut text = table(&["PARTITION", "REPLICAS", "NEW REPLICAS", "TO COPY"], rows);
        let more = self.moves.len().saturating_sub(shown);
        if more > 0 {
            text.push_str(&format!("… and {more} more (-o wide shows all)\n"));
        }
        text
    }

    fn balance_table(&self) -> String {
        let rows = self.brokers.iter().map(|balance| {
            let (before, after) = (balance.before, balance.after);
            [
                balance.broker.to_string(),
                balance.rack.clone().unwrap_or_else(|| "-".to_owned()),
                change(before.replicas.to_string(), after.replicas.to_string()),
                change(before.leaders.to_string(), after.leaders.to_string()),
                change(bytes_text(before.bytes), bytes_text(after.bytes)),
            ]
        });
        let headings = ["BROKER", "RACK", "REPLICAS", "PREFERRED LEADER OF", "SIZE"];
        table(&headings, rows)
    }
}

fn balance(before: &Layout, after: &Layout) -> Vec<Balance> {
    let (old, new) = (before.loads(), after.loads());
    let brokers: std::collections::BTreeSet<i32> = old.keys().chain(new.keys()).copied().collect();
    let balance = brokers.into_iter().map(|broker| Balance {
        broker,
        rack: before
            .brokers
            .get(&broker)
            .and_then(|place| place.rack.clone()),
        before: old.get(&broker).copied().unwrap_or_default(),
        after: new.get(&broker).copied().unwrap_or_default(),
    });
    balance.collect()
}

/// `4 -> 3`, or `4` when it stays.
fn change(before: String, after: String) -> String {
    if before == after {
        return after;
    }
    format!("{before} -> {after}")
}

/// `1,2,3`.
pub(crate) fn ids(ids: &[i32]) -> String {
    if ids.is_empty() {
        return "-".to_owned();
    }
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    texts.join(",")
}

/// `1 partition`, `2 partitions`.
pub(crate) fn partitions(count: usize) -> String {
    match count {
        1 => "1 partition".to_owned(),
        count => format!("{count} partitions"),
    }
}

impl View for Planned {
    fn table(&self, wide: bool) -> String {
        let mut text = String::new();
        // What was done needs no list any more, unless it is asked for.
        if !self.moves.is_empty() && (!self.executed || wide) {
            text.push_str(&self.move_table(wide));
            text.push('\n');
            text.push_str(&self.balance_table());
            text.push_str(&format!(
                "{} to copy, {} in all; {} only in order\n",
                partitions(self.partitions_to_copy),
                bytes_text(self.bytes_to_copy),
                partitions(self.moves.len() - self.partitions_to_copy)
            ));
        }
        if let Some(moved) = &self.outcome {
            text.push_str(&format!(
                "{}: {} moved, {} put in order, {} got another leader\n",
                self.subject,
                partitions(moved.moved),
                moved.reordered,
                moved.elected
            ));
        }
        if !self.note.is_empty() {
            text.push_str(&format!("{}: {}\n", self.subject, self.note));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        self.moves.iter().map(Move::name).collect()
    }
}

#[cfg(test)]
mod tests;
