//! One reading of everything: what words, AdminServer's commands and metrics tell.

use std::fmt;

use ottla_config::KeeperPeerType;
use ottla_runtime::system;

use crate::monitor::meter::{SizesRead, SummaryRead};
use crate::monitor::meters::Meters;
use crate::monitor::table::{Row, TABLE};
use crate::monitor::version;
use crate::server::Server;

/// What a server is at the moment (`ZooKeeperServer.getState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// It is alone.
    Standalone,
    /// It leads an ensemble.
    Leader,
    /// It follows with a vote, or will have one.
    Follower,
    /// It follows without a vote.
    Observer,
    /// It knows no leader, and lets clients read that want to.
    ReadOnly,
    /// It knows no leader.
    Looking,
}

impl ServerState {
    /// ZooKeeper's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ServerState::Standalone => "standalone",
            ServerState::Leader => "leader",
            ServerState::Follower => "follower",
            ServerState::Observer => "observer",
            ServerState::ReadOnly => "read-only",
            ServerState::Looking => "leaderelection",
        }
    }

    /// The state of a member of an ensemble (`QuorumPeer.getDetailedPeerState`).
    fn of_peer(self) -> Option<&'static str> {
        match self {
            ServerState::Standalone => None,
            ServerState::Leader => Some("leading - broadcast"),
            ServerState::Follower => Some("following - broadcast"),
            ServerState::Observer => Some("observing - broadcast"),
            ServerState::ReadOnly | ServerState::Looking => Some("looking"),
        }
    }
}

/// A figure: whole, or with fractions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// One with fractions, which is shown with at most four digits of them.
    Float(f64),
}

impl Number {
    /// Microseconds as milliseconds.
    pub(super) fn ms(us: f64) -> Number {
        Number::Float(us / 1_000.0)
    }

    /// As a number with fractions.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(number) => number as f64,
            Number::Float(number) => number,
        }
    }
}

/// As ZooKeeper shows numbers: a fraction has a digit at least, `0.0`.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(number) => number.fmt(f),
            Number::Float(number) => {
                let text = format!("{number:.4}");
                let text = text.trim_end_matches('0');
                let dot = if text.ends_with('.') { "0" } else { "" };
                write!(f, "{text}{dot}")
            }
        }
    }
}

/// Whether a summary has percentiles in `mntr` (`MetricsContext.DetailLevel`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// It has none.
    Basic,
    /// It has four.
    Detailed,
}

/// What the values of a summary are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds, which are shown as milliseconds.
    Ms,
    /// They are shown as they are.
    Plain,
}

impl Unit {
    fn whole(self, value: u64) -> Number {
        let value = match self {
            Unit::Ms => value / 1_000,
            Unit::Plain => value,
        };
        Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }

    pub(super) fn exact(self, value: f64) -> f64 {
        match self {
            Unit::Ms => value / 1_000.0,
            Unit::Plain => value,
        }
    }
}

/// The percentiles that `mntr` shows.
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)];

/// The value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One that goes up and down.
    Gauge(Number),
    /// One that only grows.
    Counter(u64),
    /// How values were spread.
    Summary {
        /// Whether it has percentiles in `mntr`.
        detail: Detail,
        /// What its values are.
        unit: Unit,
        /// The values.
        read: SummaryRead,
    },
}

/// A metric with ZooKeeper's name.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// The value.
    pub value: Value,
}

impl Metric {
    /// The fields that it is in `mntr`, without `zk_`: one, or for a summary five or nine.
    pub(crate) fn fields(&self, mut field: impl FnMut(String, Number)) {
        match &self.value {
            Value::Gauge(number) => field(self.name.to_owned(), *number),
            Value::Counter(number) => field(self.name.to_owned(), Unit::Plain.whole(*number)),
            Value::Summary { detail, unit, read } => {
                let mut field =
                    |prefix: &str, number| field(format!("{prefix}_{}", self.name), number);
                field("avg", Number::Float(unit.exact(read.mean())));
                field("min", unit.whole(read.min));
                field("max", unit.whole(read.max));
                field("cnt", Unit::Plain.whole(read.count));
                field("sum", unit.whole(read.total));
                if *detail == Detail::Detailed {
                    for (prefix, part) in PERCENTILES {
                        field(prefix, unit.whole(read.quantile(part)));
                    }
                }
            }
        }
    }
}

