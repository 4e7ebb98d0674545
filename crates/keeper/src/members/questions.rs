//! What a server may ask of another one once they have met.

use bytes::{BufMut, Bytes};
use ottla_raft::Member;

use super::changes::{ChangeError, Reconfigured};
use super::codec::{Read, Reader, put_flag, put_ids, put_member, put_places, put_text};

/// What a server may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// It wants to be a member.
    Join(JoinQuestion),
    /// One of its clients wants another ensemble.
    Change(Reconfigured),
}

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

const JOIN: u8 = 1;
const CHANGE: u8 = 2;

impl Question {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(128);
        match self {
            Question::Join(join) => {
                out.put_u8(JOIN);
                put_member(&mut out, &join.member);
                put_flag(&mut out, join.wants_vote);
            }
            Question::Change(to) => {
                out.put_u8(CHANGE);
                put_ids(
                    &mut out,
                    &to.participants.iter().copied().collect::<Vec<_>>(),
                );
                put_ids(&mut out, &to.observers.iter().copied().collect::<Vec<_>>());
                put_places(&mut out, &to.addresses);
            }
        }
        out.into()
    }

    pub(crate) fn decode(bytes: Bytes) -> Read<Question> {
        let mut reader = Reader::new(bytes);
        let question = match reader.u8()? {
            JOIN => Question::Join(JoinQuestion {
                member: reader.member()?,
                wants_vote: reader.flag()?,
            }),
            CHANGE => Question::Change(Reconfigured {
                participants: reader.ids()?.into_iter().collect(),
                observers: reader.ids()?.into_iter().collect(),
                addresses: reader.places()?,
            }),
            other => return Err(format!("{other} is no question")),
        };
        reader.end()?;
        Ok(question)
    }
}

/// The answer to [`Question::Join`].
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

/// The answer to [`Question::Change`].
pub(crate) fn encode_change_answer(answer: &Result<(), ChangeError>) -> Bytes {
    let mut out = Vec::with_capacity(64);
    match answer {
        Ok(()) => out.put_u8(0),
        Err(ChangeError::NotLeader) => out.put_u8(1),
        Err(ChangeError::InProgress) => out.put_u8(2),
        Err(ChangeError::NewConfigNoQuorum(reason)) => {
            out.put_u8(3);
            put_text(&mut out, reason);
        }
        Err(ChangeError::Refused(reason)) => {
            out.put_u8(4);
            put_text(&mut out, reason);
        }
    }
    out.into()
}

pub(crate) fn decode_change_answer(bytes: Bytes) -> Read<Result<(), ChangeError>> {
    let mut reader = Reader::new(bytes);
    let answer = match reader.u8()? {
        0 => Ok(()),
        1 => Err(ChangeError::NotLeader),
        2 => Err(ChangeError::InProgress),
        3 => Err(ChangeError::NewConfigNoQuorum(reader.text()?)),
        4 => Err(ChangeError::Refused(reader.text()?)),
        other => return Err(format!("{other} is no answer")),
    };
    reader.end()?;
    Ok(answer)
}

#[cfg(test)]
mod tests;
