//! What a server may ask of another one once they have met.

use bytes::{BufMut, Bytes};
use ottla_raft::Member;

use super::codec::{Read, Reader, put_flag, put_member, put_text};

/// A server wants to be a member of the group. Who it is has been said before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinQuestion {
    pub(crate) member: Member,
    /// Whether its configuration says that it is a participant.
    pub(crate) wants_vote: bool,
}

/// Why a server is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JoinRefusal {
    /// Somebody else leads, or nobody.
    #[error("server {0} does not lead the ensemble")]
    NotLeader(u64),
    /// A living server has the same id.
    #[error("{0}")]
    Taken(String),
    /// It may go well later.
    #[error("{0}")]
    NotNow(String),
}

impl JoinQuestion {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(128);
        out.put_u8(JOIN);
        put_member(&mut out, &self.member);
        put_flag(&mut out, self.wants_vote);
        out.into()
    }

    pub(crate) fn decode(bytes: Bytes) -> Read<JoinQuestion> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            JOIN => {}
            other => return Err(format!("{other} is no question")),
        }
        let question = JoinQuestion {
            member: reader.member()?,
            wants_vote: reader.flag()?,
        };
        reader.end()?;
        Ok(question)
    }
}

const JOIN: u8 = 1;

/// The answer to [`JoinQuestion`].
pub(crate) fn encode_join_answer(answer: &Result<(), JoinRefusal>) -> Bytes {
    let mut out = Vec::with_capacity(64);
    match answer {
        Ok(()) => out.put_u8(0),
        Err(JoinRefusal::NotLeader(id)) => {
            out.put_u8(1);
            out.put_u64(*id);
        }
        Err(JoinRefusal::Taken(reason)) => {
            out.put_u8(2);
            put_text(&mut out, reason);
        }
        Err(JoinRefusal::NotNow(reason)) => {
            out.put_u8(3);
            put_text(&mut out, reason);
        }
    }
    out.into()
}

pub(crate) fn decode_join_answer(bytes: Bytes) -> Read<Result<(), JoinRefusal>> {
    let mut reader = Reader::new(bytes);
    let answer = match reader.u8()? {
        0 => Ok(()),
        1 => Err(JoinRefusal::NotLeader(reader.u64()?)),
        2 => Err(JoinRefusal::Taken(reader.text()?)),
        3 => Err(JoinRefusal::NotNow(reader.text()?)),
        other => return Err(format!("{other} is no answer")),
    };
    reader.end()?;
    Ok(answer)
}

#[cfg(test)]
mod tests;
