//! Clients' connections, as `cons` and `stat` tell of them (`ServerCnxn`).

use std::net::{IpAddr, SocketAddr};

use crate::clients::connection::Connection;
use crate::clients::figures::FiguresRead;
use crate::server::Server;

/// What a server waits for from a connection (`SelectionKey`).
const READS: u8 = 1;
const WRITES: u8 = 4;

/// One connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionInfo {
    pub(crate) peer: SocketAddr,
    pub(crate) secure: bool,
    /// Whether it is read from, and whether something is still to be sent.
    pub(crate) interest_ops: u8,
    /// Requests without their replies.
    pub(crate) outstanding: usize,
    pub(crate) figures: FiguresRead,
    /// 0 without one.
    pub(crate) session: i64,
    pub(crate) timeout_ms: i32,
    /// When it ends if nothing comes from it, in milliseconds since the epoch.
    pub(crate) expires_ms: i64,
}

/// All connections in the order in which they came.
pub(crate) fn all(server: &Server) -> Vec<ConnectionInfo> {
    let clock = &server.runtime.clock;
    let (now_ms, monotonic_ms) = (clock.now_ms(), clock.monotonic_ms());
    let limit = i64::try_from(server.handshake_limit().as_millis()).unwrap_or(i64::MAX);
    let connections = server.all_connections().into_iter();
    let info = |connection: &Connection| {
        let figures = connection.figures.read();
        let session = connection.session();
        let heard_ms = connection.heard_ms().map(|ms| now_ms - (monotonic_ms - ms));
        let since_ms = heard_ms.unwrap_or(figures.established_ms);
        let patience_ms = match session {
            0 => limit,
            _ => connection.timeout_ms().into(),
        };
        ConnectionInfo {
            peer: connection.peer,
            secure: connection.secure,
            interest_ops: interest_ops(connection),
            outstanding: connection.work().waiting.len(),
            figures,
            session,
            timeout_ms: connection.timeout_ms(),
            expires_ms: since_ms.saturating_add(patience_ms),
        }
    };
    connections.map(|connection| info(&connection)).collect()
}

fn interest_ops(connection: &Connection) -> u8 {
    let reads = if connection.is_ending() { 0 } else { READS };
    let writes = if connection.unsent_bytes() > 0 {
        WRITES
    } else {
        0
    };
    reads | writes
}

/// An address as Java writes it: `127.0.0.1:2181`, or `[0:0:0:0:0:0:0:1]:2181`.
pub(crate) fn java_address(address: SocketAddr) -> String {
    let port = address.port();
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => {
            let segments = ip.segments().map(|segment| format!("{segment:x}"));
            format!("[{}]:{port}", segments.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_look_as_those_of_java() {
        for (address, text) in [
            ("127.0.0.1:58100", "127.0.0.1:58100"),
            ("[::ffff:10.0.0.7]:2181", "10.0.0.7:2181"),
            ("[::1]:2181", "[0:0:0:0:0:0:0:1]:2181"),
            ("[fe80::1:abc]:1", "[fe80:0:0:0:0:0:1:abc]:1"),
        ] {
            assert_eq!(java_address(address.parse().unwrap()), text);
        }
    }
}
