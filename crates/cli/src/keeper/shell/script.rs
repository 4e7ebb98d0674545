//! Lines from a pipe or a file.

use std::io::{self, BufRead};

use ottla_runtime::Shutdown;
use tokio::sync::mpsc;

use super::{Ran, Shell, shown};
use crate::keeper::client::Events;
use crate::{Error, Exit, Streams};

/// Lines that may wait to be run.
const WAITING: usize = 64;

/// Runs the lines of standard input. The first that fails ends it, unless it keeps going.
pub(super) async fn run(
    shell: &Shell<'_>,
    keep_going: bool,
    mut events: Events,
    interrupt: &Shutdown,
    streams: &mut Streams,
) -> Result<(), Error> {
    let input = streams
        .input
        .take()
        .unwrap_or_else(|| Box::new(io::empty()));
    let (sender, mut lines) = mpsc::channel(WAITING);
    let reader = shell.runtime.tasks.workers("input", 1);
    reader.submit(move || read_all(input, &sender));
    reader.close();
    let (mut number, mut failed, mut exit) = (0, 0, Exit::Failed);
    loop {
        let line = tokio::select! {
            biased;
            () = interrupt.announced() => return Err(Error::Interrupted),
            line = lines.recv() => line,
        };
        let Some(line) = line else { break };
        let line = line.map_err(|source| Error::Stream {
            stream: "cannot read standard input",
            source,
        })?;
        number += 1;
        let ran = shell.line(&line, interrupt, streams).await;
        while let Ok(event) = events.try_recv() {
            let text = shown(&event, &shell.client);
            let written = streams.out.write_all(text.as_bytes());
            written
                .and_then(|()| streams.out.flush())
                .map_err(Error::stdout)?;
        }
        match ran {
            Ok(Ran::Done) => {}
            Ok(Ran::Quit) => break,
            Err(error @ (Error::Interrupted | Error::Stream { .. })) => return Err(error),
            Err(error) => {
                if failed == 0 {
                    exit = error.exit();
                }
                failed += 1;
                streams.say(&format!("line {number}: {}", line.trim()));
                if !keep_going {
                    return Err(error);
                }
                streams.report(&error);
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(Error::Several {
            failed,
            total: number,
            things: "lines",
            exit,
        }),
    }
}

/// Reads lines until the end, or until nobody wants more.
fn read_all(input: Box<dyn BufRead + Send>, lines: &mpsc::Sender<io::Result<String>>) {
    for line in input.lines() {
        let is_last = line.is_err();
        if lines.blocking_send(line).is_err() || is_last {
            return;
        }
    }
}
