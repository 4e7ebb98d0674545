//! Commands and their answers as bytes, for nodes that are not the one that decides.
//!
//! ```text
//! version   u8 (1)
//! body      MessagePack; fields by their names
//! ```
//!
//! A field that is added later must be left out while it has its default, so that nodes of the
//! version before understand whoever does not use it. What they do not know is an error to them:
//! a command that is half understood would be another command.

use std::io::Cursor;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Command, Refusal, Reply};
use crate::error::Error;

const VERSION: u8 = 1;
/// The most bytes of a command or an answer; a request of clients is bounded far below that.
pub const COMMAND_BYTES_MAX: usize = 64 << 20;
/// Deeper than any command, and shallow enough for any stack.
const DEPTH_MAX: usize = 32;

/// What comes back for a command.
pub type Answer = Result<Reply, Refusal>;

impl Command {
    /// The command as bytes.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        encode(self, "command")
    }

    /// Reads what [`Command::encode`] has written.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        decode(bytes)
    }
}

/// An answer as bytes.
pub fn encode_answer(answer: &Answer) -> Result<Vec<u8>, Error> {
    encode(answer, "answer")
}

/// Reads what [`encode_answer`] has written.
pub fn decode_answer(bytes: &[u8]) -> Result<Answer, Error> {
    decode(bytes)
}

fn encode<T: Serialize>(value: &T, kind: &'static str) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write_named(&mut bytes, value).map_err(|error| Error::Unencodable {
        kind,
        reason: error.to_string(),
    })?;
    check_len(&bytes)?;
    Ok(bytes)
}

fn check_len(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() <= COMMAND_BYTES_MAX {
        return Ok(());
    }
    Err(Error::TooLarge {
        len: bytes.len(),
        max: COMMAND_BYTES_MAX,
    })
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    check_len(bytes)?;
    let unreadable = |reason: String| Error::Unreadable { reason };
    let Some((version, body)) = bytes.split_first() else {
        return Err(unreadable("it is empty".to_owned()));
    };
    if *version != VERSION {
        return Err(Error::UnknownCommandVersion {
            version: *version,
            known: VERSION,
        });
    }
    let mut deserializer = rmp_serde::Deserializer::new(Cursor::new(body));
    deserializer.set_max_depth(DEPTH_MAX);
    let value = T::deserialize(&mut deserializer).map_err(|error| unreadable(error.to_string()))?;
    let read = deserializer.get_ref().position();
    let rest = body.len() - usize::try_from(read).unwrap_or(body.len()).min(body.len());
    if rest > 0 {
        return Err(unreadable(format!("{rest} bytes follow its end")));
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
