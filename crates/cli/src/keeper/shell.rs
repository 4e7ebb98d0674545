//! `ottla keeper shell`: verbs, line by line, over one session.
//!
//! ```text
//!   terminal ─▶ editor (completion, history) ─┐
//!   pipe, file ─▶ lines ──────────────────────┴▶ words ─▶ rewrite ─▶ Line ─▶ verb ─▶ streams
//!   events ─▶ above the prompt, or behind the line that ran
//! ```
//!
//! Lines of ZooKeeper's `zkCli` are understood, too (`shell/rewrite.rs`).

mod completion;
mod editor;
mod history;
mod line;
mod rewrite;
mod script;

use std::collections::BTreeMap;

use clap::Parser as _;
use ottla_runtime::{Runtime, Shutdown, TaskKind};
use tokio::signal::unix::{SignalKind, signal};

use super::client::{Client, Event, Events};
use super::connection::Target;
use super::session::Session;
use super::{watch, words};
use crate::globals::Globals;
use crate::output::OutputFormat;
use crate::{Error, Streams};
use editor::{Editor, Read};
use line::{Line, ShellVerb};

/// What `ottla keeper shell` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Lines are those of the other verbs, without `ottla keeper`, and those of zkCli. \
                  Tab completes commands, flags and paths; ↑ and ctrl-R look into the history. \
                  Without a terminal, lines are read from standard input, up to the first that \
                  fails.\n\
                  Examples:\n  \
        ottla keeper shell -S zk-0:2181/tenant-a\n  \
        printf 'create /a\\nset /a 1\\n' | ottla keeper shell"
)]
pub(super) struct ShellArgs {
    /// Without a terminal: go on behind a line that fails, and fail at the end
    #[arg(long)]
    keep_going: bool,
    /// Neither read nor write a history
    #[arg(long)]
    no_history: bool,
}

impl ShellArgs {
    /// Whether a person sits there, and the shell deals with Ctrl-C by itself.
    pub(super) fn is_interactive(streams: &Streams) -> bool {
        streams.input_is_terminal && streams.out_is_terminal
    }
}

/// What a line has led to.
enum Ran {
    Done,
    Quit,
}

pub(super) async fn run(
    args: &ShellArgs,
    target: &Target,
    globals: &Globals,
    env: &BTreeMap<String, String>,
    runtime: &Runtime,
    interrupt: &Shutdown,
    streams: &mut Streams,
) -> Result<(), Error> {
    let (client, events) = super::connect(target, globals, runtime, interrupt).await?;
    let shell = Shell {
        client: client.clone(),
        runtime,
        format: globals.output.unwrap_or_default(),
    };
    let done = if ShellArgs::is_interactive(streams) {
        let history = (!args.no_history).then(|| history::place(env)).flatten();
        shell.interact(target, history, events, streams).await
    } else {
        let reading = script::run(&shell, args.keep_going, events, interrupt, streams);
        reading.await
    };
    client.close().await;
    done
}

struct Shell<'a> {
    client: Client,
    runtime: &'a Runtime,
    format: OutputFormat,
}

impl Shell<'_> {
    /// Runs one line.
    async fn line(
        &self,
        text: &str,
        interrupt: &Shutdown,
        streams: &mut Streams,
    ) -> Result<Ran, Error> {
        let words = words::split(text).map_err(Error::Usage)?;
        if words.is_empty() {
            return Ok(Ran::Done);
        }
        let line = match Line::try_parse_from(rewrite::of_zkcli(words)) {
            Ok(line) => line,
            Err(error) if !error.use_stderr() => {
                // Help was asked for.
                let text = error.to_string();
                let written = streams.out.write_all(text.as_bytes());
                written
                    .and_then(|()| streams.out.flush())
                    .map_err(Error::stdout)?;
                return Ok(Ran::Done);
            }
            Err(error) => return Err(Error::Usage(super::multi::reason(&error))),
        };
        let mut session = Session {
            client: &self.client,
            events: None,
            runtime: self.runtime,
            interrupt,
            format: line.output.unwrap_or(self.format),
            streams,
        };
        match line.verb {
            ShellVerb::Quit => return Ok(Ran::Quit),
            ShellVerb::Verb(verb) => {
                verb.confirm(session.streams)?;
                verb.run(&mut session).await?;
            }
            other => {
                let work = line::run(other, &mut session);
                crate::until_interrupted(interrupt, work).await?;
            }
        }
        Ok(Ran::Done)
    }

    /// Reads lines from a person until the end.
    async fn interact(
        &self,
        target: &Target,
        history: Option<std::path::PathBuf>,
        events: Events,
        streams: &mut Streams,
    ) -> Result<(), Error> {
        let stream_failed = |source| Error::Stream {
            stream: "cannot listen for signals",
            source,
        };
        let mut ctrl_c = signal(SignalKind::interrupt()).map_err(stream_failed)?;
        let mut editor = Editor::open(&self.client, self.runtime, history)?;
        let mut printer = editor.printer()?;
        let client = self.client.clone();
        let mut events = events;
        let printing = async move {
            while let Some(event) = events.recv().await {
                printer(shown(&event, &client));
            }
            Ok::<_, std::convert::Infallible>(())
        };
        self.runtime
            .tasks
            .spawn(TaskKind::Housekeeping, "events", printing);
        streams.say(&format!(
            "session 0x{:x} at {}; `help` lists the commands, `quit` or ctrl-D ends",
            self.client.session(),
            self.client.server()
        ));
        let prompt = format!("{}{}> ", target.servers.text(), target.servers.chroot);
        loop {
            let text = match editor.read(&prompt, self.runtime).await? {
                Read::Line(text) => text,
                Read::Again => continue,
                Read::End => return Ok(()),
            };
            // Ctrl-C ends what a line does, and not the shell.
            let interrupt = Shutdown::new();
            let ran = {
                let mut running = Box::pin(self.line(&text, &interrupt, streams));
                tokio::select! {
                    biased;
                    ran = &mut running => ran,
                    _ = ctrl_c.recv() => {
                        interrupt.announce();
                        running.await
                    }
                }
            };
            match ran {
                Ok(Ran::Done) => {}
                Ok(Ran::Quit) => return Ok(()),
                Err(error) if error.is_broken_pipe() => return Err(error),
                Err(error) => streams.report(&error),
            }
        }
    }
}

/// An event as a line.
fn shown(event: &Event, client: &Client) -> String {
    match event {
        Event::Seen { kind, path } => {
            format!("event: {} {}\n", watch::kind_name(*kind), client.own(path))
        }
        other => format!("{}\n", watch::told(other).unwrap_or_default()),
    }
}