/// What a leader knows of those that follow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Leading {
    pub(crate) uptime_ms: i64,
    /// All that are connected.
    pub(crate) learners: usize,
    /// Those of them that have all.
    pub(crate) synced_followers: usize,
    pub(crate) synced_non_voting: usize,
    pub(crate) synced_observers: usize,
    pub(crate) proposal_sizes: SizesRead,
}

/// Values of one moment.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) state: ServerState,
    pub(crate) latency: SummaryRead,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) connections: usize,
    pub(crate) outstanding: u64,
    pub(crate) last_zxid: i64,
    pub(crate) znodes: usize,
    pub(crate) ephemerals: usize,
    pub(crate) watches: usize,
    pub(crate) data_bytes: u64,
    pub(crate) sessions: usize,
    pub(crate) response_sizes: SizesRead,
    pub(crate) plaintext_remote: u64,
    pub(crate) plaintext_local: u64,
    pub(crate) auth_failed: u64,
    pub(crate) handshakes: u64,
    pub(crate) drop_probability: f64,
    /// Files of the process; only a [`Reading`] has them.
    pub(crate) files_open: Option<u64>,
    pub(crate) files_max: Option<u64>,
    pub(crate) uptime_ms: i64,
    /// How many vote; none for a server alone.
    pub(crate) voters: Option<usize>,
    /// On the leader alone.
    pub(crate) leading: Option<Leading>,
}

/// Everything that a server tells of itself in figures.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Its version, as ZooKeeper writes it.
    pub version: &'static str,
    /// What it is.
    pub server_state: ServerState,
    /// How it stands to its ensemble; none for a server alone.
    pub peer_state: Option<&'static str>,
    /// Its metrics in ZooKeeper's order.
    pub metrics: Vec<Metric>,
}

impl Reading {
    /// Reads. Blocks a little: the system is asked for open files.
    pub(crate) fn take(server: &Server) -> Self {
        let facts = Facts {
            files_open: system::open_files(),
            files_max: system::open_files_limit(),
            ..Facts::take(server)
        };
        Reading::of(&facts, &server.meters)
    }

    /// The metrics that follow from these.
    pub(crate) fn of(facts: &Facts, meters: &Meters) -> Self {
        let metric = |row: &Row| {
            let (name, value) = match row {
                Row::Gauge(name, value) => (*name, Value::Gauge(value(facts)?)),
                Row::Counter(name, counter) => (*name, Value::Counter(counter(meters).get())),
                Row::NoCounter(name) => (*name, Value::Counter(0)),
                Row::Summary(name, detail, unit, summary) => {
                    let (detail, unit, read) = (*detail, *unit, summary(meters).read());
                    (*name, Value::Summary { detail, unit, read })
                }
                Row::NoSummary(name, detail) => {
                    let (detail, unit, read) = (*detail, Unit::Plain, SummaryRead::default());
                    (*name, Value::Summary { detail, unit, read })
                }
            };
            Some(Metric { name, value })
        };
        Reading {
            version: version::full(),
            server_state: facts.state,
            peer_state: facts.state.of_peer(),
            metrics: TABLE.iter().filter_map(metric).collect(),
        }
    }

    /// Everything in the order of `mntr`, without `zk_`: text first, then numbers.
    pub(crate) fn texts(&self) -> Vec<(&'static str, String)> {
        let mut texts = vec![
            ("version", self.version.to_owned()),
            ("server_state", self.server_state.name().to_owned()),
        ];
        texts.extend(
            self.peer_state
                .map(|state| ("peer_state", state.to_owned())),
        );
        texts
    }
}

