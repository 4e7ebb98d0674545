//! Commands and their answers as bytes, between nodes.

use bytes::Bytes;
use ottla_metadata::{Answer, Command, Refusal};
use ottla_model::ErrorCode;

pub(crate) fn encode_command(command: &Command) -> Result<Bytes, Refusal> {
    let encoded = command.encode();
    encoded
        .map(Bytes::from)
        .map_err(|error| Refusal::new(ErrorCode::PolicyViolation, error.to_string()))
}

pub(crate) fn decode_command(bytes: &Bytes) -> Result<Command, String> {
    Command::decode(bytes).map_err(|error| error.to_string())
}

/// An answer that is too large to travel is one to a change that was made: only its details are
/// lost.
pub(crate) fn encode_answer(answer: &Answer) -> Bytes {
    let encoded = ottla_metadata::encode_answer(answer).or_else(|error| {
        let message = format!("The change was decided, but the answer cannot be sent: {error}.");
        ottla_metadata::encode_answer(&Err(Refusal::new(ErrorCode::UnknownServerError, message)))
    });
    encoded.map(Bytes::from).unwrap_or_default()
}

pub(crate) fn decode_answer(bytes: &Bytes) -> Result<Answer, String> {
    ottla_metadata::decode_answer(bytes).map_err(|error| error.to_string())
}
