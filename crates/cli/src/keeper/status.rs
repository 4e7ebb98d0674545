//! `ottla keeper status`: what each server says of itself, by the four-letter word `srvr`.

use std::time::Duration;

use ottla_net::tls::Tls;
use ottla_runtime::Runtime;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::dial;
use super::connection::Target;
use super::servers::Server;
use crate::globals::Globals;
use crate::output::{self, OutputFormat, View};
use crate::table::table;
use crate::{Error, Streams};

/// A server that does not answer in this time does not answer.
const LIMIT: Duration = Duration::from_secs(5);
/// An answer is no longer than this.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// What the servers say.
#[derive(Debug, Serialize)]
struct Status {
    servers: Vec<ServerStatus>,
}

/// What one server says; null is what it does not.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct ServerStatus {
    address: String,
    port: u16,
    ssl: bool,
    /// `leader`, `follower`, `observer`, `standalone` or `read-only`.
    mode: Option<String>,
    version: Option<String>,
    zxid: Option<String>,
    connections: Option<u64>,
    outstanding: Option<u64>,
    znodes: Option<u64>,
    latency_min_avg_max_ms: Option<String>,
    /// Why there is no mode.
    error: Option<String>,
}

impl ServerStatus {
    fn of(server: &Server, ssl: bool, answer: Result<String, String>) -> Self {
        let mut status = ServerStatus {
            address: server.host.clone(),
            port: server.port,
            ssl,
            ..ServerStatus::default()
        };
        match answer {
            Ok(answer) => status.read(&answer),
            Err(reason) => status.error = Some(reason),
        }
        status
    }

    fn read(&mut self, answer: &str) {
        for line in answer.lines() {
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            let value = value.trim().to_owned();
            match name.trim() {
                "Mode" => self.mode = Some(value),
                "Zookeeper version" => self.version = Some(value),
                "Zxid" => self.zxid = Some(value),
                "Connections" => self.connections = value.parse().ok(),
                "Outstanding" => self.outstanding = value.parse().ok(),
                "Node count" => self.znodes = value.parse().ok(),
                "Latency min/avg/max" => self.latency_min_avg_max_ms = Some(value),
                _ => {}
            }
        }
        if self.mode.is_none() {
            self.error = Some(match answer.trim() {
                "" => "it ends the connection without an answer".to_owned(),
                text if text.contains("not in the whitelist") => {
                    "srvr is not in its whitelist; add it to 4lw.commands.whitelist".to_owned()
                }
                text => text.lines().next().unwrap_or_default().to_owned(),
            });
        }
    }

    fn lines(&self) -> String {
        let (address, port, ssl) = (&self.address, self.port, self.ssl);
        let mut text =
            format!("Client port found: {port}. Client address: {address}. Client SSL: {ssl}.\n");
        match (&self.mode, &self.error) {
            (Some(mode), _) => text.push_str(&format!("Mode: {mode}\n")),
            (None, reason) => {
                let reason = reason.as_deref().unwrap_or("no answer");
                let told = "Error contacting service. It is probably not running";
                text.push_str(&format!("{told} ({reason}).\n"));
            }
        }
        text
    }
}

impl View for Status {
    fn table(&self, wide: bool) -> String {
        if !wide {
            return self.servers.iter().map(ServerStatus::lines).collect();
        }
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let number = |number: Option<u64>| or_none(number.map(|n| n.to_string()));
        let row = |s: &ServerStatus| {
            [
                format!("{}:{}", s.address, s.port),
                s.ssl.to_string(),
                s.mode.clone().unwrap_or_else(|| "no answer".to_owned()),
                or_none(s.zxid.clone()),
                number(s.connections),
                number(s.outstanding),
                number(s.znodes),
                or_none(s.latency_min_avg_max_ms.clone()),
                or_none(s.version.clone()),
            ]
        };
        let headings = [
            "SERVER",
            "SSL",
            "MODE",
            "ZXID",
            "CLIENTS",
            "WAITING",
            "ZNODES",
            "LATENCY (MS)",
            "VERSION",
        ];
        table(&headings, self.servers.iter().map(row))
    }

