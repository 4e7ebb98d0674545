//! `ottla config reference`.

use ottla_config::reference_markdown;
use ottla_config::{
    Bounds, Effect, Property, keeper_properties, node_properties, topic_properties,
};
use serde::Serialize;

use crate::output::{self, OutputFormat, View};
use crate::table::table;
use crate::{Error, Streams};

/// Prints the reference: Markdown when nothing else is asked for.
pub(super) fn run(output: Option<OutputFormat>, streams: &mut Streams) -> Result<(), Error> {
    match output {
        None => streams
            .out
            .write_all(reference_markdown().as_bytes())
            .and_then(|()| streams.out.flush())
            .map_err(Error::stdout),
        Some(format) => output::print(&Reference::new(), format, streams),
    }
}

/// Every property, for machines.
#[derive(Serialize)]
pub(super) struct Reference {
    node: Vec<Row>,
    topic: Vec<Row>,
    keeper: Vec<Row>,
}

/// One property.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    #[serde(rename = "type")]
    value_type: String,
    default: Option<&'static str>,
    allowed: Option<String>,
    unit: Option<&'static str>,
    /// `live` or `restart`.
    change: &'static str,
    area: &'static str,
    /// `works`, `no_effect` or `refused`.
    effect: &'static str,
    /// Why it has no effect, or is refused.
    reason: Option<&'static str>,
    falls_back_to: Vec<&'static str>,
    documentation: &'static str,
}

impl Reference {
    pub(super) fn new() -> Self {
        Reference {
            node: node_properties().iter().map(row).collect(),
            topic: topic_properties().iter().map(row).collect(),
            keeper: keeper_properties().iter().map(row).collect(),
        }
    }
}

fn row(property: &Property) -> Row {
    let (effect, reason) = match property.effect {
        Effect::Works => ("works", None),
        Effect::NoEffect(reason) => ("no_effect", Some(reason)),
        Effect::Refused(reason) => ("refused", Some(reason)),
    };
    Row {
        name: property.name,
        value_type: property.value_type.name().to_lowercase(),
        default: property.default,
        allowed: (property.bounds != Bounds::Any).then(|| property.bounds.to_string()),
        unit: Some(property.unit.name()).filter(|name| !name.is_empty()),
        change: property.change.name(),
        area: property.area.title(),
        effect,
        reason,
        falls_back_to: property.fallbacks.iter().map(|f| f.name).collect(),
        documentation: property.doc,
    }
}

impl View for Reference {
    fn table(&self, wide: bool) -> String {
        let mut headings = vec!["SCOPE", "NAME", "TYPE", "DEFAULT", "EFFECT"];
        if wide {
            headings.extend(["ALLOWED", "UNIT", "CHANGE", "FALLS BACK TO"]);
        }
        let node = self.node.iter().map(|row| ("node", row));
        let topic = self.topic.iter().map(|row| ("topic", row));
        let keeper = self.keeper.iter().map(|row| ("keeper", row));
        let rows = node.chain(topic).chain(keeper).map(|(scope, row)| {
            let mut cells = vec![
                scope.to_owned(),
                row.name.to_owned(),
                row.value_type.clone(),
                row.default.unwrap_or("-").to_owned(),
                row.effect.to_owned(),
            ];
            if wide {
                cells.push(row.allowed.clone().unwrap_or_else(|| "-".to_owned()));
                cells.push(row.unit.unwrap_or("-").to_owned());
                cells.push(row.change.to_owned());
                cells.push(row.falls_back_to.join(","));
            }
            cells
        });
        table(&headings, rows)
    }

    fn names(&self) -> Vec<String> {
        let rows = self.node.iter().chain(&self.topic).chain(&self.keeper);
        rows.map(|row| row.name.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests;
