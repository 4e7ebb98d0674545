//! A new connection to another server, up to the answer to its first frame.

use std::io::ErrorKind;

use ottla_raft::{Endpoint, NodeId, TransportError};
use tokio::io::{ReadHalf, WriteHalf};

use super::frames::{Broken, FrameReader, write_one};
use super::hello::{ANSWER_BYTES_MAX, HelloAnswer, Introduction, Purpose};
use super::here::Here;
use super::stream::Duplex;

/// A connection that the other server has accepted.
pub(crate) struct Dialed {
    pub(crate) reader: FrameReader<ReadHalf<Box<dyn Duplex>>>,
    pub(crate) writer: WriteHalf<Box<dyn Duplex>>,
    pub(crate) introduction: Introduction,
    /// Where the other server was found.
    pub(crate) place: String,
}

/// Where a server listens, as people write it.
pub(crate) fn place(endpoint: &Endpoint) -> String {
    match endpoint.host.contains(':') {
        true => format!("[{}]:{}", endpoint.host, endpoint.port),
        false => format!("{}:{}", endpoint.host, endpoint.port),
    }
}

/// Calls a server at its addresses, one after the other, until one of them answers. Names are
/// resolved anew each time.
pub(crate) async fn dial(
    here: &Here,
    to: NodeId,
    endpoints: &[Endpoint],
    purpose: Purpose,
) -> Result<Dialed, TransportError> {
    let mut failures = Vec::new();
    for endpoint in endpoints {
        match dial_one(here, to, endpoint, purpose).await {
            Ok(dialed) => return Ok(dialed),
            Err(failure) => failures.push(failure),
        }
    }
    if failures.is_empty() {
        let reason = format!("server {to} has no address");
        return Err(TransportError::Unreachable(reason));
    }
    let is_refused = |failure: &TransportError| matches!(failure, TransportError::Refused(_));
    if failures.len() == 1 || failures.iter().all(is_refused) {
        return Err(failures.swap_remove(0));
    }
    let reasons: Vec<String> = failures.iter().map(ToString::to_string).collect();
    Err(TransportError::Unreachable(reasons.join("; ")))
}

async fn dial_one(
    here: &Here,
    to: NodeId,
    endpoint: &Endpoint,
    purpose: Purpose,
) -> Result<Dialed, TransportError> {
    let place = place(endpoint);
    let (host, port) = (endpoint.host.as_str(), endpoint.port);
    let connecting = here
        .runtime
        .network
        .connect(host, port, here.connect_limit());
    let stream = connecting.await.map_err(|error| {
        let reason = format!("{place}: {error}");
        match error.kind() {
            ErrorKind::ConnectionRefused => TransportError::Refused(reason),
            _ => TransportError::Unreachable(reason),
        }
    })?;
    let limit = here.hello_limit();
    let introducing = async {
        let stream = here.wrap.connected(stream, host).await?;
        let (read, mut writer) = tokio::io::split(stream);
        let mut reader = FrameReader::new(read, &here.runtime.clock, ANSWER_BYTES_MAX, limit);
        write_one(&mut writer, &here.hello(to, purpose).encode()).await?;
        let answer = HelloAnswer::decode(reader.next().await?).map_err(Broken::Other)?;
        Ok::<_, Broken>((reader, writer, answer))
    };
    let introduced = here.runtime.clock.timeout(limit, introducing).await;
    let introduced = introduced.unwrap_or(Err(Broken::Silent(limit)));
    let other = |reason: &str| TransportError::Other(format!("{place}: {reason}"));
    let (reader, writer, answer) = introduced.map_err(|error| other(&error.to_string()))?;
    let introduction = match answer {
        HelloAnswer::Refused(reason) => return Err(other(&reason)),
        HelloAnswer::Accepted(introduction) => *introduction,
    };
    if introduction.id != to {
        let id = introduction.id;
        return Err(other(&format!(
            "server {id} answers where server {to} should be"
        )));
    }
    here.same_ensemble(to, introduction.ensemble_id)
        .map_err(|refusal| other(refusal.reason()))?;
    Ok(Dialed {
        reader,
        writer,
        introduction,
        place,
    })
}
