//! `ottla dev` as a person runs it: real processes, lines in and lines out, signals.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it should be"
)]

mod command;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ottla_cli::Exit;
use ottla_testkit::{Profile, Signal, descendants, node_binary, signal};

use command::run;

/// Longer than anything takes that does happen, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running `ottla dev`.
struct Dev {
    process: Child,
    input: Option<ChildStdin>,
    lines: Arc<Mutex<Vec<String>>>,
    /// What was waited for already.
    read: usize,
}

fn ottla() -> Command {
    let profile = if cfg!(debug_assertions) {
        Profile::Dev
    } else {
        Profile::Release
    };
    Command::new(node_binary(profile).unwrap())
}

fn command(folder: &Path, flags: &[&str]) -> Command {
    let mut command = ottla();
    // It must not reach the nodes.
    command.env("KAFKA_CFG_LISTENERS", "NONSENSE");
    command.arg("dev").arg("--data-dir").arg(folder).args(flags);
    command
}

impl Dev {
    fn start(folder: &Path, flags: &[&str]) -> Dev {
        let mut process = command(folder, flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, out) = (process.stdin.take(), process.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let read = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                read.lock().unwrap().push(line);
            }
        });
        Dev {
            process,
            input,
            lines,
            read: 0,
        }
    }

    /// Waits for a line with these words behind those that were waited for before; the line.
    fn says(&mut self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let lines = self.lines.lock().unwrap().clone();
            let mut new = lines.iter().enumerate().skip(self.read);
            if let Some((at, line)) = new.find(|(_, line)| line.contains(words)) {
                self.read = at + 1;
                return line.clone();
            }
            assert!(Instant::now() < until, "not said: {words}\n{lines:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn order(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn nodes(&self) -> Vec<u32> {
        descendants(self.process.id())
    }

    fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            let lines = self.lines.lock().unwrap().clone();
            assert!(Instant::now() < until, "it does not end\n{lines:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Its nodes end with it, as a test below shows.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first of so many ports that are free, as are those for HTTP.
fn free_ports(nodes: u16) -> u16 {
    for _ in 0..1000 {
        let port = ottla_testkit::free_port().unwrap();
        if port > 60_000 {
            continue;
        }
        let clients = port..port + 2 * nodes;
        let http = port + 552..port + 552 + nodes;
        if clients
            .chain(http)
            .all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        {
            return port;
        }
    }
    panic!("no free ports");
}

fn until_gone(ids: &[u32]) {
    let until = Instant::now() + PATIENCE;
    let is_there = |id: &&u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // A zombie is only waiting for its new parent to look.
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    while let Some(id) = ids.iter().find(is_there) {
        assert!(Instant::now() < until, "process {id} was left behind");
        thread::sleep(Duration::from_millis(20));
    }
}

async fn works(bootstrap: &str, line: &str) -> String {
    let ran = run(bootstrap, line).await;
    assert_eq!(ran.exit, Exit::Ok, "{line}: {}{}", ran.out, ran.err);
    ran.out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_is_seen_comes_back_and_all_end_together() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("dev");
    let port = free_ports(3);
    let mut dev = Dev::start(&folder, &["--nodes", "3", "--port", &port.to_string()]);
    let bootstrap = format!("127.0.0.1:{port},127.0.0.1:{}", port + 4);
    dev.says(&bootstrap.replace(",", &format!(",127.0.0.1:{},", port + 2)));
    let started = dev.says("node 2 is started, pid ");
    let second: u32 = started.rsplit(' ').next().unwrap().parse().unwrap();
    dev.says("all 3 nodes are running");
    works(&bootstrap, "topic create orders -p 3 -r 3").await;
    works(&bootstrap, "bench produce orders --records 100 --size 100").await;
    dev.says("topic orders is there: 3 partitions, 3 replicas each");
    let first: BTreeSet<u32> = dev.nodes().into_iter().collect();
    assert_eq!(first.len(), 3);
    assert!(first.contains(&second));

    signal(second, Signal::KILL).unwrap();
    dev.says("node 2 was killed from outside");
    dev.says("node 2 is fenced");
    works(&bootstrap, "bench produce orders --records 100 --size 100").await;
    dev.order("kill 2");
    dev.says("node 2 does not run; start 2 starts it");
    dev.order("start 2");
    dev.says("node 2 is started, pid ");
    dev.says("node 2 is running");
    dev.order("stop 1");
    dev.says("node 1 stopped");
    dev.order("start 1");
    dev.says("all 3 nodes are running");

    let nodes = dev.nodes();
    assert_eq!(nodes.len(), 3);
    signal(dev.process.id(), Signal::INT).unwrap();
    dev.says("stopping all nodes");
    for _ in 0..3 {
        let stopped = dev.says(" stopped");
        assert!(!stopped.contains("outside"), "{stopped}");
    }
    assert_eq!(dev.wait(), Some(0));
    until_gone(&nodes);
    for id in 1..=3 {
        let log = std::fs::read_to_string(folder.join(format!("node-{id}/ottla.log"))).unwrap();
        assert!(log.trim_end().ends_with("stopped"), "{log}");
    }
    let other = command(&folder, &["--nodes", "5"]).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(said.contains("was made with --nodes 3"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_end_with_whoever_started_them_and_their_cluster_goes_on_later() {
    let root = tempfile::tempdir().unwrap();
    let port = free_ports(3).to_string();
    let mut dev = Dev::start(root.path(), &["--port", &port]);
    dev.says("all 3 nodes are running");
    let bootstrap = format!("127.0.0.1:{port}");
    works(&bootstrap, "topic create orders -p 1 -r 3").await;
    // Also one that stands still, and could not hear of anything.
    dev.order("pause 3");
    dev.says("node 3 stands still");
    let nodes = dev.nodes();
    assert_eq!(nodes.len(), 3);
    signal(dev.process.id(), Signal::KILL).unwrap();
    until_gone(&nodes);
    let log = std::fs::read_to_string(root.path().join("node-3/ottla.log")).unwrap();
    assert!(log.contains("standard input has ended"), "{log}");
    assert!(log.trim_end().ends_with("stopped"), "{log}");

    let mut again = Dev::start(root.path(), &[]);
    again.says("all 3 nodes are running");
    let topics = works(&bootstrap, "topic list -o name").await;
    assert!(topics.contains("orders"), "{topics}");
    again.order("quit");
    assert_eq!(again.wait(), Some(0));
}

#[test]
fn a_node_that_is_lost_is_started_again_when_that_is_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let port = free_ports(1).to_string();
    let flags = ["--nodes", "1", "--port", &port, "--restart"];
    let mut dev = Dev::start(root.path(), &flags);
    let started = dev.says("node 1 is started, pid ");
    dev.says("the node is running");
    let pid: u32 = started.rsplit(' ').next().unwrap().parse().unwrap();
    signal(pid, Signal::KILL).unwrap();
    dev.says("node 1 was killed from outside (SIGKILL); it is started again in 1s");
    dev.says("node 1 is started, pid ");
    dev.says("the node is running");
    dev.order("quit");
    assert_eq!(dev.wait(), Some(0));
}

#[test]
fn what_could_not_work_is_refused_before_anything_starts() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("dev");
    let port = free_ports(3);
    let _taken = TcpListener::bind(("127.0.0.1", port + 3)).unwrap();
    let port = port.to_string();
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--port", &port], 1, "(node 2, controllers) is taken"),
        (&["--set", "num.partitions=many"], 2, "num.partitions"),
        (&["--set", "node.id=7"], 2, "has a value of its own"),
        (&["-b", "127.0.0.1:1"], 2, "--port says where"),
    ];
    for (flags, code, words) in cases {
        let mut process = command(&folder, flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut err = process.stderr.take().unwrap();
        err.read_to_string(&mut said).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!folder.join("node-1").exists());
    }
}
