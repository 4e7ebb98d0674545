//! `dump`: sessions, their ephemeral nodes, and when connections end (`DumpCommand`).

use std::fmt::{Display, Write as _};

use crate::monitor::connections::{self, java_address};
use crate::monitor::dates::java_date;
use crate::monitor::sessions::{Expiring, Sessions, ephemerals, expiring};
use crate::server::Server;

/// `dump`
pub(super) fn dump(server: &Server) -> String {
    let mut text = "SessionTracker dump:\n".to_owned();
    text.push_str(&of_sessions(&Sessions::read(server)));
    let owners = ephemerals(server);
    let _ = writeln!(
        text,
        "ephemeral nodes dump:\nSessions with Ephemerals ({}):",
        owners.len()
    );
    for (session, paths) in owners {
        let _ = writeln!(text, "0x{session:x}:");
        for path in paths {
            let _ = writeln!(text, "\t{path}");
        }
    }
    let connections = connections::all(server).into_iter().map(|info| {
        let (peer, session) = (java_address(info.peer), info.session);
        (
            info.expires_ms,
            format!("ip: /{peer} sessionId: 0x{session:x}"),
        )
    });
    let connections = expiring(connections, server.config.tick_time_ms);
    let _ = write!(
        text,
        "Connections dump:\nConnections {}",
        sets(&connections)
    );
    text
}

/// The sessions as the leader or another server knows them.
pub(super) fn of_sessions(sessions: &Sessions) -> String {
    match sessions {
        Sessions::Tracked(expiring) => {
            let named = expiring.iter().map(|(end_ms, sessions)| {
                let named = sessions.iter().map(|session| format!("0x{session:x}"));
                (*end_ms, named.collect())
            });
            format!("Session {}", sets(&named.collect::<Expiring<String>>()))
        }
        Sessions::Known(sessions) => {
            let mut text = format!("Global Sessions({}):\n", sessions.len());
            for (session, timeout_ms) in sessions {
                let _ = writeln!(text, "0x{session:x}\t{timeout_ms}ms");
            }
            text
        }
    }
}

/// What ends when (`ExpiryQueue.dump`).
fn sets<T: Display>(expiring: &Expiring<T>) -> String {
    let all: usize = expiring.values().map(Vec::len).sum();
    let mut text = format!("Sets ({})/({all}):\n", expiring.len());
    for (end_ms, together) in expiring {
        let _ = writeln!(text, "{} expire at {}:", together.len(), java_date(*end_ms));
        for one in together {
            let _ = writeln!(text, "\t{one}");
        }
    }
    text
}
