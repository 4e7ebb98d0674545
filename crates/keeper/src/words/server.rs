//! Words about the server itself.

use std::fmt::Write as _;

use ottla_config::ConfFacts;

use crate::monitor::reading::{Facts, state_of};
use crate::monitor::{Number, Reading, ServerState, directories, ensemble, environment, version};
use crate::server::Server;
use crate::words::connections;

/// `isro`
pub(super) fn isro(server: &Server) -> &'static str {
    match state_of(server) {
        ServerState::Looking => "null",
        ServerState::ReadOnly => "ro",
        _ => "rw",
    }
}

/// `srvr`
pub(super) fn srvr(server: &Server) -> String {
    let facts = Facts::take(server);
    format!("{}{}", head(facts.state), figures(&facts))
}

/// `stat`
pub(super) fn stat(server: &Server) -> String {
    let facts = Facts::take(server);
    let clients = connections::clients(server);
    format!(
        "{}Clients:\n{clients}\n{}",
        head(facts.state),
        figures(&facts)
    )
}

fn head(state: ServerState) -> String {
    let read_only = match state {
        ServerState::ReadOnly => "READ-ONLY mode; serving only read-only clients\n",
        _ => "",
    };
    format!("Zookeeper version: {}\n{read_only}", version::full())
}

/// What `srvr` and `stat` have in common (`ServerStats.toString`, `StatCommand`).
pub(super) fn figures(facts: &Facts) -> String {
    let latency = &facts.latency;
    let mean = Number::Float(latency.mean() / 1_000.0);
    let mut text = format!(
        "Latency min/avg/max: {}/{mean}/{}\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: {}\n\
         Zxid: 0x{:x}\nMode: {}\nNode count: {}\n",
        latency.min / 1_000,
        latency.max / 1_000,
        facts.received,
        facts.sent,
        facts.connections,
        facts.outstanding,
        facts.last_zxid,
        facts.state.name(),
        facts.znodes,
    );
    if let Some(leading) = &facts.leading {
        let sizes = leading.proposal_sizes;
        let (last, min, max) = (sizes.last, sizes.min, sizes.max);
        let _ = writeln!(text, "Proposal sizes last/min/max: {last}/{min}/{max}");
    }
    text
}

/// `srst`
pub(super) fn srst(server: &Server) -> String {
    server.meters.reset();
    "Server stats reset.\n".to_owned()
}

/// `mntr`
pub(super) fn mntr(server: &Server) -> String {
    monitor(&Reading::take(server))
}

/// The text of `mntr`.
pub(super) fn monitor(reading: &Reading) -> String {
    let mut text = String::new();
    for (name, value) in reading.texts() {
        let _ = writeln!(text, "zk_{name}\t{value}");
    }
    for metric in &reading.metrics {
        metric.fields(|name, number| {
            let _ = writeln!(text, "zk_{name}\t{number}");
        });
    }
    text
}

/// `conf`
pub(super) fn conf(server: &Server) -> String {
    let (data_dir_bytes, data_log_bytes) = directories::sizes(server);
    let ensemble = ensemble::read(server);
    server.config.conf(&ConfFacts {
        my_id: server.id.cast_signed(),
        client_port: server.port(false),
        secure_client_port: server.port(true),
        data_dir_bytes,
        data_log_bytes,
        ensemble: ensemble
            .as_ref()
            .map(|(servers, version)| (servers.as_slice(), *version)),
    })
}

/// `dirs`
pub(super) fn dirs(server: &Server) -> String {
    let (data, log) = directories::sizes(server);
    format!("datadir_size: {data}\nlogdir_size: {log}\n")
}

/// `envi`
pub(super) fn envi() -> String {
    let mut text = "Environment:\n".to_owned();
    for (name, value) in environment::entries() {
        let _ = writeln!(text, "{name}={value}");
    }
    text
}

/// `hash`
pub(super) fn hash(server: &Server) -> String {
    let mut text = String::new();
    for digest in server.digests.read() {
        let _ = writeln!(text, "{:x}: {}", digest.zxid, digest.digest.cast_signed());
    }
    text
}
