//! Where the nodes live: in network namespaces of their own, or on loopback addresses.
//!
//! ```text
//!   clients (this machine)        namespace of the switch            namespace of node 1
//!   otPIDxK  10.213.K.254 ──────▶ up0 ─ bridge br0 ─ p1 ───────────▶ eth0  10.213.K.1
//!                                              │ └── p2 ───────────▶ eth0  10.213.K.2  (node 2)
//! ```
//!
//! Everything lies in namespaces whose names hold our process id, and a namespace takes its links
//! with it when it goes. What a killed test left behind is found by its name and removed by the next.

use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};

use super::links::{End, Links};
use crate::process::{Signal, signal};

const PREFIX: &str = "ottla-net";
/// The second octet of every subnet; the third one is searched.
const SUBNET: u8 = 213;
const CLIENTS_HOST: u8 = 254;
static MADE: AtomicU32 = AtomicU32::new(0);

/// The nodes' network.
#[derive(Debug)]
pub(super) enum Network {
    /// Links can be cut, lossy and slow.
    Namespaces(Namespaces),
    /// 127.0.K.1, 127.0.K.2…: nothing can happen to the links.
    Loopback {
        /// The third octet.
        third: u8,
    },
}

impl Network {
    /// Namespaces when that is possible here, else loopback with the reason.
    pub(super) fn best(nodes: usize) -> Result<(Network, Option<String>)> {
        match Namespaces::possible() {
            Ok(()) => Ok((Network::Namespaces(Namespaces::make(nodes)?), None)),
            Err(reason) => Ok((Network::loopback(), Some(reason))),
        }
    }

    /// Loopback addresses that no other cluster of this process has.
    pub(super) fn loopback() -> Network {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let third = u8::try_from((std::process::id() + number) % 250 + 1).unwrap_or(1);
        Network::Loopback { third }
    }

    pub(super) fn address(&self, node: usize) -> Ipv4Addr {
        match self {
            Network::Namespaces(namespaces) => namespaces.address(End::Node(node)),
            Network::Loopback { third } => Ipv4Addr::new(127, 0, *third, host(node)),
        }
    }

    /// A command that runs `program` where the node lives. It becomes the program; the process id
    /// stays the same.
    pub(super) fn command(&self, node: usize, program: &str) -> Command {
        match self {
            Network::Namespaces(namespaces) => {
                let mut command = Command::new("nsenter");
                let name = namespaces.name(node);
                command
                    .arg(format!("--net=/var/run/netns/{name}"))
                    .args(["--", program]);
                command
            }
            Network::Loopback { .. } => Command::new(program),
        }
    }

    /// Brings the links into this state.
    pub(super) fn set(&self, links: &Links) -> Result<()> {
        match self {
            Network::Namespaces(namespaces) => namespaces.set(links),
            Network::Loopback { .. } => bail!("links on loopback cannot be changed"),
        }
    }

    /// Makes a node's link slow, or as fast as before.
    pub(super) fn slow(&self, node: usize, slow: bool) -> Result<()> {
        match self {
            Network::Namespaces(namespaces) => namespaces.slow(node, slow),
            Network::Loopback { .. } => bail!("links on loopback cannot be made slow"),
        }
    }
}

fn host(node: usize) -> u8 {
    u8::try_from(node + 1).unwrap_or(u8::MAX)
}

/// One namespace for each node and one for the switch between them; removed when dropped.
#[derive(Debug)]
pub(super) struct Namespaces {
    prefix: String,
    third: u8,
    nodes: usize,
}

