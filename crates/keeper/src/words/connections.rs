//! Words about connections (`ServerCnxn.dumpConnectionInfo`).

use std::fmt::Write as _;

use crate::monitor::connections::{self, ConnectionInfo, java_address};
use crate::server::Server;

/// `cons`
pub(super) fn cons(server: &Server) -> String {
    let mut text = String::new();
    for connection in connections::all(server) {
        text.push_str(&line(&connection, false));
        text.push('\n');
    }
    text.push('\n');
    text
}

/// The connections in `stat`.
pub(super) fn clients(server: &Server) -> String {
    let mut text = String::new();
    for connection in connections::all(server) {
        text.push_str(&line(&connection, true));
        text.push('\n');
    }
    text
}

/// `crst`
pub(super) fn crst(server: &Server) -> String {
    reset(server);
    "Connection stats reset.\n".to_owned()
}

/// Begins the figures of all connections anew.
pub(crate) fn reset(server: &Server) {
    for connection in server.all_connections() {
        connection.figures.reset();
    }
}

/// A connection, in short or in full.
pub(super) fn line(info: &ConnectionInfo, is_brief: bool) -> String {
    let figures = &info.figures;
    let mut text = format!(
        " /{}[{:x}](queued={},recved={},sent={}",
        java_address(info.peer),
        info.interest_ops,
        info.outstanding,
        figures.received,
        figures.sent,
    );
    if !is_brief && info.session != 0 {
        let (session, timeout_ms) = (info.session, info.timeout_ms);
        let (op, established_ms) = (figures.last_op, figures.established_ms);
        let _ = write!(
            text,
            ",sid=0x{session:x},lop={op},est={established_ms},to={timeout_ms}"
        );
        if figures.last_cxid >= 0 {
            let _ = write!(text, ",lcxid=0x{:x}", figures.last_cxid);
        }
        let _ = write!(
            text,
            ",lzxid=0x{:x},lresp={},llat={},minlat={},avglat={},maxlat={}",
            figures.last_zxid,
            figures.last_response_ms,
            figures.last_latency_ms,
            figures.min_latency_ms,
            figures.avg_latency_ms,
            figures.max_latency_ms,
        );
    }
    text.push(')');
    text
}
