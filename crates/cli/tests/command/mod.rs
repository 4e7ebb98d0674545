//! Runs a command line in this process, with streams that can be looked at.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use clap::Parser as _;
use ottla_cli::{Action, Cli, Exit, Streams};
use ottla_runtime::Runtime;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What a command left behind.
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the command line against the cluster at `bootstrap`.
pub(crate) async fn run(bootstrap: &str, line: &str) -> Ran {
    let words = ["ottla", "-b", bootstrap].into_iter();
    let action = Cli::try_parse_from(words.chain(line.split_whitespace()));
    let Action::Command(command, global) = action.unwrap().action().unwrap() else {
        panic!("{line} is the server");
    };
    let (out, err) = (Shared::default(), Shared::default());
    let mut streams = Streams {
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        input: Some(Box::new(io::empty())),
        out_is_terminal: false,
        err_is_terminal: false,
        input_is_terminal: false,
        colour: false,
    };
    let runtime = Runtime::real();
    let exit = ottla_cli::run(command, &global, &BTreeMap::new(), &runtime, &mut streams).await;
    Ran {
        exit,
        out: out.text(),
        err: err.text(),
    }
}
