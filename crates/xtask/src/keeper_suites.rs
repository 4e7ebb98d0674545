//! The test programs of ZooKeeper's clients, each in a process of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::cases::Tally;
use crate::setup;
use crate::suites::{each_line, script};
use crate::workspace::cargo;

/// The superuser of the scheme `digest`, as the suites are told it: NAME:PASSWORD.
pub(crate) const SUPER: &str = "super:test";
/// The same as a server knows it: NAME:BASE64(SHA1(NAME:PASSWORD)).
pub(crate) const SUPER_DIGEST: &str = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
/// A user of SASL's DIGEST-MD5, and the password. kazoo's own tests know this one, and the superuser above.
pub(crate) const SASL: (&str, &str) = ("jaasuser", "jaas_password");

/// Where the servers are, and what is known about them.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    /// `HOST:PORT,…`.
    pub(crate) connect: String,
    /// `HOST:PORT` that stops and starts them.
    pub(crate) control: Option<String>,
    /// Whether they are Apache ZooKeeper, which does not survive everything that a suite can do.
    pub(crate) reference: bool,
}

/// Who serves, where a suite starts the servers itself.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Apache ZooKeeper
    Reference,
    /// The keeper of this binary
    Ottla(PathBuf),
}

/// A client of ZooKeeper under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum KeeperSuite {
    /// kazoo, the Python client, from PyPI, and raw sockets beside it
    Kazoo,
    /// kazoo that is content with reading, on servers without a quorum
    KazooReadOnly,
    /// kazoo's own tests
    KazooOwn,
    /// ZooKeeper's own client and command line, from Maven Central
    ZookeeperJava,
    /// Curator's recipes, caches and service discovery, from Maven Central
    Curator,
    /// ZooKeeper's C library, from Debian
    ZookeeperC,
    /// The Rust client, from crates.io
    ZookeeperClient,
    /// A Kafka cluster of the time when Kafka needed ZooKeeper, from Maven Central
    KafkaZookeeper,
    /// TLS with clients and between servers, and what certificates prove
    Secured,
    /// Observers, and servers that come and go
    Members,
}

