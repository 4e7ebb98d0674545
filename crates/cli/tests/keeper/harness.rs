//! A keeper, and commands that run in this process.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser as _;
use ottla_cli::{Action, Cli, Exit, Streams};
use ottla_config::{KeeperConfig, KeeperListener};
use ottla_runtime::Runtime;
use tempfile::TempDir;

/// Longer than anything takes; a test that waits for this has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A keeper and a chroot of the test's own.
pub(crate) struct Keeper {
    server: String,
    chroot: String,
    own: Option<(Runtime, TempDir)>,
}

impl Keeper {
    /// Starts one. A given ZooKeeper gets a chroot with the test's name and the time in it.
    pub(crate) async fn start(test: &str) -> Self {
        let now_ms = Runtime::real().clock.now_ms();
        let chroot = format!("/ottla-cli-{test}-{now_ms}");
        let keeper = match std::env::var("OTTLA_TEST_ZOOKEEPER") {
            Ok(server) => Keeper {
                server,
                chroot,
                own: None,
            },
            Err(_) => Keeper::own(chroot).await,
        };
        let create = format!("create {}", keeper.chroot);
        let made = keeper.run_at(&keeper.server, &create, "").await;
        assert_eq!(made.exit, Exit::Ok);
        keeper
    }

    async fn own(chroot: String) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = KeeperConfig::default();
        let path = folder.path().display().to_string();
        config.storage.data_dir.clone_from(&path);
        config.storage.data_log_dir = path;
        config.client_listener = Some(KeeperListener {
            host: "127.0.0.1".to_owned(),
            port: 0,
        });
        config.tick_time_ms = 100;
        config.session_timeout_ms_min = 200;
        config.extended_types_enabled = true;
        let runtime = Runtime::real();
        let options = ottla_keeper::Options {
            config: Arc::new(config),
            id: 1,
        };
        let stop = runtime.shutdown().clone();
        let handle = ottla_keeper::start(&runtime, options, &stop).await.unwrap();
        let began = std::time::Instant::now();
        while !handle.is_serving() {
            assert!(began.elapsed() < PATIENCE, "the server does not serve");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Keeper {
            server: handle.client_ports()[0].address.to_string(),
            chroot,
            own: Some((runtime, folder)),
        }
    }

    /// Whether it is ours.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Where it is, with the chroot of the test.
    pub(crate) fn address(&self) -> String {
        format!("{}{}", self.server, self.chroot)
    }

    /// Where it is.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    pub(crate) fn chroot(&self) -> &str {
        &self.chroot
    }

    /// Runs `ottla keeper LINE` inside of the test's chroot. Words in it are separated by single
    /// blanks; `~` in a word stands for one.
    pub(crate) async fn run(&self, line: &str) -> Ran {
        self.run_at(&self.address(), line, "").await
    }

    /// The same, with standard input.
    pub(crate) async fn feed(&self, line: &str, input: &'static str) -> Ran {
        self.run_at(&self.address(), line, input).await
    }

    /// The JSON of a command that worked.
    pub(crate) async fn json(&self, line: &str) -> serde_json::Value {
        self.run(&format!("{line} -o json")).await.json()
    }

    pub(crate) async fn run_at(&self, server: &str, line: &str, input: &'static str) -> Ran {
        let words = line.split_whitespace().map(|word| word.replace('~', " "));
        let command = ["ottla", "keeper", "-S", server]
            .map(str::to_owned)
            .into_iter();
        run(command.chain(words), input).await
    }

    pub(crate) async fn stop(self) {
        let delete = format!("deleteall {}", self.chroot);
        let gone = self.run_at(&self.server, &delete, "").await;
        assert_eq!(gone.exit, Exit::Ok);
        if let Some((runtime, _folder)) = self.own {
            runtime.tasks.stop().await;
        }
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

    /// Standard error of a command that failed so.
    pub(crate) fn err(self, exit: Exit) -> String {
        assert_eq!(self.exit, exit, "{}{}", self.out, self.err);
        self.err
    }
}

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

/// Runs a command line.
pub(crate) async fn run(words: impl Iterator<Item = String>, input: &'static str) -> Ran {
    let action = Cli::try_parse_from(words);
    let Action::Command(command, global) = action.unwrap().action().unwrap() else {
        panic!("this is the server");
    };
    let (out, err) = (Shared::default(), Shared::default());
    let mut streams = Streams {
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        input: Some(Box::new(input.as_bytes())),
        out_is_terminal: false,
        err_is_terminal: false,
        input_is_terminal: false,
        colour: false,
    };
    let runtime = Runtime::real();
    let env = BTreeMap::new();
    let running = ottla_cli::run(command, &global, &env, &runtime, &mut streams);
    let exit = Box::pin(running).await;
    Ran {
        exit,
        out: out.text(),
        err: err.text(),
    }
}
