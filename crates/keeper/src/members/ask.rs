//! One question to another server, on a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use ottla_raft::{Endpoint, NodeId};

use super::codec::Read;
use super::dial::dial;
use super::frames::write_one;
use super::hello::{ANSWER_BYTES_MAX, Purpose};
use super::here::Here;
use super::questions::Question;

/// How long the leader may take for its answer: it changes the group before.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Asks a server at its addresses.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn ask<T>(
    here: &Here,
    whom: NodeId,
    at: &[Endpoint],
    question: &Question,
    decode: impl FnOnce(Bytes) -> Read<T>,
) -> Read<T> {
    let dialed = dial(here, whom, at, Purpose::Meet).await;
    let mut dialed = dialed.map_err(|error| error.to_string())?;
    let written = write_one(&mut dialed.writer, &question.encode()).await;
    written.map_err(|error| error.to_string())?;
    dialed.reader.set_limits(ANSWER_BYTES_MAX, ANSWER_LIMIT);
    let answer = dialed.reader.next().await;
    decode(answer.map_err(|error| error.to_string())?)
}
