//! Commands about connections, sessions and watches.

use crate::admin::Query;
use crate::json::{Fields, Json, fields, int, object, text};
use crate::monitor::connections::{self, ConnectionInfo, java_address};
use crate::monitor::sessions::{Sessions, ephemerals};
use crate::monitor::watches;
use crate::server::Server;
use crate::words::reset_connections;

type Answer = Result<Fields, String>;

/// `connections`
pub(super) fn connections(server: &Server, _query: &Query) -> Answer {
    Ok(connections_of(server, false))
}

/// The connections in the clear, and those with TLS.
pub(super) fn connections_of(server: &Server, is_brief: bool) -> Fields {
    let all = connections::all(server);
    let (secure, plain): (Vec<_>, Vec<_>) = all.iter().partition(|info| info.secure);
    let list = |infos: Vec<&ConnectionInfo>| {
        Json::List(
            infos
                .into_iter()
                .map(|info| connection(info, is_brief))
                .collect(),
        )
    };
    fields([
        ("connections", list(plain)),
        ("secure_connections", list(secure)),
    ])
}

/// `ServerCnxn.getConnectionInfo`
fn connection(info: &ConnectionInfo, is_brief: bool) -> Json {
    let figures = &info.figures;
    let mut all = fields([
        ("remote_socket_address", text(java_address(info.peer))),
        ("interest_ops", int(info.interest_ops)),
        ("outstanding_requests", int(info.outstanding)),
        ("packets_received", int(figures.received)),
        ("packets_sent", int(figures.sent)),
    ]);
    if !is_brief {
        all.extend(fields([
            ("session_id", int(info.session)),
            ("last_operation", text(figures.last_op)),
            ("established", int(figures.established_ms)),
            ("session_timeout", int(info.timeout_ms)),
            ("last_cxid", int(figures.last_cxid)),
            ("last_zxid", int(figures.last_zxid)),
            ("last_response_time", int(figures.last_response_ms)),
            ("last_latency", int(figures.last_latency_ms)),
            ("min_latency", int(figures.min_latency_ms)),
            ("avg_latency", int(figures.avg_latency_ms)),
            ("max_latency", int(figures.max_latency_ms)),
        ]));
    }
    Json::Object(all)
}

/// `connection_stat_reset`
pub(super) fn reset(server: &Server, _query: &Query) -> Answer {
    reset_connections(server);
    Ok(Fields::new())
}

/// `dump`. Only the leader, and a server alone, know when sessions end.
pub(super) fn dump(server: &Server, _query: &Query) -> Answer {
    let expiring = match Sessions::read(server) {
        Sessions::Tracked(expiring) => expiring,
        Sessions::Known(_) => Default::default(),
    };
    let ids = expiring.into_iter().map(|(end_ms, sessions)| {
        let sessions = sessions.into_iter().map(int);
        (end_ms.to_string(), Json::List(sessions.collect()))
    });
    let paths = ephemerals(server).into_iter().map(|(session, paths)| {
        let paths = paths.into_iter().map(text);
        (session.to_string(), Json::List(paths.collect()))
    });
    Ok(fields([
        ("expiry_time_to_session_ids", object(ids)),
        ("session_id_to_ephemeral_paths", object(paths)),
    ]))
}

/// `watch_summary`
pub(super) fn watch_summary(server: &Server, _query: &Query) -> Answer {
    let summary = watches::summary(server);
    Ok(fields([
        ("num_connections", int(summary.watchers)),
        ("num_paths", int(summary.paths)),
        ("num_total_watches", int(summary.total)),
    ]))
}

/// `watches`
pub(super) fn watches(server: &Server, _query: &Query) -> Answer {
    let sessions = watches::by_session(server)
        .into_iter()
        .map(|(session, paths)| {
            let paths = paths.into_iter().map(text);
            (session.to_string(), Json::List(paths.collect()))
        });
    Ok(fields([("session_id_to_watched_paths", object(sessions))]))
}

/// `watches_by_path`
pub(super) fn watches_by_path(server: &Server, _query: &Query) -> Answer {
    let paths = watches::by_path(server)
        .into_iter()
        .map(|(path, sessions)| {
            let sessions = sessions.into_iter().map(int);
            (path, Json::List(sessions.collect()))
        });
    Ok(fields([("path_to_session_ids", object(paths))]))
}
