//! Commands and their answers as bytes, between nodes.

use bytes::Bytes;
use ottla_metadata::{Command, Refusal, Reply};

pub(crate) fn encode_command(_command: &Command) -> Bytes {
    Bytes::new()
}

pub(crate) fn decode_command(_bytes: &Bytes) -> Result<Command, String> {
    Err("not yet".to_owned())
}

pub(crate) fn encode_answer(_answer: &Result<Reply, Refusal>) -> Bytes {
    Bytes::new()
}

pub(crate) fn decode_answer(_bytes: &Bytes) -> Result<Result<Reply, Refusal>, String> {
    Err("not yet".to_owned())
}
