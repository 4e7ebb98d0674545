//! Command lines against a running node.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use clap::Parser as _;
use ottla_cli::{Action, Cli, Exit, Streams};
use ottla_runtime::Runtime;
use ottla_testkit::TestNode;

/// A stream that can be looked at.
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

impl Ran {
    /// Standard output of a command that worked.
    pub(crate) fn out(self) -> String {
        assert_eq!(self.exit, Exit::Ok, "{}", self.err);
        self.out
    }

    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.out()).unwrap()
    }
}

/// A node and the topic of one test.
pub(crate) struct Session {
    pub(crate) node: TestNode,
    pub(crate) topic: String,
}

impl Session {
    /// The topic's name holds the time, so that a node that other tests used serves as well.
    pub(crate) fn start(test: &str) -> Session {
        let now_ms = Runtime::real().clock.now_ms();
        Session {
            node: TestNode::start().unwrap(),
            topic: format!("cli-{test}-{now_ms}"),
        }
    }

    /// Runs a command line; `TOPIC` in it is this test's topic.
    pub(crate) async fn run(&self, line: &str, input: &'static [u8]) -> Ran {
        let line = line.replace("TOPIC", &self.topic);
        let bootstrap = self.node.bootstrap();
        let words = ["ottla", "-b", bootstrap.as_str()];
        let words = words.into_iter().chain(line.split_whitespace());
        let action = Cli::try_parse_from(words).unwrap().action().unwrap();
        let Action::Command(command, global) = action else {
            panic!("{line} is the server");
        };
        let (out, err) = (Shared::default(), Shared::default());
        let mut streams = Streams {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            input: Some(Box::new(input)),
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
}
