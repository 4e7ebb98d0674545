//! Who calls whom, and what for: the first frame of a connection, and its answer.
//!
//! ```text
//! caller                                             called
//!   │ magic u32 | version u8 | purpose u8             │
//!   │ ensemble? | from u64, directory | to u64    ──▶ │
//!   │                                                 │
//!   │ ◀── 0 | why not                                 │  and the connection is closed
//!   │ ◀── 1 | id u64 | ensemble? | is founded | term  │
//!   │         | leader? | member | participants       │
//! ```
//!
//! What follows depends on the purpose: nothing or questions ([`Purpose::Meet`]), messages of the
//! raft group and their answers ([`Purpose::Raft`]), or commands for the leader
//! ([`Purpose::Forward`]).

use bytes::{BufMut, Bytes};
use ottla_model::Uuid;
use ottla_raft::{Member, NodeId};

use super::codec::{Read, Reader, put_flag, put_ids, put_member, put_optional, put_text, put_uuid};

/// "OTLK": no other protocol that is likely to come by begins so.
const MAGIC: u32 = 0x4f54_4c4b;
const VERSION: u8 = 1;

/// The longest [`Hello`].
pub(crate) const HELLO_BYTES_MAX: usize = 256;
/// The longest answer to it, or question after it.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To learn who is there, and to ask to be taken in.
    Meet,
    /// Messages of the raft group.
    Raft,
    /// Commands for the leader, in their order.
    Forward,
}

/// The first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) purpose: Purpose,
    /// The caller's ensemble, if it has one.
    pub(crate) ensemble_id: Option<Uuid>,
    pub(crate) from: NodeId,
    pub(crate) from_directory: Uuid,
    /// Whom the caller believes to be here.
    pub(crate) to: NodeId,
}

/// What a server says of itself and its ensemble.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Introduction {
    pub(crate) id: NodeId,
    pub(crate) ensemble_id: Option<Uuid>,
    /// Whether its group has members: whoever meets it joins that group, and founds none.
    pub(crate) is_founded: bool,
    /// The newest term that it knows.
    pub(crate) term: u64,
    /// Who leads in that term, if it knows.
    pub(crate) leader: Option<(NodeId, Member)>,
    /// Where it can be reached, and its volume.
    pub(crate) member: Member,
    /// Who founds the ensemble, as its configuration says.
    pub(crate) participants: Vec<NodeId>,
}

/// The answer to [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HelloAnswer {
    /// The connection is closed; the text says why, naming both sides.
    Refused(String),
    Accepted(Box<Introduction>),
}

impl Hello {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(64);
        out.put_u32(MAGIC);
        out.put_u8(VERSION);
        out.put_u8(match self.purpose {
            Purpose::Meet => 0,
            Purpose::Raft => 1,
            Purpose::Forward => 2,
        });
        put_optional(&mut out, self.ensemble_id.as_ref(), put_uuid);
        out.put_u64(self.from);
        put_uuid(&mut out, &self.from_directory);
        out.put_u64(self.to);
        out.into()
    }

    pub(crate) fn decode(bytes: Bytes) -> Read<Hello> {
        let mut reader = Reader::new(bytes);
        if reader.u32()? != MAGIC {
            return Err("it speaks another protocol".to_owned());
        }
        version(&mut reader)?;
        let hello = Hello {
            purpose: match reader.u8()? {
                0 => Purpose::Meet,
                1 => Purpose::Raft,
                2 => Purpose::Forward,
                other => return Err(format!("{other} is no purpose")),
            },
            ensemble_id: reader.optional(Reader::uuid)?,
            from: reader.u64()?,
            from_directory: reader.uuid()?,
            to: reader.u64()?,
        };
        reader.end()?;
        Ok(hello)
    }
}

fn version(reader: &mut Reader) -> Read<()> {
    match reader.u8()? {
        VERSION => Ok(()),
        other => Err(format!(
            "it speaks version {other} of the servers' protocol, and only {VERSION} is known here"
        )),
    }
}

impl HelloAnswer {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        out.put_u32(MAGIC);
        out.put_u8(VERSION);
        match self {
            HelloAnswer::Refused(reason) => {
                out.put_u8(0);
                put_text(&mut out, reason);
            }
            HelloAnswer::Accepted(here) => {
                out.put_u8(1);
                out.put_u64(here.id);
                put_optional(&mut out, here.ensemble_id.as_ref(), put_uuid);
                put_flag(&mut out, here.is_founded);
                out.put_u64(here.term);
                put_optional(&mut out, here.leader.as_ref(), |out, (id, member)| {
                    out.put_u64(*id);
                    put_member(out, member);
                });
                put_member(&mut out, &here.member);
                put_ids(&mut out, &here.participants);
            }
        }
        out.into()
    }

    pub(crate) fn decode(bytes: Bytes) -> Read<HelloAnswer> {
        let mut reader = Reader::new(bytes);
        if reader.u32()? != MAGIC {
            return Err("another protocol is spoken there".to_owned());
        }
        version(&mut reader)?;
        let answer = match reader.u8()? {
            0 => HelloAnswer::Refused(reader.text()?),
            1 => HelloAnswer::Accepted(Box::new(Introduction {
                id: reader.u64()?,
                ensemble_id: reader.optional(Reader::uuid)?,
                is_founded: reader.flag()?,
                term: reader.u64()?,
                leader: reader.optional(|reader| Ok((reader.u64()?, reader.member()?)))?,
                member: reader.member()?,
                participants: reader.ids()?,
            })),
            other => return Err(format!("{other} is no answer")),
        };
        reader.end()?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