    fn names(&self) -> Vec<String> {
        let answering = self.servers.iter().filter(|server| server.mode.is_some());
        answering
            .map(|s| format!("{}:{}", s.address, s.port))
            .collect()
    }
}

pub(super) async fn run(
    target: &Target,
    globals: &Globals,
    runtime: &Runtime,
    streams: &mut Streams,
) -> Result<(), Error> {
    let tls = target.load_tls(runtime).await?;
    let limit = globals.timeout.min(LIMIT);
    let mut servers = Vec::new();
    for server in &target.servers.list {
        let answer = ask(runtime, server, tls.as_ref(), limit).await;
        servers.push(ServerStatus::of(server, tls.is_some(), answer));
    }
    let silent: Vec<String> = servers
        .iter()
        .filter(|server| server.mode.is_none())
        .map(|s| {
            let reason = s.error.as_deref().unwrap_or("no answer");
            format!("{}:{} ({reason})", s.address, s.port)
        })
        .collect();
    let format = globals.output.unwrap_or(OutputFormat::Table);
    output::print(&Status { servers }, format, streams)?;
    if silent.is_empty() {
        return Ok(());
    }
    Err(Error::KeeperUnreachable {
        tried: silent.join(", "),
    })
}

/// Asks one server.
async fn ask(
    runtime: &Runtime,
    server: &Server,
    tls: Option<&Tls>,
    limit: Duration,
) -> Result<String, String> {
    let asking = async {
        let mut stream = dial(runtime, server, tls, limit).await?;
        let mut answer = Vec::new();
        let exchange = async {
            stream.write_all(b"srvr").await?;
            stream.flush().await?;
            stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await
        };
        let exchanged = exchange.await;
        // TLS peers may leave without a farewell; what they have said before counts.
        if answer.is_empty() {
            exchanged.map_err(|error| error.to_string())?;
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let asked = runtime.clock.timeout(limit, asking).await;
    asked.unwrap_or_else(|| Err("no answer in time".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRVR: &str = "Zookeeper version: 3.9.4-7246, built on 2025-08-19 19:53 UTC\n\
        Latency min/avg/max: 0/0.5/12\nReceived: 10\nSent: 9\nConnections: 3\nOutstanding: 1\n\
        Zxid: 0x100000004\nMode: follower\nNode count: 5\n";

    fn status(answer: Result<&str, &str>) -> ServerStatus {
        let server = Server {
            host: "zk-0".to_owned(),
            port: 2181,
        };
        let answer = answer.map(str::to_owned).map_err(str::to_owned);
        ServerStatus::of(&server, false, answer)
    }

    #[test]
    fn the_lines_are_those_of_zkserver() {
        let follower = status(Ok(SRVR));
        assert_eq!(
            follower.lines(),
            "Client port found: 2181. Client address: zk-0. Client SSL: false.\nMode: follower\n"
        );
        assert_eq!((follower.connections, follower.znodes), (Some(3), Some(5)));
        assert_eq!(follower.zxid.as_deref(), Some("0x100000004"));
    }

    #[test]
    fn a_server_without_a_mode_is_told_why() {
        let cases = [
            (Err("Connection refused"), "Connection refused"),
            (Ok(""), "without an answer"),
            (
                Ok("srvr is not executed because it is not in the whitelist.\n"),
                "4lw.commands.whitelist",
            ),
            (
                Ok("This ZooKeeper instance is not currently serving requests\n"),
                "not currently serving",
            ),
        ];
        for (answer, reason) in cases {
            let lines = status(answer).lines();
            assert!(lines.contains("Error contacting service"), "{lines}");
            assert!(lines.contains(reason), "{lines}");
        }
    }
}
