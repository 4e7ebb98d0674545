//! Where a dump goes, line by line, and what was found on the way.

use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::{Error, Streams};

/// The output of a dump. It keeps numbers, but no lines.
pub(super) struct Sink<'a> {
    json: bool,
    /// Only damage.
    check: bool,
    streams: &'a mut Streams,
    files: u64,
    damages: u64,
    file: String,
}

impl<'a> Sink<'a> {
    pub(super) fn new(json: bool, check: bool, streams: &'a mut Streams) -> Self {
        Sink {
            json,
            check,
            streams,
            files: 0,
            damages: 0,
            file: String::new(),
        }
    }

    /// A file begins.
    pub(super) fn begin(&mut self, path: &Path, what: &str, len: u64) -> Result<(), Error> {
        self.file = path.display().to_string();
        if self.files > 0 && !self.json && !self.check {
            self.line("")?;
        }
        self.files += 1;
        if self.json || self.check {
            return Ok(());
        }
        let file = self.file.clone();
        self.line(&format!("{file}: {what}, {}", crate::size::bytes_text(len)))
    }

    /// Headings of a table; its rows are `item`s.
    pub(super) fn headings(&mut self, text: &str) -> Result<(), Error> {
        if self.json || self.check {
            return Ok(());
        }
        self.line(text)
    }

    /// A thing that was found: its text for people, or its fields under its kind.
    pub(super) fn item(
        &mut self,
        kind: &str,
        text: impl Display,
        fields: &impl Serialize,
    ) -> Result<(), Error> {
        if self.check {
            return Ok(());
        }
        if !self.json {
            return self.line(&text.to_string());
        }
        self.object(kind, fields)
    }

    /// One line: what it is, where it stands, and then its own fields in their order.
    fn object(&mut self, kind: &str, fields: &impl Serialize) -> Result<(), Error> {
        let head = serde_json::json!({ "file": self.file });
        let kind = serde_json::json!({ "kind": kind });
        let fields = serde_json::to_string(fields).unwrap_or_default();
        let inner = |object: &str| object.trim_matches(['{', '}']).to_owned();
        let fields = fields.strip_prefix('{').unwrap_or("}");
        let text = format!(
            "{{{},{},{fields}",
            inner(&kind.to_string()),
            inner(&head.to_string())
        );
        self.line(&text)
    }

    /// Something that should not be there, at a position in the file in bytes.
    pub(super) fn damage(&mut self, position: u64, reason: impl Display) -> Result<(), Error> {
        self.damages += 1;
        let reason = reason.to_string();
        if self.json {
            let fields = serde_json::json!({ "position": position, "reason": reason });
            return self.object("damage", &fields);
        }
        // Text that comes before it stays before it on a terminal, too.
        self.streams.out.flush().map_err(Error::stdout)?;
        let text = format!("damage: {} at byte {position}: {reason}", self.file);
        self.streams.say(&text);
        Ok(())
    }

    /// Something to know that is no damage.
    pub(super) fn note(&mut self, position: u64, text: impl Display) -> Result<(), Error> {
        let text = text.to_string();
        let fields = serde_json::json!({ "position": position, "text": text });
        self.item("note", format!("note: at byte {position}: {text}"), &fields)
    }

    fn line(&mut self, text: &str) -> Result<(), Error> {
        writeln!(self.streams.out, "{text}").map_err(Error::stdout)
    }

    /// Sends out the last lines; an error when anything was damaged.
    pub(super) fn finish(self) -> Result<(), Error> {
        self.streams.out.flush().map_err(Error::stdout)?;
        let files = count(self.files, "file");
        match self.damages {
            0 => {
                if self.check {
                    self.streams.say(&format!("{files}: no damage found"));
                }
                Ok(())
            }
            damages => Err(Error::Damaged {
                findings: count(damages, "damage"),
                files,
            }),
        }
    }
}

/// `1 file`, `2 files`.
pub(super) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
