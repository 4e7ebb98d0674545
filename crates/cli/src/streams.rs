//! Where a command reads and writes, and whether a person sits at the other end.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};

/// Standard input, output and error of a command; tests give their own.
pub struct Streams {
    /// Results: what a pipe passes on.
    pub out: Box<dyn Write + Send>,
    /// Words for the person: errors, prompts, summaries.
    pub err: Box<dyn Write + Send>,
    /// What is read; `None` once a command has taken it.
    pub input: Option<Box<dyn BufRead + Send>>,
    /// Whether `out` is a terminal.
    pub out_is_terminal: bool,
    /// Whether `err` is a terminal.
    pub err_is_terminal: bool,
    /// Whether `input` is a terminal.
    pub input_is_terminal: bool,
    /// Whether colours are welcome: a terminal, and no `NO_COLOR`.
    pub colour: bool,
}

impl Streams {
    /// The process's own.
    #[must_use]
    pub fn of_process() -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let err_is_terminal = io::stderr().is_terminal();
        Streams {
            out: Box::new(io::BufWriter::with_capacity(64 * 1024, io::stdout())),
            err: Box::new(io::stderr()),
            input: Some(Box::new(BufReader::with_capacity(64 * 1024, io::stdin()))),
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal,
            input_is_terminal: io::stdin().is_terminal(),
            colour: err_is_terminal && !no_colour,
        }
    }

    /// Tells the person something, on a line of its own. A closed stderr is no failure.
    pub(crate) fn say(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
        let _ = self.err.flush();
    }

    /// Reports an error. Several lines of reasons stay together under one `error:`.
    pub fn report(&mut self, error: &crate::Error) {
        let label = if self.colour {
            "\u{1b}[1;31merror:\u{1b}[0m"
        } else {
            "error:"
        };
        self.say(&format!("{label} {error}"));
    }
}
