//! Clients that are programs of their own: transactions on both libraries, which are killed now and
//! then, and everything else on Kafka's own library.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{
    GROUP, MOVERS, PARTITIONS, TRANSACTORS, WorkloadOptions, group_protocol, journal_path, topics,
};
use crate::dice::Dice;
use crate::history::Role;
use crate::process::Process;

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// A Python interpreter that has `confluent_kafka`.
    pub python: PathBuf,
    /// The transactional client for it.
    pub worker: PathBuf,
    /// The class path with `clients/java`.
    pub class_path: String,
}

/// The programs at work.
#[derive(Debug)]
pub(super) struct Outside {
    options: WorkloadOptions,
    programs: Programs,
    transactors: Vec<Transactor>,
    java: Child,
}

/// A transactional client: its name stays, its processes come and go.
#[derive(Debug)]
struct Transactor {
    index: usize,
    incarnation: usize,
    process: Process,
}

const JAVA_NAME: &str = "java";

impl Outside {
    pub(super) fn start(options: &WorkloadOptions, programs: Programs) -> Result<Outside> {
        let log = File::create(options.folder.join("java.log"))?;
        let java = java(&programs, "ottla.clients.ClusterWorker")
            .args([&options.bootstrap, JAVA_NAME, &options.seed.to_string()])
            .arg(&options.folder)
            .args([topics::PLAIN, &PARTITIONS.to_string(), GROUP])
            .args([
                group_protocol(options),
                &options.pause.as_millis().to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot run java")?;
        let mut outside = Outside {
            options: options.clone(),
            programs,
            transactors: Vec::new(),
            java,
        };
        for index in 0..TRANSACTORS {
            let process = outside.spawn(index, 1)?;
            outside.transactors.push(Transactor {
                index,
                incarnation: 1,
                process,
            });
        }
        Ok(outside)
    }

    fn spawn(&self, index: usize, incarnation: usize) -> Result<Process> {
        let mut command = if index.is_multiple_of(2) {
            let mut python = Command::new(&self.programs.python);
            python
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .arg(&self.programs.worker);
            python
        } else {
            java(&self.programs, "ottla.clients.TransactionWorker")
        };
        let name = transactor_name(index);
        let folder = &self.options.folder;
        command
            .args([&self.options.bootstrap, &name])
            .args([incarnation, index].map(|number| number.to_string()))
            .arg(self.options.seed.to_string())
            .arg(journal_path(folder, &incarnation_name(index, incarnation)))
            .args([topics::SENT, topics::SOURCE, topics::MOVED, MOVERS])
            .arg(PARTITIONS.to_string());
        Process::spawn(&mut command, &folder.join(format!("{name}.log")))
    }

    pub(super) fn kill_one(&mut self, dice: &mut Dice) -> Result<()> {
        let at = dice.below(self.transactors.len());
        self.transactors[at].process.kill()?;
        self.keep_running()
    }

    pub(super) fn keep_running(&mut self) -> Result<()> {
        for at in 0..self.transactors.len() {
            if self.transactors[at].process.ended()?.is_some() {
                let (index, next) = (
                    self.transactors[at].index,
                    self.transactors[at].incarnation + 1,
                );
                self.transactors[at].process = self.spawn(index, next)?;
                self.transactors[at].incarnation = next;
            }
        }
        let java = self.java.try_wait()?;
        let log = self.options.folder.join("java.log");
        ensure!(
            java.is_none(),
            "the Java clients ended, {java:?}: see {}",
            log.display()
        );
        Ok(())
    }

    /// Transactional clients are killed; the Java producer sends no more and waits for its outcomes.
    pub(super) fn be_quiet(&mut self) -> Result<()> {
        for transactor in &mut self.transactors {
            transactor.process.kill()?;
        }
        let input = self.java.stdin.as_mut().context("java has no input")?;
        input.write_all(b"quiet\n")?;
        let out = self.java.stdout.as_mut().context("java has no output")?;
        let mut answer = String::new();
        BufReader::new(out).read_line(&mut answer)?;
        ensure!(
            answer.trim() == "quiet",
            "the Java clients ended instead of being quiet"
        );
        Ok(())
    }

    /// The rest of the Java clients ends.
    pub(super) fn end(&mut self) -> Result<()> {
        drop(self.java.stdin.take());
        let status = self.java.wait()?;
        ensure!(status.success(), "the Java clients ended badly, {status}");
        Ok(())
    }

    /// The names under which transactions were begun.
    pub(super) fn transactional_ids() -> impl Iterator<Item = String> {
        (0..TRANSACTORS).map(transactor_name)
    }

    /// All journals, with who wrote them.
    pub(super) fn journals(&self) -> Vec<(String, Role)> {
        let mut all = Vec::new();
        for transactor in &self.transactors {
            let incarnations = 1..=transactor.incarnation;
            let names = incarnations.map(|number| incarnation_name(transactor.index, number));
            all.extend(names.map(|name| (name, Role::Producer)));
        }
        let group = || GROUP.to_owned();
        let of = |part: &str| format!("{JAVA_NAME}-{part}");
        all.push((of("producer"), Role::Producer));
        all.push((of("reader"), Role::Reader { committed: false }));
        all.push((of("member"), Role::Member { group: group() }));
        all
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.java.kill();
        let _ = self.java.wait();
    }
}

fn java(programs: &Programs, class: &str) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error")
        .args(["-cp", &programs.class_path, class]);
    command
}

fn transactor_name(index: usize) -> String {
    format!("transactor-{index}")
}

fn incarnation_name(index: usize, incarnation: usize) -> String {
    format!("{}.{incarnation}", transactor_name(index))
}
