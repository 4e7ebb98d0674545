//! Tables for people: aligned columns under capital headings, no lines around them.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

/// The blanks between two columns.
const GAP: u16 = 3;

/// The blanks where the terminal is narrow.
const NARROW_GAP: u16 = 2;

/// Lays out rows under headings; every line ends in a newline and none in blanks.
pub(crate) fn table<R, C>(headings: &[&str], rows: R) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator<Item = String>,
{
    laid_out(headings, rows, GAP)
}

/// The same with less room between the columns.
pub(crate) fn narrow_table<R, C>(headings: &[&str], rows: R) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator<Item = String>,
{
    laid_out(headings, rows, NARROW_GAP)
}

fn laid_out<R, C>(headings: &[&str], rows: R, gap: u16) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, gap));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Lines of `Name:  value`, the values below each other. A value of several lines is indented.
pub(crate) fn properties(pairs: &[(&str, String)]) -> String {
    let width = pairs
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0)
        + 1
        + usize::from(GAP);
    let mut text = String::new();
    for (name, value) in pairs {
        let mut label = format!("{name}:");
        for line in value.split('\n') {
            text.push_str(format!("{label:width$}{line}").trim_end());
            text.push('\n');
            label.clear();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_without_lines_or_trailing_blanks() {
        let rows = [
            vec!["orders".to_owned(), "12".to_owned()],
            vec!["a-much-longer-name".to_owned(), String::new()],
        ];
        let expected = "\
NAME                 PARTITIONS
orders               12
a-much-longer-name
";
        assert_eq!(table(&["NAME", "PARTITIONS"], rows), expected);
    }

    #[test]
    fn values_stand_below_each_other() {
        let pairs = [
            ("Name", "orders".to_owned()),
            ("Configuration", "a=1\nb=2".to_owned()),
            ("Id", String::new()),
        ];
        let expected = "\
Name:            orders
Configuration:   a=1
                 b=2
Id:
";
        assert_eq!(properties(&pairs), expected);
    }
}
