//! Commands about the server itself.

use std::sync::atomic::Ordering;

use crate::admin::{Query, lists};
use crate::json::{Fields, Json, fields, int, object, text};
use crate::monitor::reading::{Facts, state_of};
use crate::monitor::{
    Number, Reading, ServerState, SizesRead, digests, directories, environment, version,
};
use crate::server::Server;

type Answer = Result<Fields, String>;

/// `configuration` (`ZooKeeperServerConf`)
pub(super) fn configuration(server: &Server, _query: &Query) -> Answer {
    let config = &server.config;
    let port = server.port(false).map_or(-1, i32::from);
    Ok(fields([
        ("client_port", int(port)),
        ("data_dir", text(&config.storage.data_dir)),
        ("data_log_dir", text(&config.storage.data_log_dir)),
        ("tick_time", int(config.tick_time_ms)),
        (
            "max_client_cnxns",
            int(config.limits.connections_per_ip_max.unwrap_or(0)),
        ),
        ("min_session_timeout", int(config.session_timeout_ms_min)),
        ("max_session_timeout", int(config.session_timeout_ms_max)),
        ("server_id", int(server.id)),
        ("client_port_listen_backlog", int(-1)),
    ]))
}

/// `dirs`
pub(super) fn dirs(server: &Server, _query: &Query) -> Answer {
    let (data, log) = directories::sizes(server);
    Ok(fields([
        ("datadir_size", int(data)),
        ("logdir_size", int(log)),
    ]))
}

/// `environment`
pub(super) fn environment(_server: &Server, _query: &Query) -> Answer {
    let entries = environment::entries().into_iter();
    Ok(fields(entries.map(|(name, value)| (name, text(value)))))
}

/// `system_properties`: there are none, but for those that tell of the system.
pub(super) fn system_properties(_server: &Server, _query: &Query) -> Answer {
    let mut entries = environment::entries();
    entries.retain(|(name, value)| {
        let is_property = ["os.", "user.", "java."]
            .iter()
            .any(|part| name.starts_with(part));
        is_property && !name.starts_with("os.memory") && value != environment::NOT_AVAILABLE
    });
    entries.sort_unstable();
    Ok(fields(
        entries.into_iter().map(|(name, value)| (name, text(value))),
    ))
}

/// `get_trace_mask`
pub(super) fn trace_mask(server: &Server, _query: &Query) -> Answer {
    Ok(fields([(
        "tracemask",
        int(server.trace_mask.load(Ordering::Relaxed)),
    )]))
}

/// `set_trace_mask`
pub(super) fn set_trace_mask(server: &Server, query: &Query) -> Answer {
    let wanted = "setTraceMask requires long traceMask argument";
    let Some(given) = query.get("traceMask") else {
        return Err(wanted.to_owned());
    };
    let mask: i64 = given
        .parse()
        .map_err(|_| format!("{wanted}, got {given}"))?;
    server.trace_mask.store(mask, Ordering::Relaxed);
    Ok(fields([("tracemask", int(mask))]))
}

/// `hash`
pub(super) fn hash(server: &Server, _query: &Query) -> Answer {
    let each = server.digests.read().into_iter().map(|digest| {
        object([
            ("zxid", int(digest.zxid)),
            ("digest_version", int(digests::VERSION)),
            ("digest", int(digest.digest.cast_signed())),
        ])
    });
    Ok(fields([("digests", Json::List(each.collect()))]))
}

/// `is_read_only`
pub(super) fn is_read_only(server: &Server, _query: &Query) -> Answer {
    let is_read_only = state_of(server) == ServerState::ReadOnly;
    Ok(fields([("read_only", Json::Bool(is_read_only))]))
}

/// `last_snapshot`
pub(super) fn last_snapshot(server: &Server, _query: &Query) -> Answer {
    let last = *server.last_snapshot.lock();
    let zxid = last.map_or(-1, |last| last.zxid);
    let written_s = last.and_then(|last| last.written_s).unwrap_or(-1);
    Ok(fields([
        ("zxid", text(format!("{zxid:x}"))),
        ("timestamp", int(written_s)),
    ]))
}

/// `monitor`
pub(super) fn monitor(server: &Server, _query: &Query) -> Answer {
    let reading = Reading::take(server);
    let mut all = fields(
        reading
            .texts()
            .into_iter()
            .map(|(name, value)| (name, text(value))),
    );
    for metric in &reading.metrics {
        metric.fields(|name, number| all.push((name, Json::Number(number))));
    }
    Ok(all)
}

/// `stat_reset`
pub(super) fn reset(server: &Server, _query: &Query) -> Answer {
    server.meters.reset();
    Ok(Fields::new())
}

/// `server_stats`
pub(super) fn server_stats(server: &Server, _query: &Query) -> Answer {
    let facts = Facts::take(server);
    let mut all = fields([
        ("version", text(version::full())),
        (
            "read_only",
            Json::Bool(facts.state == ServerState::ReadOnly),
        ),
        ("server_stats", stats_of(server, &facts)),
        ("client_response", sizes(facts.response_sizes)),
    ]);
    if let Some(leading) = &facts.leading {
        all.push(("proposal_stats".to_owned(), sizes(leading.proposal_sizes)));
    }
    all.push(("node_count".to_owned(), int(facts.znodes)));
    Ok(all)
}

/// `stats`
pub(super) fn stats(server: &Server, query: &Query) -> Answer {
    let mut all = server_stats(server, query)?;
    all.extend(lists::connections_of(server, true));
    Ok(all)
}

fn stats_of(server: &Server, facts: &Facts) -> Json {
    let (data, log) = directories::sizes(server);
    object([
        ("packets_sent", int(facts.sent)),
        ("packets_received", int(facts.received)),
        (
            "fsync_threshold_exceed_count",
            int(server.meters.slow_flushes.get()),
        ),
        ("client_response_stats", sizes(facts.response_sizes)),
        ("data_dir_size", int(data)),
        ("log_dir_size", int(log)),
        ("provider_null", Json::Bool(false)),
        ("server_state", text(facts.state.name())),
        ("last_processed_zxid", int(facts.last_zxid)),
        ("outstanding_requests", int(facts.outstanding)),
        (
            "avg_latency",
            Json::Number(Number::Float(facts.latency.mean() / 1_000.0)),
        ),
        ("max_latency", int(facts.latency.max / 1_000)),
        ("min_latency", int(facts.latency.min / 1_000)),
        ("num_alive_client_connections", int(facts.connections)),
        ("auth_failed_count", int(facts.auth_failed)),
        ("non_mtlsremote_conn_count", int(facts.plaintext_remote)),
        ("non_mtlslocal_conn_count", int(facts.plaintext_local)),
        ("uptime", int(facts.uptime_ms)),
    ])
}

fn sizes(sizes: SizesRead) -> Json {
    object([
        ("last_buffer_size", int(sizes.last)),
        ("min_buffer_size", int(sizes.min)),
        ("max_buffer_size", int(sizes.max)),
    ])
}
