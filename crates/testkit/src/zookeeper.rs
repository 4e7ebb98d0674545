//! Apache ZooKeeper as processes, one server or an ensemble: what the keeper's client suites are proved
//! against. Our own keeper takes its place with the same configuration.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::process::{Process, Signal};

const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LOG_LINES_SHOWN: usize = 40;

/// Ports from here on, below those that the kernel gives to whoever connects: the port of a server that
/// was killed stays free, and a client that tries it over and over never meets itself there.
const FIRST_PORT: u16 = 21_000;
const PORTS: u16 = 10_000;

/// How an ensemble is made.
#[derive(Clone, Debug)]
pub struct ZooKeeperOptions {
    /// The folder with ZooKeeper's jars.
    pub lib: PathBuf,
    /// Our own binary, whose keeper takes ZooKeeper's place with the same configuration.
    pub keeper: Option<PathBuf>,
    /// How many servers; one runs standalone, without an ensemble.
    pub servers: usize,
    /// Lines of every `zoo.cfg` beyond the addresses and the folder.
    pub settings: Vec<(String, String)>,
    /// Java properties of every server, for what `zoo.cfg` has no line for.
    pub properties: Vec<(String, String)>,
    /// Users and passwords of SASL's DIGEST-MD5; none leaves SASL out.
    pub users: Vec<(String, String)>,
    /// The heap of each server.
    pub heap_mib: u32,
}

impl ZooKeeperOptions {
    /// Servers as they come, with small heaps.
    pub fn plain(lib: PathBuf, servers: usize) -> ZooKeeperOptions {
        ZooKeeperOptions {
            lib,
            keeper: None,
            servers,
            settings: Vec::new(),
            properties: Vec::new(),
            users: Vec::new(),
            heap_mib: 256,
        }
    }
}

/// A running ensemble with its data in a temporary folder. Servers are named by their place in it, from 0
/// on; their ids begin with 1. Dropping it kills the processes and removes the data.
#[derive(Debug)]
pub struct ZooKeeper {
    options: ZooKeeperOptions,
    // Processes end before the folder goes.
    servers: Vec<Server>,
    folder: TempDir,
}

#[derive(Debug)]
struct Server {
    id: usize,
    client_port: u16,
    quorum_port: u16,
    election_port: u16,
    admin_port: u16,
    process: Option<Process>,
    starts: usize,
}

impl ZooKeeper {
    /// Starts all servers and waits until each serves.
    pub fn start(options: ZooKeeperOptions) -> Result<ZooKeeper> {
        let mut ensemble = ZooKeeper::prepare(options)?;
        for server in 0..ensemble.len() {
            ensemble.spawn(server)?;
        }
        for server in 0..ensemble.len() {
            ensemble.wait_ready(server)?;
        }
        Ok(ensemble)
    }

    /// Chooses ports and writes the configuration, but starts nothing.
    pub fn prepare(options: ZooKeeperOptions) -> Result<ZooKeeper> {
        ensure!(options.servers > 0, "an ensemble has at least one server");
        let folder = tempfile::Builder::new()
            .prefix("ottla-zookeeper-")
            .tempdir()?;
        let mut servers = Vec::new();
        for id in 1..=options.servers {
            servers.push(Server {
                id,
                client_port: steady_port()?,
                quorum_port: steady_port()?,
                election_port: steady_port()?,
                admin_port: steady_port()?,
                process: None,
                starts: 0,
            });
        }
        let ensemble = ZooKeeper {
            options,
            servers,
            folder,
        };
        for server in &ensemble.servers {
            let home = ensemble.home(server.id);
            fs::create_dir_all(home.join("data"))?;
            fs::write(home.join("data/myid"), server.id.to_string())?;
            fs::write(home.join("zoo.cfg"), ensemble.configuration(server))?;
            fs::write(home.join("jaas.conf"), ensemble.jaas())?;
        }
        Ok(ensemble)
    }

    /// How many servers there are, running or not.
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether there is no server; there always is one.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// `HOST:PORT,…` of all servers, for clients.
    pub fn connect(&self) -> String {
        let addresses = self.servers.iter().map(Server::address);
        addresses.collect::<Vec<_>>().join(",")
    }

    /// `HOST:PORT` of one server, for clients.
    pub fn address(&self, server: usize) -> Result<String> {
        Ok(self.server(server)?.address())
    }

    /// The port of a server's AdminServer, which speaks HTTP.
    pub fn admin_port(&self, server: usize) -> Result<u16> {
        Ok(self.server(server)?.admin_port)
    }

    /// The folder in which a server keeps its snapshots and logs.
    pub fn data_dir(&self, server: usize) -> Result<PathBuf> {
        Ok(self.home(self.server(server)?.id).join("data"))
    }

