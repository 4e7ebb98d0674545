//! `-o`: one view of a result, written for people or for machines.

use std::io::Write;

use serde::Serialize;

use crate::{Error, Streams};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OutputFormat {
    /// Columns for people
    #[default]
    Table,
    /// More columns
    Wide,
    /// JSON; the names of fields are stable
    Json,
    /// YAML, with the same names
    Yaml,
    /// Only names, one a line
    Name,
}

/// What a command shows. Its fields are the machine-readable form: their names are stable, and new
/// ones may come.
pub(crate) trait View: Serialize {
    /// The text for people; `wide` asks for more columns.
    fn table(&self, wide: bool) -> String;
    /// The names alone.
    fn names(&self) -> Vec<String>;
}

/// Prints a view in the format asked for.
pub(crate) fn print(
    view: &impl View,
    format: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let text = render(view, format)?;
    streams
        .out
        .write_all(text.as_bytes())
        .and_then(|()| streams.out.flush())
        .map_err(Error::stdout)
}

/// The text of a view in the format asked for.
pub(crate) fn render(view: &impl View, format: OutputFormat) -> Result<String, Error> {
    Ok(match format {
        OutputFormat::Table => view.table(false),
        OutputFormat::Wide => view.table(true),
        OutputFormat::Json => json(view)?,
        OutputFormat::Yaml => yaml(view)?,
        OutputFormat::Name => view
            .names()
            .into_iter()
            .map(|name| name + "\n")
            .collect::<String>(),
    })
}

fn json(view: &impl Serialize) -> Result<String, Error> {
    let mut text = serde_json::to_string_pretty(view).map_err(|error| unprintable(&error))?;
    text.push('\n');
    Ok(text)
}

/// YAML of a view or a record.
pub(crate) fn yaml(view: &impl Serialize) -> Result<String, Error> {
    let mut text = serde_saphyr::to_string(view).map_err(|error| unprintable(&error))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// A view that has no text in a format: a fault of ours, told and not hidden.
pub(crate) fn unprintable(error: &dyn std::fmt::Display) -> Error {
    Error::Failed {
        action: "printing the result".to_owned(),
        reason: error.to_string(),
    }
}
