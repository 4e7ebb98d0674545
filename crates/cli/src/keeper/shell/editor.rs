//! The line that a person writes.

use std::path::{Path, PathBuf};

use ottla_runtime::{Clock, Runtime};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, ExternalPrinter as _, Helper};
use tokio::runtime::Handle;

use super::completion;
use super::history;
use crate::Error;
use crate::keeper::client::Client;

/// So many lines are kept.
const HISTORY_LINES: usize = 2_000;

/// What came of a prompt.
pub(super) enum Read {
    Line(String),
    /// Ctrl-C: the line is thrown away.
    Again,
    /// Ctrl-D.
    End,
}

/// Answers Tab.
struct Assistant {
    client: Client,
    clock: Clock,
    tokio: Handle,
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let line = line.get(..pos).unwrap_or(line);
        // The line is read on a thread that may wait.
        let completing = completion::complete(line, &self.client, &self.clock);
        Ok(self.tokio.block_on(completing))
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {}
impl Validator for Assistant {}
impl Helper for Assistant {}

type LineEditor = rustyline::Editor<Assistant, DefaultHistory>;

/// The editor of lines, with its history.
pub(super) struct Editor {
    /// Away while it reads.
    lines: Option<Box<LineEditor>>,
    history: Option<PathBuf>,
}

fn failed(error: &ReadlineError) -> Error {
    Error::Failed {
        action: "reading from the terminal".to_owned(),
        reason: error.to_string(),
    }
}

impl Editor {
    pub(super) fn open(
        client: &Client,
        runtime: &Runtime,
        history: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let config = Config::builder()
            .max_history_size(HISTORY_LINES)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(|error| failed(&error))?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut lines = LineEditor::with_config(config).map_err(|error| failed(&error))?;
        lines.set_helper(Some(Assistant {
            client: client.clone(),
            clock: runtime.clock.clone(),
            tokio: Handle::current(),
        }));
        if let Some(file) = &history {
            // Without a history the shell works as well.
            if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
                let _ = runtime.disk.create_dir_all(folder);
            }
            let _ = lines.load_history(file);
        }
        Ok(Editor {
            lines: Some(Box::new(lines)),
            history,
        })
    }

    /// Prints above the prompt, also while a line is being written.
    pub(super) fn printer(&mut self) -> Result<impl FnMut(String) + Send + use<>, Error> {
        let lines = self.lines.as_mut().ok_or_else(away)?;
        let printer = lines.create_external_printer();
        let mut printer = printer.map_err(|error| failed(&error))?;
        Ok(move |text: String| {
            // A terminal that is gone ends the shell elsewhere.
            let _ = printer.print(text);
        })
    }

    /// Reads a line, on a thread that may wait.
    pub(super) async fn read(&mut self, prompt: &str, runtime: &Runtime) -> Result<Read, Error> {
        let mut lines = self.lines.take().ok_or_else(away)?;
        let (prompt, history) = (prompt.to_owned(), self.history.clone());
        let reading = move || {
            let read = lines.readline(&prompt);
            if let Ok(line) = &read
                && history::keeps(line)
            {
                remember(&mut lines, line, history.as_deref());
            }
            (lines, read)
        };
        let (lines, read) = runtime.tasks.blocking(reading).await;
        self.lines = Some(lines);
        match read {
            Ok(line) => Ok(Read::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Read::Again),
            Err(ReadlineError::Eof) => Ok(Read::End),
            Err(error) => Err(failed(&error)),
        }
    }
}

fn remember(lines: &mut LineEditor, line: &str, file: Option<&Path>) {
    // A history that cannot be written is no reason not to work.
    let is_new = lines.add_history_entry(line).unwrap_or(false);
    if let Some(file) = file.filter(|_| is_new) {
        let _ = lines.append_history(file);
    }
}

/// Two prompts at once would be a fault of ours.
fn away() -> Error {
    Error::Failed {
        action: "reading from the terminal".to_owned(),
        reason: "another line is being read".to_owned(),
    }
}
