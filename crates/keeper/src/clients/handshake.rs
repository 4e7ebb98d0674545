//! The first frame of a client: a new session, an old one, or reading without one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_jute::{ConnectRequest, ConnectResponse, Record};
use ottla_znode::Command;

use crate::clients::connection::{Connection, Waiting};
use crate::server::Server;
use crate::throttle::Arrival;

/// The length of a session's password.
pub(crate) const PASSWORD_LEN: usize = 16;
/// A client that would do without a leader waits so long for one.
const READ_ONLY_AFTER: Duration = Duration::from_millis(1_500);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Takes the first frame. The answer comes when the session's command was applied.
pub(crate) async fn begin(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    frame: &Bytes,
) -> io::Result<()> {
    let bad = |error: ottla_jute::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    let request = ConnectRequest::decode(frame).map_err(bad)?;
    admit(server, &request)?;
    if request.last_zxid_seen > server.tree.last_zxid() && !server.has_leader() {
        let reason = "the client has seen more than this server, which has no leader";
        return Err(io::Error::other(reason));
    }
    connection.introduce(request.last_zxid_seen, request.read_only.is_some());
    let would_read_only = request.read_only == Some(true) && server.config.read_only_mode_enabled;
    if would_read_only && !finds_leader(server).await {
        read_only(server, connection, &request);
        return Ok(());
    }
    let timeout_ms = server.session_timeout_ms(request.timeout_ms);
    let owner = server.owner(connection);
    let command = if request.session_id == 0 {
        let password = server.runtime.random.bytes16();
        Command::OpenSession {
            session: server.next_session(),
            password,
            timeout_ms,
            owner,
        }
    } else {
        let password = request.password.as_deref().unwrap_or_default();
        Command::AttachSession {
            session: request.session_id,
            // Another length is no session's password.
            password: password.try_into().unwrap_or_default(),
            timeout_ms,
            owner,
        }
    };
    let arrived = server.runtime.clock.instant();
    if !server.send(connection, Waiting::Session { arrived }, &command) {
        return Err(io::Error::other("there is no leader"));
    }
    Ok(())
}

/// Lets the client in, unless too many have come lately.
fn admit(server: &Server, request: &ConnectRequest) -> io::Result<()> {
    let arrival = match request.session_id {
        0 => Arrival::New,
        _ => Arrival::Renewed,
    };
    let (clock, random) = (&server.runtime.clock, &server.runtime.random);
    // Evenly from 0 to 1, as finely as a double can tell.
    let chance = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let meters = &server.meters;
    let Ok(missing) = server
        .throttles
        .admit(arrival, clock.monotonic_ms(), chance)
    else {
        meters.connections_rejected.add(1);
        let reason = "too many clients come at once (connection_throttle_tokens)";
        return Err(io::Error::other(reason));
    };
    meters.token_deficit.add(missing);
    meters.connection_requests.add(1);
    if arrival == Arrival::Renewed {
        meters.revalidations.add(1);
    }
    Ok(())
}

async fn finds_leader(server: &Server) -> bool {
    let clock = &server.runtime.clock;
    let until = clock.instant() + READ_ONLY_AFTER;
    while !server.has_leader() {
        if clock.instant() >= until {
            return false;
        }
        clock.sleep(LOOK_EVERY).await;
    }
    true
}

/// Lets the client read without a session: it gets a number that no server gives to a session.
fn read_only(server: &Server, connection: &Connection, request: &ConnectRequest) {
    use std::sync::atomic::Ordering;
    connection.read_only.store(true, Ordering::Relaxed);
    let timeout_ms = server.session_timeout_ms(request.timeout_ms);
    let password = server.runtime.random.bytes16();
    let session = match request.session_id {
        0 => server.next_session(),
        known => known,
    };
    connection.set_session(session, timeout_ms);
    let response = ConnectResponse {
        protocol_version: 0,
        timeout_ms,
        session_id: session,
        password: Some(match &request.password {
            Some(known) if request.session_id != 0 => known.clone(),
            _ => Bytes::copy_from_slice(&password),
        }),
        read_only: Some(true),
    };
    connection.send(|out| ottla_jute::frame(out, |writer| response.write(writer)));
}