    /// The process of a server that runs.
    pub fn process(&self, server: usize) -> Result<&Process> {
        let server = self.server(server)?;
        let process = server.process.as_ref();
        process.with_context(|| format!("server {} is not running", server.id))
    }

    /// Starts a server and does not wait for it.
    pub fn spawn(&mut self, server: usize) -> Result<()> {
        let id = self.server(server)?.id;
        let home = self.home(id);
        let mut command = self.command(&home);
        let server = self.server_mut(server)?;
        ensure!(server.process.is_none(), "server {id} is running already");
        // One log file for each start, so that an old line never looks like a new one.
        server.starts += 1;
        let log = home.join(format!("log-{}", server.starts));
        server.process = Some(Process::spawn(command.current_dir(&home), &log)?);
        Ok(())
    }

    /// Waits until a server serves clients, which one without a quorum does not.
    pub fn wait_ready(&mut self, server: usize) -> Result<()> {
        let server = self.server_mut(server)?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let process = server.process.as_mut().context("it is not running")?;
            if let Some(status) = process.ended()? {
                let log = process.log_tail(LOG_LINES_SHOWN);
                bail!("server {} ended at its start, {status}:\n{log}", server.id);
            }
            let answer = four_letters(server.client_port, "srvr").unwrap_or_default();
            if answer.contains("\nMode: ") && !answer.contains("Mode: read-only") {
                return Ok(());
            }
            if Instant::now() > deadline {
                let log = process.log_tail(LOG_LINES_SHOWN);
                bail!("server {} is not ready:\n{log}", server.id);
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// SIGTERM, and the wait for the end.
    pub fn stop(&mut self, server: usize) -> Result<()> {
        let server = self.server_mut(server)?;
        let mut process = server.process.take().context("it is not running")?;
        process.signal(Signal::TERM)?;
        process.wait(STOP_LIMIT)?;
        Ok(())
    }

    /// SIGKILL, and the wait for the end.
    pub fn kill(&mut self, server: usize) -> Result<()> {
        let server = self.server_mut(server)?;
        server.process.take().context("it is not running")?.kill()
    }

    /// Stops whatever runs.
    pub fn stop_all(&mut self) -> Result<()> {
        for server in 0..self.len() {
            if self.servers[server].process.is_some() {
                self.stop(server)?;
            }
        }
        Ok(())
    }

    /// The place of the server that leads; of a standalone server, 0.
    pub fn leader(&self) -> Option<usize> {
        self.servers.iter().position(|server| {
            let answer = four_letters(server.client_port, "srvr").unwrap_or_default();
            answer.contains("\nMode: leader") || answer.contains("\nMode: standalone")
        })
    }

    /// The last lines of a running server's log.
    pub fn log_tail(&self, server: usize) -> String {
        let process = self.process(server);
        process.map_or_else(|_| String::new(), |p| p.log_tail(LOG_LINES_SHOWN))
    }

    fn server(&self, server: usize) -> Result<&Server> {
        let found = self.servers.get(server);
        found.with_context(|| format!("there is no server {server}"))
    }

    fn server_mut(&mut self, server: usize) -> Result<&mut Server> {
        let found = self.servers.get_mut(server);
        found.with_context(|| format!("there is no server {server}"))
    }

    fn home(&self, id: usize) -> PathBuf {
        self.folder.path().join(format!("server-{id}"))
    }

    /// The text of a server's `zoo.cfg`; a setting of the caller replaces one of ours.
    fn configuration(&self, server: &Server) -> String {
        let own = |name: &str| {
            let named = |setting: &&(String, String)| setting.0 == name;
            self.options.settings.iter().find(named).is_some()
        };
        let mut text = format!(
            "dataDir={}\nadmin.serverPort={}\n",
            self.home(server.id).join("data").display(),
            server.admin_port
        );
        for (name, value) in [
            ("tickTime", "2000"),
            ("initLimit", "10"),
            ("syncLimit", "5"),
        ] {
            if !own(name) {
                let _ = writeln!(text, "{name}={value}");
            }
        }
        if !self.options.users.is_empty() {
            text.push_str(
                "authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n",
            );
        }
        for (name, value) in &self.options.settings {
            let _ = writeln!(text, "{name}={value}");
        }
        if self.options.keeper.is_some() {
            // What is a property of the JVM there is a line here.
            for (name, value) in &self.options.properties {
                let _ = writeln!(text, "{name}={value}");
            }
            if !self.options.users.is_empty() {
                let jaas = self.home(server.id).join("jaas.conf");
                let _ = writeln!(text, "java.security.auth.login.config={}", jaas.display());
            }
        }
        if let [alone] = self.servers.as_slice() {
            let _ = writeln!(
                text,
                "clientPort={}\nclientPortAddress=127.0.0.1",
                alone.client_port
            );
        } else {
            for peer in &self.servers {
                let _ = writeln!(
                    text,
                    "server.{}=127.0.0.1:{}:{}:participant;127.0.0.1:{}",
                    peer.id, peer.quorum_port, peer.election_port, peer.client_port
                );
            }
        }
        text
    }

    fn jaas(&self) -> String {
        let mut text = String::from(
            "Server {\n  org.apache.zookeeper.server.auth.DigestLoginModule required\n",
        );
        for (user, password) in &self.options.users {
            let _ = writeln!(text, "  user_{user}=\"{password}\"");
        }
        text.push_str("  ;\n};\n");
        text
    }

    fn command(&self, home: &Path) -> Command {
        if let Some(keeper) = &self.options.keeper {
            let mut command = Command::new(keeper);
            command.args(["server", "--keeper-config"]);
            command.arg(home.join("zoo.cfg"));
            command.args(["--set", "ottla.http.listener="]);
            return command;
        }
        let mut command = Command::new("java");
        let heap = self.options.heap_mib;
        command
            .arg(format!("-Xmx{heap}m"))
            .args(["-Djava.awt.headless=true", "-Dfile.encoding=UTF-8"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=info");
        for (name, value) in &self.options.properties {
            command.arg(format!("-D{name}={value}"));
        }
        if !self.options.users.is_empty() {
            let jaas = home.join("jaas.conf");
            command.arg(format!(
                "-Djava.security.auth.login.config={}",
                jaas.display()
            ));
        }
        command
            .arg("-cp")
            .arg(self.options.lib.join("*"))
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(home.join("zoo.cfg"));
        command
    }
}

impl Server {
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }
}

/// What a server on this machine answers to a four-letter word.
pub fn four_letters(port: u16, word: &str) -> std::io::Result<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A free port that the kernel gives to nobody else: see [`FIRST_PORT`].
fn steady_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that look at the same time begin at different places.
    let begin = std::process::id().wrapping_mul(97) % u32::from(PORTS);
    for _ in 0..PORTS {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + u16::try_from((begin + step) % u32::from(PORTS))?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port from {FIRST_PORT} on is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(servers: usize) -> ZooKeeperOptions {
        ZooKeeperOptions::plain("/nowhere".into(), servers)
    }

    #[test]
    fn servers_of_an_ensemble_have_the_same_members_and_ports_of_their_own() {
        let ensemble = ZooKeeper::prepare(options(3)).unwrap();
        let members = |server: usize| {
            let text = fs::read_to_string(ensemble.home(server + 1).join("zoo.cfg")).unwrap();
            let lines = text.lines().filter(|line| line.starts_with("server."));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(members(0).len(), 3);
        assert_eq!(members(0), members(2));
        let mut ports: Vec<u16> = ensemble
            .servers
            .iter()
            .flat_map(|s| [s.client_port, s.quorum_port, s.election_port, s.admin_port])
            .collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 12);
        assert!(
            ports
                .iter()
                .all(|port| (FIRST_PORT..FIRST_PORT + PORTS).contains(port))
        );
    }

    #[test]
    fn a_setting_of_the_caller_replaces_the_one_that_is_there() {
        let mut alone = options(1);
        alone.settings.push(("tickTime".into(), "500".into()));
        alone.users.push(("bob".into(), "secret".into()));
        let alone = ZooKeeper::prepare(alone).unwrap();
        let text = fs::read_to_string(alone.home(1).join("zoo.cfg")).unwrap();
        let times: Vec<&str> = text.lines().filter(|l| l.starts_with("tickTime")).collect();
        assert_eq!(times, ["tickTime=500"]);
        assert!(
            text.contains(&format!("clientPort={}\n", alone.servers[0].client_port)),
            "{text}"
        );
        assert!(text.contains("authProvider.sasl="), "{text}");
        let jaas = fs::read_to_string(alone.home(1).join("jaas.conf")).unwrap();
        assert!(jaas.contains("user_bob=\"secret\""), "{jaas}");
    }

    #[test]
    fn a_server_that_does_not_start_is_told_with_its_log() {
        let mut alone = ZooKeeper::prepare(options(1)).unwrap();
        // Without a JVM there is no process at all; with one it ends for want of classes.
        let outcome = alone.spawn(0).and_then(|()| alone.wait_ready(0));
        let error = format!("{:#}", outcome.unwrap_err());
        assert!(
            error.contains("ended at its start") || error.contains("cannot start"),
            "{error}"
        );
    }
}
