//! `--format`: what a record is printed as, in kcat's letters.

use crate::consume::record::{HEADER_GAP, Shown};
use crate::escape::escape;
use crate::moment;

/// What stands behind a percent sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Value,
    Key,
    Headers,
    Topic,
    Partition,
    Offset,
    TimestampMs,
    Time,
    ValueLen,
    KeyLen,
}

/// The letters, with their meaning for the error text and the docs.
const LETTERS: &[(char, Field, &str)] = &[
    ('v', Field::Value, "value"),
    ('s', Field::Value, "value, as in kcat"),
    ('k', Field::Key, "key"),
    (
        'h',
        Field::Headers,
        "headers, key=value separated by commas",
    ),
    ('t', Field::Topic, "topic"),
    ('p', Field::Partition, "partition"),
    ('o', Field::Offset, "offset"),
    (
        'T',
        Field::TimestampMs,
        "timestamp in milliseconds since 1970",
    ),
    ('d', Field::Time, "timestamp as date and time, UTC"),
    ('S', Field::ValueLen, "bytes of the value, -1 for null"),
    ('K', Field::KeyLen, "bytes of the key, -1 for null"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Field(Field),
}

/// A parsed format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Only the value.
    pub(crate) fn value() -> Self {
        Template(vec![Part::Field(Field::Value)])
    }

    /// Where a record is, when it is from, key and value.
    pub(crate) fn wide() -> Self {
        let mut parts = Vec::new();
        for (index, field) in [
            Field::Partition,
            Field::Offset,
            Field::Time,
            Field::Key,
            Field::Value,
        ]
        .into_iter()
        .enumerate()
        {
            if index > 0 {
                parts.push(Part::Text(b"\t".to_vec()));
            }
            parts.push(Part::Field(field));
        }
        Template(parts)
    }

    /// Reads a format: text, `%` and a letter, `%%`, and the escapes `\n \r \t \0 \\ \xHH`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => match chars.next() {
                    Some('%') => literal.push(b'%'),
                    letter => {
                        let field = field(letter)?;
                        if !literal.is_empty() {
                            parts.push(Part::Text(std::mem::take(&mut literal)));
                        }
                        parts.push(Part::Field(field));
                    }
                },
                '\\' => literal.push(escape(&mut chars)?),
                c => literal.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Template(parts))
    }

    /// Whether it ends a line by itself.
    pub(crate) fn ends_line(&self) -> bool {
        matches!(self.0.last(), Some(Part::Text(text)) if text.ends_with(b"\n"))
    }

    /// Appends a record's text; keys and values go out as the bytes that they are.
    pub(crate) fn write(&self, record: &Shown<'_>, null: &str, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Field(field) => write_field(*field, record, null, out),
            }
        }
    }
}

fn write_field(field: Field, record: &Shown<'_>, null: &str, out: &mut Vec<u8>) {
    let bytes_or_null = |bytes: Option<&[u8]>, out: &mut Vec<u8>| {
        out.extend_from_slice(bytes.unwrap_or(null.as_bytes()));
    };
    let number = |number: i64, out: &mut Vec<u8>| {
        out.extend_from_slice(number.to_string().as_bytes());
    };
    match field {
        Field::Value => bytes_or_null(record.value, out),
        Field::Key => bytes_or_null(record.key, out),
        Field::Headers => {
            for (index, (key, value)) in record.headers.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(HEADER_GAP);
                }
                out.extend_from_slice(key);
                out.push(b'=');
                bytes_or_null(*value, out);
            }
        }
        Field::Topic => out.extend_from_slice(record.topic.as_bytes()),
        Field::Partition => number(i64::from(record.partition), out),
        Field::Offset => number(record.offset, out),
        Field::TimestampMs => number(record.timestamp_ms, out),
        Field::Time => out.extend_from_slice(moment::utc_text(record.timestamp_ms).as_bytes()),
        Field::ValueLen => number(len(record.value), out),
        Field::KeyLen => number(len(record.key), out),
    }
}

fn len(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX))
}

fn field(letter: Option<char>) -> Result<Field, String> {
    let known = LETTERS.iter().find(|(known, ..)| Some(*known) == letter);
    if let Some((_, field, _)) = known {
        return Ok(*field);
    }
    let names: Vec<String> = LETTERS
        .iter()
        .map(|(letter, _, meaning)| format!("%{letter} {meaning}"))
        .collect();
    let found = letter.map_or_else(
        || "% stands at the end".to_owned(),
        |letter| format!("%{letter} is no field"),
    );
    Err(format!(
        "{found}; there are {}, and %% for a percent sign",
        names.join("; ")
    ))
}

#[cfg(test)]
mod tests;
