//! The live table, and how it is drawn: over itself, without a line that wraps, and without touching the line
//! below on which a person writes.
//!
//! ```text
//!   3 nodes of cluster …          ┐
//!   NODE  PORT  PID …             │ drawn anew when something has changed: the cursor goes up and
//!   1     9092  4711 …            │ comes back to where it was
//!   10:19:02Z  node 2 was killed  ┘
//!   > kill 3_                       the terminal's own: it echoes what is typed
//! ```

use std::io::{self, Write};

use super::node::{Load, State};
use crate::size::bytes_text;
use crate::table::{narrow_table, table};

/// From so many columns on there is room for addresses and wide gaps.
const WIDE: u16 = 100;
const EVENTS_MAX: usize = 10;
const EVENTS_MIN: usize = 3;
/// `10:19:02Z  ` stands before the text of an event.
const EVENT_INDENT: usize = 11;
const PROMPT: &str = "> ";
/// The line for input, and the one below it: onto that the cursor goes with an entered line, and
/// nothing is scrolled.
const BELOW: usize = 2;

const DIM: &str = "\u{1b}[2m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const BOLD: &str = "\u{1b}[1m";
const PLAIN: &str = "\u{1b}[0m";

/// One node in the table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) id: i32,
    pub(super) host: &'static str,
    pub(super) port: u16,
    pub(super) pid: Option<u32>,
    pub(super) state: State,
    /// Whether it leads the quorum; unknown while no node answers.
    pub(super) is_controller: Option<bool>,
    /// Partitions that it leads, replicas that it has, and those that are not in sync.
    pub(super) carries: Option<(usize, usize, usize)>,
    pub(super) load: Load,
}

/// All that is shown.
pub(super) struct Frame<'a> {
    pub(super) title: String,
    /// Where to connect, and where things are.
    pub(super) places: &'a [String],
    pub(super) rows: Vec<Row>,
    /// The newest last.
    pub(super) events: Vec<String>,
    pub(super) help: String,
}

/// The table of nodes.
pub(super) fn nodes(rows: &[Row], columns: u16) -> String {
    let dash = || "-".to_owned();
    let is_wide = columns >= WIDE;
    let cells = rows.iter().map(|row| {
        let (leads, replicas, behind) = match row.carries {
            Some((leads, replicas, behind)) => {
                (leads.to_string(), replicas.to_string(), behind.to_string())
            }
            None => (dash(), dash(), dash()),
        };
        let quorum = match row.is_controller {
            Some(true) if row.pid.is_some() => "leader".to_owned(),
            Some(false) if row.pid.is_some() => "voter".to_owned(),
            _ => dash(),
        };
        let place = if is_wide {
            format!("{}:{}", row.host, row.port)
        } else {
            row.port.to_string()
        };
        let memory = row.load.resident_bytes.map_or_else(dash, bytes_text);
        let cpu = row.load.cpu_percent;
        let cpu = cpu.map_or_else(dash, |percent| format!("{percent:.0}%"));
        [
            row.id.to_string(),
            place,
            // As wide as they get, so that columns stay where they are.
            format!("{:7}", row.pid.map_or_else(dash, |pid| pid.to_string())),
            format!("{:8}", row.state.word()),
            quorum,
            leads,
            replicas,
            behind,
            format!("{memory:8}"),
            cpu,
        ]
    });
    let place = if is_wide { "ADDRESS" } else { "PORT" };
    let headings = [
        "NODE", place, "PID", "STATE", "QUORUM", "LEADS", "REPLICAS", "BEHIND", "MEMORY", "CPU",
    ];
    if is_wide {
        table(&headings, cells)
    } else {
        narrow_table(&headings, cells)
    }
}