impl Facts {
    pub(crate) fn take(server: &Server) -> Self {
        let meters = &server.meters;
        let (reads, writes) = (meters.reads.read(), meters.writes.read());
        let sent = reads.count + writes.count + meters.sent_else.get();
        let state = state_of(server);
        let begun = meters.handshakes_begun.get();
        let (last_zxid, znodes, ephemerals, data_bytes, sessions) = {
            let tree = server.tree.read();
            let (znodes, ephemerals) = (tree.node_count(), tree.ephemerals_count());
            let (bytes, sessions) = (tree.approximate_data_size(), tree.session_count());
            (tree.last_zxid(), znodes, ephemerals, bytes, sessions)
        };
        let voters = server.raft().map(|raft| raft.state().get().voters.len());
        Facts {
            state,
            latency: reads.merged(&writes),
            received: meters.received.get(),
            sent,
            connections: server.connections.lock().len(),
            outstanding: server.throttles.in_process(),
            last_zxid,
            znodes,
            ephemerals,
            watches: server.watches.lock().count(),
            data_bytes,
            sessions,
            response_sizes: meters.response_sizes.read(),
            plaintext_remote: meters.plaintext_remote.get(),
            plaintext_local: meters.plaintext_local.get(),
            auth_failed: meters.auth_failed.get(),
            handshakes: begun.saturating_sub(meters.handshakes_ended.get()),
            drop_probability: server.throttles.drop_probability(),
            files_open: None,
            files_max: None,
            uptime_ms: server.moments.uptime_ms(&server.runtime.clock),
            voters: voters.filter(|_| !is_alone(server)),
            leading: (state == ServerState::Leader).then(|| leading(server)),
        }
    }
}

/// Whether the server is no member of an ensemble.
pub(crate) fn is_alone(server: &Server) -> bool {
    server.config.is_standalone() && server.config.servers.len() <= 1
}

/// What the server is.
pub(crate) fn state_of(server: &Server) -> ServerState {
    if !server.has_leader() {
        return match server.config.read_only_mode_enabled && server.raft().is_some() {
            true => ServerState::ReadOnly,
            false => ServerState::Looking,
        };
    }
    if is_alone(server) {
        ServerState::Standalone
    } else if server.desk.office().is_some() {
        ServerState::Leader
    } else if is_observer(server) {
        ServerState::Observer
    } else {
        ServerState::Follower
    }
}

/// Whether the ensemble means this server to have no vote.
pub(crate) fn is_observer(server: &Server) -> bool {
    let participants = server.participants().get();
    match participants.is_empty() {
        true => server.config.peer_type == KeeperPeerType::Observer,
        false => !participants.contains(&server.id),
    }
}

fn leading(server: &Server) -> Leading {
    let mut leading = Leading {
        uptime_ms: server.moments.leads_for_ms(&server.runtime.clock),
        proposal_sizes: server.meters.proposal_sizes.read(),
        ..Leading::default()
    };
    let Some(raft) = server.raft() else {
        return leading;
    };
    let state = raft.state().get();
    let now_ms = server.runtime.clock.monotonic_ms();
    let ticks_ms = server
        .config
        .sync_limit_ticks
        .saturating_mul(server.config.tick_time_ms);
    let limit_ms = i64::try_from(ticks_ms).unwrap_or(i64::MAX);
    let is_recent = |at_ms: Option<i64>| at_ms.is_some_and(|at_ms| now_ms - at_ms <= limit_ms);
    let participants = server.participants().get();
    for (id, peer) in &state.peers {
        if *id == server.id || !is_recent(peer.last_contact_ms) {
            continue;
        }
        leading.learners += 1;
        if !is_recent(peer.caught_up_ms) {
            continue;
        }
        if state.is_voter(*id) {
            leading.synced_followers += 1;
        } else if participants.contains(id) {
            leading.synced_non_voting += 1;
        } else {
            leading.synced_observers += 1;
        }
    }
    leading
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::meter::Summary;

    #[test]
    fn numbers_look_as_those_of_zookeeper() {
        for (number, text) in [
            (Number::Int(-1), "-1"),
            (Number::Float(0.0), "0.0"),
            (Number::Float(352.0), "352.0"),
            (Number::Float(0.057_692), "0.0577"),
            (Number::Float(12_345_678.5), "12345678.5"),
        ] {
            assert_eq!(number.to_string(), text);
        }
    }

    #[test]
    fn durations_are_kept_in_microseconds_and_shown_in_milliseconds() {
        let summary = Summary::default();
        for us in [400, 2_600, 1_900] {
            summary.add(us);
        }
        let metric = Metric {
            name: "fsynctime",
            value: Value::Summary {
                detail: Detail::Basic,
                unit: Unit::Ms,
                read: summary.read(),
            },
        };
        let mut fields = Vec::new();
        metric.fields(|name, number| fields.push(format!("{name}={number}")));
        let wanted = [
            "avg_fsynctime=1.6333",
            "min_fsynctime=0",
            "max_fsynctime=2",
            "cnt_fsynctime=3",
            "sum_fsynctime=4",
        ];
        assert_eq!(fields, wanted);
    }
}
