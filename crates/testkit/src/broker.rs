//! A broker as a process: our node, or Apache Kafka.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::free_port;
use crate::process::{Process, Signal};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const LOG_LINES_SHOWN: usize = 40;
/// Any cluster id serves a broker that lives as long as its test.
const KAFKA_CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// What to start, and with which settings beyond the addresses and the data folder.
#[derive(Clone, Debug)]
pub enum Launch {
    /// Our own node.
    Ottla {
        /// The path of the binary.
        binary: PathBuf,
        /// Properties given as `--set name=value`.
        settings: Vec<(String, String)>,
    },
    /// Apache Kafka as one KRaft process.
    Kafka {
        /// The folder with its jars.
        lib: PathBuf,
        /// Lines added to `server.properties`.
        settings: Vec<(String, String)>,
    },
}

/// A broker on this machine with its data in a temporary folder. Dropping it kills the process
/// and removes the data.
#[derive(Debug)]
pub struct Broker {
    launch: Launch,
    folder: TempDir,
    port: u16,
    second_port: u16,
    process: Option<Process>,
}

impl Broker {
    /// Starts a broker on free ports and waits until it is ready.
    pub fn start(launch: Launch) -> Result<Broker> {
        let mut broker = Broker::prepare(launch)?;
        broker.spawn()?;
        broker.wait_ready()?;
        Ok(broker)
    }

    /// Chooses ports and writes what must exist before the first start, but starts nothing.
    pub fn prepare(launch: Launch) -> Result<Broker> {
        let broker = Broker {
            folder: tempfile::Builder::new().prefix("ottla-test-").tempdir()?,
            port: free_port()?,
            second_port: free_port()?,
            process: None,
            launch,
        };
        if let Launch::Kafka { lib, settings } = &broker.launch {
            broker.format_kafka(lib, settings)?;
        }
        Ok(broker)
    }

    /// `HOST:PORT` for clients.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port of our node's HTTP: health and metrics.
    pub fn http_port(&self) -> u16 {
        self.second_port
    }

    /// The folder in which the broker keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The process, while there is one.
    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the broker is not running")
    }

    /// The process, for a caller that ends it in a way of its own; another one can be started then.
    pub fn take_process(&mut self) -> Option<Process> {
        self.process.take()
    }

    /// Starts the process and does not wait for it.
    pub fn spawn(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the broker is running already");
        let mut command = match &self.launch {
            Launch::Ottla { binary, settings } => self.ottla_command(binary, settings),
            Launch::Kafka { lib, .. } => self.kafka_command(lib),
        };
        // One log file for each start, so that an old line never looks like a new one.
        let starts = fs::read_dir(self.folder.path())?.count();
        let log = self.folder.path().join(format!("log-{starts}"));
        self.process = Some(Process::spawn(
            command.current_dir(self.folder.path()),
            &log,
        )?);
        Ok(())
    }

    /// Waits until the broker says that it is ready.
    pub fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let process = self.process.as_mut().context("the broker is not running")?;
            if let Some(status) = process.ended()? {
                bail!(
                    "the broker ended at its start, {status}:\n{}",
                    process.log_tail(LOG_LINES_SHOWN)
                );
            }
            let ready = match &self.launch {
                Launch::Ottla { .. } => answers_ready(self.second_port),
                Launch::Kafka { .. } => process.log().contains("Kafka Server started"),
            };
            if ready {
                return Ok(());
            }
            if Instant::now() > deadline {
                let log = process.log_tail(LOG_LINES_SHOWN);
                bail!("the broker is not ready after {START_LIMIT:?}:\n{log}");
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// SIGTERM, and the wait for the end.
    pub fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the broker is not running")?;
        process.signal(Signal::TERM)?;
        let status = process.wait(STOP_LIMIT)?;
        // A JVM that obeys SIGTERM exits with 128 + 15.
        let obeyed = status.success() || status.code() == Some(143);
        let log = process.log_tail(LOG_LINES_SHOWN);
        ensure!(
            obeyed,
            "the broker ended badly after SIGTERM, {status}:\n{log}"
        );
        Ok(())
    }

    /// SIGKILL, and the wait for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.process
            .take()
            .context("the broker is not running")?
            .kill()
    }

    /// Stops it cleanly and starts it again on the same ports and data.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.spawn()?;
        self.wait_ready()
    }

    /// Kills it and starts it again on the same ports and data.
    pub fn kill_and_start(&mut self) -> Result<()> {
        self.kill()?;
        self.spawn()?;
        self.wait_ready()
    }

    /// The last lines of the running process' log.
    pub fn log_tail(&self) -> String {
        self.process
            .as_ref()
            .map(|process| process.log_tail(LOG_LINES_SHOWN))
            .unwrap_or_default()
    }

    fn ottla_command(&self, binary: &Path, settings: &[(String, String)]) -> Command {
        let mut command = Command::new(binary);
        command
            .arg("server")
            .args(["--set", "process.roles=broker,controller"])
            .args([
                "--set",
                &format!("listeners=PLAINTEXT://127.0.0.1:{}", self.port),
            ])
            .args(["--set", &format!("log.dirs={}", self.data_dir().display())])
            .args([
                "--set",
                &format!("ottla.http.listener=127.0.0.1:{}", self.second_port),
            ]);
        for (name, value) in settings {
            command.args(["--set", &format!("{name}={value}")]);
        }
        command
    }

    fn kafka_command(&self, lib: &Path) -> Command {
        let mut command = java(lib);
        command
            .arg("kafka.Kafka")
            .arg(self.folder.path().join("server.properties"));
        command
    }

    fn format_kafka(&self, lib: &Path, settings: &[(String, String)]) -> Result<()> {
        let (port, controller, data) = (self.port, self.second_port, self.data_dir());
        let mut properties = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             log.dirs={}\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n",
            data.display()
        );
        for (name, value) in settings {
            properties.push_str(&format!("{name}={value}\n"));
        }
        let path = self.folder.path().join("server.properties");
        fs::write(&path, properties)?;
        let mut format = java(lib);
        format
            .args([
                "kafka.tools.StorageTool",
                "format",
                "-t",
                KAFKA_CLUSTER_ID,
                "-c",
            ])
            .arg(&path);
        let output = format.output().context("cannot run java")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "Kafka's storage was not formatted: {said}"
        );
        Ok(())
    }
}

fn java(lib: &Path) -> Command {
    let mut command = Command::new("java");
    // What kafka-server-start.sh and kafka-run-class.sh give to the JVM.
    command
        .args([
            "-Xmx1G",
            "-Xms1G",
            "-server",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-XX:InitiatingHeapOccupancyPercent=35",
            "-XX:+ExplicitGCInvokesConcurrent",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
            "-cp",
        ])
        .arg(lib.join("*"));
    command
}

/// Whether `/health/ready` answers 200 on this port.
fn answers_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(
            b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