impl Namespaces {
    /// Whether this process may make namespaces, and the programs for it are there.
    pub(super) fn possible() -> Result<(), String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root makes network namespaces".into());
        }
        for program in ["ip", "nft", "nsenter"] {
            let found = Command::new(program).arg("--version").output();
            if found.is_err() {
                return Err(format!("{program} is not installed"));
            }
        }
        let own = format!("{PREFIX}-{}-probe", std::process::id());
        ip(&["netns", "add", &own]).map_err(|error| format!("{error:#}"))?;
        ip(&["netns", "del", &own]).map_err(|error| format!("{error:#}"))
    }

    fn make(nodes: usize) -> Result<Namespaces> {
        sweep()?;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let id = std::process::id();
        let made = Namespaces {
            prefix: format!("{PREFIX}-{id}-{number}"),
            third: free_subnet()?,
            nodes,
        };
        let switch = made.switch();
        ip(&["netns", "add", &switch])?;
        let up = format!("ot{id}x{number}");
        ip(&["-n", &switch, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "br0", "up"])?;
        ip(&[
            "link", "add", &up, "type", "veth", "peer", "name", "up0", "netns", &switch,
        ])?;
        ip(&["-n", &switch, "link", "set", "up0", "master", "br0", "up"])?;
        let clients = format!("{}/24", made.address(End::Clients));
        ip(&["addr", "add", &clients, "dev", &up])?;
        ip(&["link", "set", &up, "up"])?;
        for node in 0..nodes {
            let (name, port) = (made.name(node), format!("p{}", node + 1));
            ip(&["netns", "add", &name])?;
            ip(&[
                "-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0",
                "netns", &name,
            ])?;
            ip(&["-n", &switch, "link", "set", &port, "master", "br0", "up"])?;
            let address = format!("{}/24", made.address(End::Node(node)));
            ip(&["-n", &name, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            ip(&["-n", &name, "link", "set", "eth0", "up"])?;
        }
        Ok(made)
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.prefix)
    }

    fn name(&self, node: usize) -> String {
        format!("{}-{}", self.prefix, node + 1)
    }

    fn address(&self, end: End) -> Ipv4Addr {
        let host = match end {
            End::Node(node) => host(node),
            End::Clients => CLIENTS_HOST,
        };
        Ipv4Addr::new(10, SUBNET, self.third, host)
    }

    fn set(&self, links: &Links) -> Result<()> {
        for node in 0..self.nodes {
            let rules = links.rules(node, |end| self.address(end));
            let mut nft = Command::new("nsenter");
            nft.arg(format!("--net=/var/run/netns/{}", self.name(node)))
                .args(["--", "nft", "-f", "-"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = nft.spawn().context("cannot run nft")?;
            if let Some(mut input) = child.stdin.take() {
                input.write_all(rules.as_bytes())?;
            }
            let output = child.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "nft refused {rules}: {said}");
        }
        Ok(())
    }

    /// Delays with netem where the kernel has it; else so little room for what is sent that it
    /// queues up for hundreds of milliseconds under load.
    fn slow(&self, node: usize, slow: bool) -> Result<()> {
        let name = self.name(node);
        let tc = |arguments: &[&str]| run("tc", &[&["-n", &name, "qdisc"], arguments].concat());
        if !slow {
            return tc(&["del", "dev", "eth0", "root"]);
        }
        let netem = [
            "add", "dev", "eth0", "root", "netem", "delay", "60ms", "30ms",
        ];
        let narrow = [
            "add", "dev", "eth0", "root", "tbf", "rate", "512kbit", "burst", "8kb", "latency",
            "400ms",
        ];
        tc(&netem).or_else(|_| tc(&narrow))
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let names = (0..self.nodes).map(|node| self.name(node));
        for name in names.chain([self.switch()]) {
            // What cannot be removed now is swept by the next test.
            let _ = ip(&["netns", "del", &name]);
        }
    }
}

/// Removes what the tests of dead processes have left, their nodes among it.
fn sweep() -> Result<()> {
    let folder = match fs::read_dir("/var/run/netns") {
        Ok(folder) => folder,
        Err(_) => return Ok(()),
    };
    for entry in folder {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(owner) = owner(&name) else { continue };
        if fs::exists(format!("/proc/{owner}"))? {
            continue;
        }
        let inside = Command::new("ip").args(["netns", "pids", &name]).output()?;
        for id in String::from_utf8_lossy(&inside.stdout).lines() {
            if let Ok(id) = id.trim().parse() {
                signal(id, Signal::KILL)?;
            }
        }
        // Another test may have been faster.
        let _ = ip(&["netns", "del", &name]);
    }
    Ok(())
}

/// The process id in the name of one of our namespaces.
fn owner(name: &str) -> Option<u32> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix('-')?;
    rest.split('-').next()?.parse().ok()
}

fn free_subnet() -> Result<u8> {
    let output = Command::new("ip").args(["-4", "-o", "addr"]).output()?;
    let taken = String::from_utf8_lossy(&output.stdout).into_owned();
    // Clusters that are made at the same moment begin at different places.
    let first = u8::try_from(std::process::id() % 200).unwrap_or(0);
    (0..200)
        .map(|step| (first + step) % 200)
        .find(|third| !taken.contains(&format!(" 10.{SUBNET}.{third}.")))
        .with_context(|| format!("every subnet 10.{SUBNET}.x.0/24 is in use"))
}

fn ip(arguments: &[&str]) -> Result<()> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let shown = arguments.join(" ");
    ensure!(
        output.status.success(),
        "{program} {shown}: {}",
        said.trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::{SocketAddr, TcpStream};
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_millis(700);

    /// Namespaces, or `None` where none can be had; that is said aloud.
    fn namespaces(test: &str) -> Option<Namespaces> {
        match Namespaces::possible() {
            Ok(()) => Some(Namespaces::make(2).unwrap()),
            Err(reason) => {
                let line = format!("\nnot run: {test}: {reason}\n");
                std::io::stdout().write_all(line.as_bytes()).unwrap();
                None
            }
        }
    }

    #[test]
    fn the_owner_is_in_the_name() {
        assert_eq!(owner("ottla-net-42-0-switch"), Some(42));
        assert_eq!(owner("ottla-net-x"), None);
        assert_eq!(owner("somebody-elses"), None);
    }

    #[test]
    fn a_cut_node_hears_nobody_until_the_cut_is_healed() {
        let Some(made) = namespaces("cut links") else {
            return;
        };
        let network = Network::Namespaces(made);
        let program = "import socket,sys\ns=socket.create_server((sys.argv[1],7))\nprint('up',flush=True)\nwhile 1:\n c,_=s.accept();c.close()";
        let mut server = network.command(0, "python3");
        server
            .args(["-c", program, &network.address(0).to_string()])
            .stdout(Stdio::piped());
        let mut child = server.spawn().unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let reachable = || {
            let address = SocketAddr::from((network.address(0), 7));
            TcpStream::connect_timeout(&address, SOON).is_ok()
        };
        assert!(reachable());
        let mut links = Links::default();
        links.cut(End::Node(0), End::Clients);
        network.set(&links).unwrap();
        assert!(!reachable());
        network.set(&Links::default()).unwrap();
        assert!(reachable());
        network.slow(0, true).unwrap();
        assert!(reachable());
        network.slow(0, false).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
