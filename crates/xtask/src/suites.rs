//! The real clients' test programs, each in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ottla_testkit::Signal;

use crate::cases::{Missing, Tally};
use crate::setup;
use crate::workspace::root;

/// A whole suite takes about a minute; a case limits itself to two.
const SUITE_LIMIT: Duration = Duration::from_secs(480);
/// One that kills nodes, and starts a JVM for each of many questions.
const CLUSTER_SUITE_LIMIT: Duration = Duration::from_secs(2400);

/// A client under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Suite {
    /// The librdkafka command line, from Debian
    Kcat,
    /// librdkafka for Python, from PyPI
    ConfluentKafka,
    /// The pure Python client, from PyPI
    KafkaPython,
    /// Kafka's own client, from Maven Central
    Java,
    /// Kafka's console producer, console consumer and other tools, from Maven Central
    Console,
    /// Kafka Streams, from Maven Central
    Streams,
    /// Kafka Connect, from Maven Central
    Connect,
    /// Kafka's own tools for clusters, against three nodes
    ClusterTools,
    /// A checker of transactions under kills, on librdkafka and Kafka's own client
    Checker,
}

impl Suite {
    /// Every suite, in the order in which they run.
    pub(crate) const ALL: [Suite; 9] = [
        Suite::Kcat,
        Suite::ConfluentKafka,
        Suite::KafkaPython,
        Suite::Java,
        Suite::Console,
        Suite::Streams,
        Suite::Connect,
        Suite::Checker,
        Suite::ClusterTools,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Suite::Kcat => "kcat",
            Suite::ConfluentKafka => "confluent-kafka",
            Suite::KafkaPython => "kafka-python",
            Suite::Java => "java",
            Suite::Console => "console",
            Suite::Streams => "streams",
            Suite::Connect => "connect",
            Suite::Checker => "checker",
            Suite::ClusterTools => "cluster-tools",
        }
    }

    /// Whether it needs several nodes.
    pub(crate) fn needs_cluster(self) -> bool {
        self == Suite::ClusterTools
    }

    /// Gets the client; the command that runs its suite, without the node's address.
    pub(crate) fn prepare(self) -> Result<Command> {
        match self {
            Suite::Kcat => {
                setup::kcat()?;
                script("kcat/kcat_suite.py")
            }
            Suite::ConfluentKafka => script("python/confluent_kafka_suite.py"),
            Suite::KafkaPython => script("python/kafka_python_suite.py"),
            Suite::Java => {
                let mut command = Command::new("java");
                let log_level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";
                command.args([
                    log_level,
                    "-cp",
                    &setup::java_program("java")?,
                    "ottla.clients.Main",
                ]);
                Ok(command)
            }
            Suite::Console => {
                let lib: PathBuf = setup::jars("console")?;
                let mut command = script("console/console_suite.py")?;
                command.arg("--lib").arg(lib);
                Ok(command)
            }
            Suite::ClusterTools => {
                let lib: PathBuf = setup::jars("console")?;
                let mut command = script("console/cluster_suite.py")?;
                command.arg("--lib").arg(lib);
                Ok(command)
            }
            Suite::Streams => {
                let class_path = setup::java_program("streams")?;
                let mut command = script("streams/streams_suite.py")?;
                command.args(["--class-path", &class_path]);
                Ok(command)
            }
            Suite::Checker => {
                let class_path = setup::java_program("java")?;
                let mut command = script("checker/checker_suite.py")?;
                command.args(["--class-path", &class_path]);
                Ok(command)
            }
            Suite::Connect => {
                let lib: PathBuf = setup::jars("connect")?;
                let mut command = script("connect/connect_suite.py")?;
                command.arg("--lib").arg(lib);
                Ok(command)
            }
        }
    }

    /// As [`Suite::prepare`], with a failure as the entry for the report.
    pub(crate) fn prepare_or_missing(self) -> Result<Command, Missing> {
        self.prepare()
            .map_err(|error| Missing::because(self.name(), &error))
    }

    /// Runs the suite, shows what it prints, and counts its cases.
    pub(crate) fn run(
        self,
        mut command: Command,
        bootstrap: &str,
        control: Option<&str>,
        data_dir: Option<&Path>,
    ) -> Result<Tally> {
        command.args(["--bootstrap", bootstrap]);
        // Only these look into the nodes' files.
        match (self, data_dir) {
            (Suite::Console, Some(folder)) => drop(command.arg("--data-dir").arg(folder)),
            (Suite::ClusterTools, Some(folder)) => drop(command.arg("--folder").arg(folder)),
            _ => {}
        }
        if let Some(control) = control {
            command.args(["--control", control]);
        }
        println!("\n== {}", self.name());
        let mut tally = Tally::of(self.name());
        let limit = if self.needs_cluster() {
            CLUSTER_SUITE_LIMIT
        } else {
            SUITE_LIMIT
        };
        let success = each_line(&mut command, limit, |line| tally.take_case_line(line))?;
        tally.take_end(success);
        Ok(tally)
    }
}

/// The command of a Python program below `clients`.
pub(crate) fn script(path: &str) -> Result<Command> {
    let mut command = Command::new(setup::python()?);
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(root().join("clients").join(path));
    Ok(command)
}

/// Runs a command, prints each line of its output and hands it on; whether it succeeded. After
/// `limit` it is killed together with all it has started.
pub(crate) fn each_line(
    command: &mut Command,
    limit: Duration,
    mut take: impl FnMut(&str),
) -> Result<bool> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let out = child.stdout.take().context("the output is not piped")?;
    let (lines, received) = mpsc::channel();
    thread::spawn(move || {
        // Ends with the output, or when nobody listens any more.
        for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
            if lines
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
    let deadline = Instant::now() + limit;
    loop {
        match received.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                println!("{line}");
                take(&line);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(child.wait()?.success()),
            Err(RecvTimeoutError::Timeout) => {
                println!("not finished after {} s: it is killed", limit.as_secs());
                for id in ottla_testkit::descendants(child.id()) {
                    ottla_testkit::signal(id, Signal::KILL)?;
                }
                child.kill()?;
                child.wait()?;
                return Ok(false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_handed_on_and_the_end_is_told() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two; exit 1"]);
        let good = each_line(&mut command, SUITE_LIMIT, |line| {
            lines.push(line.to_owned());
        });
        assert!(!good.unwrap());
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn what_does_not_end_is_killed_with_its_children() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let mut child = String::new();
        let limit = Duration::from_millis(500);
        assert!(!each_line(&mut command, limit, |line| line.clone_into(&mut child)).unwrap());
        assert!(is_dead(&child), "process {child} lives on");
    }

    /// A killed orphan may wait a moment for whoever inherits it.
    fn is_dead(id: &str) -> bool {
        (0..100).any(|_| {
            thread::sleep(Duration::from_millis(20));
            std::fs::read_to_string(format!("/proc/{id}/stat"))
                .map_or(true, |stat| stat.contains(") Z "))
        })
    }
}