impl KeeperSuite {
    /// Every suite, in the order in which they run.
    pub(crate) const ALL: [KeeperSuite; 10] = [
        KeeperSuite::Kazoo,
        KeeperSuite::KazooReadOnly,
        KeeperSuite::KazooOwn,
        KeeperSuite::ZookeeperJava,
        KeeperSuite::Curator,
        KeeperSuite::ZookeeperC,
        KeeperSuite::ZookeeperClient,
        KeeperSuite::KafkaZookeeper,
        KeeperSuite::Secured,
        KeeperSuite::Members,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            KeeperSuite::Kazoo => "kazoo",
            KeeperSuite::KazooReadOnly => "kazoo-read-only",
            KeeperSuite::KazooOwn => "kazoo-own",
            KeeperSuite::ZookeeperJava => "zookeeper-java",
            KeeperSuite::Curator => "curator",
            KeeperSuite::ZookeeperC => "zookeeper-c",
            KeeperSuite::ZookeeperClient => "zookeeper-client",
            KeeperSuite::KafkaZookeeper => "kafka-zookeeper",
            KeeperSuite::Secured => "secured",
            KeeperSuite::Members => "members",
        }
    }

    /// Whether it starts servers as it needs them, so that none are to be given to it.
    pub(crate) fn starts_servers(self) -> bool {
        matches!(self, KeeperSuite::Secured | KeeperSuite::Members)
    }

    /// What this suite needs of Apache ZooKeeper beyond what all need.
    pub(crate) fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // Else it has no session for whoever is content with reading.
            KeeperSuite::KazooReadOnly => &[
                ("localSessionsEnabled", "true"),
                ("localSessionsUpgradingEnabled", "true"),
            ],
            _ => &[],
        }
    }

    /// Gets the client; the command that runs its suite, without the servers' addresses.
    pub(crate) fn prepare(self) -> Result<Command> {
        match self {
            KeeperSuite::Kazoo => script("keeper/kazoo_suite.py"),
            KeeperSuite::KazooReadOnly => {
                let mut command = script("keeper/kazoo_suite.py")?;
                command.args(["--local-sessions", "--only", "without_a_quorum"]);
                Ok(command)
            }
            KeeperSuite::KazooOwn => script("keeper/kazoo_own_suite.py"),
            KeeperSuite::KafkaZookeeper => {
                let lib = setup::jars("kafka-zookeeper")?;
                let mut command = script("kafka-zookeeper/kafka_zookeeper_suite.py")?;
                command.arg("--lib").arg(lib);
                Ok(command)
            }
            KeeperSuite::Secured => with_zookeeper("keeper/secured_suite.py"),
            KeeperSuite::Members => with_zookeeper("keeper/members_suite.py"),
            // Without librdkafka, which takes minutes to build.
            KeeperSuite::ZookeeperClient => Ok(cargo(&[
                "test",
                "-p",
                "ottla-testkit",
                "--no-default-features",
                "--test",
                "zookeeper",
            ])),
            KeeperSuite::ZookeeperJava => java(&[]),
            KeeperSuite::Curator => java(&["--curator"]),
            KeeperSuite::ZookeeperC => {
                let program =
                    setup::c_program("zookeeper-c", "zookeeper_mt", "libzookeeper-mt-dev")?;
                Ok(Command::new(program))
            }
        }
    }

    /// Runs a suite that starts servers itself.
    pub(crate) fn run_alone(
        self,
        mut command: Command,
        kind: &Kind,
        limit: Duration,
    ) -> Result<Tally> {
        let mut tally = Tally::of(self.name());
        if let Kind::Ottla(binary) = kind {
            command.arg("--ottla").arg(binary);
        }
        let success = each_line(&mut command, limit, |line| tally.take_case_line(line))?;
        tally.take_end(success);
        Ok(tally)
    }

    /// Runs the suite, shows what it prints, and counts its cases.
    pub(crate) fn run(
        self,
        mut command: Command,
        servers: &Servers,
        limit: Duration,
    ) -> Result<Tally> {
        let mut tally = Tally::of(self.name());
        if self == KeeperSuite::ZookeeperClient {
            command.env("OTTLA_TEST_KEEPER", &servers.connect);
            tally.version = "zookeeper-client crate".into();
            let success = each_line(&mut command, limit, |line| tally.take_cargo_line(line))?;
            tally.take_end(success);
            return Ok(tally);
        }
        let (user, password) = SASL;
        command.args(["--connect", &servers.connect, "--super", SUPER]);
        command.args(["--sasl", &format!("{user}:{password}")]);
        if let Some(control) = &servers.control {
            command.args(["--control", control]);
        }
        if servers.reference {
            command.arg("--reference");
        }
        let success = each_line(&mut command, limit, |line| tally.take_case_line(line))?;
        tally.take_end(success);
        Ok(tally)
    }
}

/// A suite that has servers of its own, and ZooKeeper's jars for them or for its clients.
fn with_zookeeper(path: &str) -> Result<Command> {
    let lib = setup::jars("zookeeper")?;
    let mut command = script(path)?;
    command.arg("--lib").arg(lib);
    Ok(command)
}

/// The Java program with ZooKeeper's client and Curator.
fn java(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new("java");
    command.args([
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        "-cp",
        &setup::java_program("zookeeper-java")?,
        "ottla.keeper.Main",
    ]);
    command.args(arguments);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_suite_runs_and_is_called_what_the_command_line_calls_it() {
        assert_eq!(KeeperSuite::ALL.as_slice(), KeeperSuite::value_variants());
        for suite in KeeperSuite::ALL {
            let value = suite.to_possible_value().map(|v| v.get_name().to_owned());
            assert_eq!(value.as_deref(), Some(suite.name()));
        }
    }
}
