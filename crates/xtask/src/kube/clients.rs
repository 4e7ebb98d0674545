//! Clients of Kafka and of ZooKeeper on this machine, which is outside of Kubernetes.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::finished::output;
use super::space::within;
use crate::setup;
use crate::suites::script;

const LIMIT: Duration = Duration::from_secs(60);
/// Node ports and load balancers take a moment to follow the pods.
const REACH_LIMIT: Duration = Duration::from_secs(40);

/// What `kcat` prints.
pub(crate) fn kcat(bootstrap: &str, arguments: &[&str], input: &str) -> Result<String> {
    setup::kcat()?;
    let mut command = Command::new("kcat");
    command.args(["-b", bootstrap]).args(arguments);
    output(&mut command, input.as_bytes(), LIMIT)
}

/// The addresses of all brokers that `kcat -L` is told.
pub(crate) fn brokers(bootstrap: &str) -> Result<BTreeSet<String>> {
    let text = kcat(bootstrap, &["-L", "-J", "-m", "5"], "")?;
    let metadata: Value = serde_json::from_str(&text).context("kcat's answer is no JSON")?;
    let brokers = metadata["brokers"].as_array().map(Vec::as_slice);
    let names = brokers.unwrap_or_default().iter();
    Ok(names
        .filter_map(|b| b["name"].as_str().map(str::to_owned))
        .collect())
}

/// Waits until one address tells of all these.
pub(crate) fn sees(bootstrap: &str, expected: &BTreeSet<String>) -> Result<()> {
    let what = format!("{bootstrap} tells of {expected:?}");
    let mut last = BTreeSet::new();
    let seen = within(REACH_LIMIT, &what, || {
        last = brokers(bootstrap)?;
        Ok(last == *expected)
    });
    seen.with_context(|| format!("it told of {last:?} at last"))
}

/// `hello` and `world` go in with `kcat -P` and come out with `kcat -C`.
pub(crate) fn hello_world(bootstrap: &str, topic: &str) -> Result<()> {
    kcat(
        bootstrap,
        &["-P", "-t", topic, "-X", "acks=all"],
        "hello\nworld\n",
    )?;
    let lines = read_all(bootstrap, topic)?;
    ensure!(lines == ["hello", "world"], "{topic} has {lines:?}");
    Ok(())
}

/// Everything in a topic.
pub(crate) fn read_all(bootstrap: &str, topic: &str) -> Result<Vec<String>> {
    let arguments = ["-C", "-t", topic, "-o", "beginning", "-e", "-q"];
    let text = kcat(bootstrap, &arguments, "")?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// A program below `clients/kube`, to its end; what it prints.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Result<String> {
    let mut command = script(&format!("kube/{name}"))?;
    output(command.args(arguments), b"", 2 * LIMIT)
}

/// The program of Kafka's own client that knows one address.
pub(crate) fn kafkas_own(arguments: &[&str]) -> Result<String> {
    let class_path = setup::java_program("java")?;
    let mut command = Command::new("java");
    command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"]);
    command.args([&class_path, "ottla.clients.OneAddress"]);
    output(command.args(arguments), b"", 2 * LIMIT)
}

/// A program below `clients/kube` that works until its standard input ends, and then says in one line
/// of JSON what it has seen.
pub(crate) struct Load {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Load {
    /// Starts it, and waits until it is at work.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Result<Load> {
        let mut command = script(&format!("kube/{name}"))?;
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        let stdout = child.stdout.take().context("the output is not piped")?;
        let mut load = Load {
            child,
            said: BufReader::new(stdout),
        };
        let first = load.line()?;
        ensure!(first == "at work", "{name} said {first:?} at first");
        Ok(load)
    }

    /// What it has seen until now; it goes on.
    pub(crate) fn now(&mut self) -> Result<Value> {
        let stdin = self.child.stdin.as_mut().context("it has no input")?;
        writeln!(stdin, "now")?;
        let text = self.line()?;
        serde_json::from_str(&text).with_context(|| format!("{text:?} is no JSON"))
    }

    /// Ends it; what it has seen. It limits itself: whatever it waits for has an end.
    pub(crate) fn end(mut self) -> Result<Value> {
        drop(self.child.stdin.take());
        let text = self.line()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the load ended with {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{text:?} is no JSON"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It has ended, unless its case has failed before.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