impl Frame<'_> {
    /// The lines for a terminal of this size; always as many for the same size, and none wraps.
    pub(super) fn lines(&self, (columns, rows): (u16, u16), colour: bool) -> Vec<String> {
        let width = usize::from(columns).saturating_sub(1).max(1);
        let painted = |line: &str, paint: &str| {
            let line = cut(line, width);
            if colour && !paint.is_empty() && !line.is_empty() {
                format!("{paint}{line}{PLAIN}")
            } else {
                line
            }
        };
        let mut lines = vec![painted(&self.title, BOLD)];
        lines.extend(self.places.iter().map(|line| painted(line, "")));
        lines.push(String::new());
        let table = nodes(&self.rows, columns);
        let mut table = table.lines();
        lines.extend(table.next().map(|line| painted(line, DIM)));
        let rows_of_nodes = table.zip(&self.rows);
        lines.extend(rows_of_nodes.map(|(line, row)| painted(line, paint(row.state))));
        lines.push(String::new());
        // What is left, but for a blank line, the help, and what is below.
        let room = usize::from(rows).saturating_sub(lines.len() + 2 + BELOW);
        let room = room.clamp(EVENTS_MIN, EVENTS_MAX);
        let events: Vec<String> = self.events.iter().flat_map(|e| wrapped(e, width)).collect();
        let shown = events.iter().skip(events.len().saturating_sub(room));
        lines.extend(shown.map(|line| painted(line, "")));
        lines.resize(
            lines.len() + room.saturating_sub(events.len()),
            String::new(),
        );
        lines.push(String::new());
        lines.push(painted(&self.help, DIM));
        // On a very low terminal the end is worth more than the title.
        let most = usize::from(rows).saturating_sub(BELOW).max(1);
        lines.split_off(lines.len().saturating_sub(most))
    }
}

fn paint(state: State) -> &'static str {
    match state {
        State::Running => "",
        State::Starting | State::Fenced | State::Silent | State::Paused | State::Stopping => YELLOW,
        State::Killed | State::Failed => RED,
        State::Stopped => DIM,
    }
}

/// The lines of an event: between words where there are any, and below its text, not below its time.
fn wrapped(event: &str, width: usize) -> Vec<String> {
    let indent = EVENT_INDENT.min(width / 2);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut len = 0;
    for word in event.split_inclusive(' ') {
        let needed = word.trim_end().chars().count();
        if len > indent && len + needed > width {
            lines.push(line.trim_end().to_owned());
            line = " ".repeat(indent);
            len = indent;
        }
        line.push_str(word);
        len += word.chars().count();
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// At most so many characters; what is cut off is seen to be.
fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// What stands on the terminal.
#[derive(Default)]
pub(super) struct Screen {
    drawn: Vec<String>,
    size: (u16, u16),
}

impl Screen {
    /// Draws what has changed. The cursor stays where the person writes.
    pub(super) fn draw(
        &mut self,
        lines: Vec<String>,
        size: (u16, u16),
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if lines == self.drawn && size == self.size {
            return Ok(());
        }
        let mut text = String::new();
        if self.drawn.len() == lines.len() && self.size == size {
            // Above: where the cursor was, and up to the first line.
            text.push_str(&format!("\u{1b}7\u{1b}[{}A\r", lines.len()));
            for (line, before) in lines.iter().zip(&self.drawn) {
                if line != before {
                    // Written over, and only then is the rest removed: nothing flickers.
                    text.push_str(line);
                    text.push_str("\u{1b}[K");
                }
                text.push_str("\r\n");
            }
            text.push_str("\u{1b}8");
        } else {
            // At the first time below what is there; another size has mixed up what was drawn.
            if !self.drawn.is_empty() {
                text.push_str("\u{1b}[2J\u{1b}[H");
            }
            for line in &lines {
                text.push_str(line);
                text.push_str("\u{1b}[K\r\n");
            }
            text.push_str("\r\n\u{1b}[1A");
            text.push_str(PROMPT);
        }
        self.drawn = lines;
        self.size = size;
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// A line was entered: the cursor went below the line for input, and comes back to it.
    pub(super) fn entered(&mut self, line: &str, out: &mut dyn Write) -> io::Result<()> {
        let wraps = line.chars().count() + PROMPT.len() >= usize::from(self.size.0);
        if wraps {
            // Where the cursor is now cannot be known: all is drawn anew.
            self.size = (0, 0);
            return Ok(());
        }
        out.write_all(format!("\u{1b}[1A\r\u{1b}[J{PROMPT}").as_bytes())?;
        out.flush()
    }

    /// Leaves the last picture where it is, and goes below it.
    pub(super) fn leave(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.drawn.is_empty() {
            out.write_all(b"\r\x1b[J")?;
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests;
