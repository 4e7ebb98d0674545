//! What members say to each other.
//!
//! ```text
//! request   version u8 | group | from: id u64, directory | to: id u64, directory | kind u8 | body
//! response  version u8 | 0 u8 | body            or, refused:   version u8 | 1 u8 | reason
//! ```
//!
//! Every request names its sender and its target with their directories: a member whose volume was
//! replaced neither votes nor follows as its old self.

use bytes::{BufMut, Bytes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use ottla_model::Uuid;

use crate::codec::{self, Reader};
use crate::member::{NodeId, Position};
use crate::openraft_config::{Types, Vote};

const VERSION: u8 = 1;
const ACCEPTED: u8 = 0;
const REFUSED: u8 = 1;

/// Who speaks to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) group: Bytes,
    pub(crate) from: NodeId,
    pub(crate) from_directory: Uuid,
    pub(crate) to: NodeId,
    pub(crate) to_directory: Uuid,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Types>),
    PreVote(VoteRequest<Types>),
    TransferLeader(TransferLeaderRequest<Types>),
    Snapshot(SnapshotPart),
}

/// A piece of a snapshot's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotPart {
    /// The leader's.
    pub(crate) vote: Vote,
    /// Which snapshot it is.
    pub(crate) last: Position,
    /// The file's length.
    pub(crate) total: u64,
    /// Where the piece belongs.
    pub(crate) position: u64,
    pub(crate) bytes: Bytes,
}

/// The answer to [`Request::Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotAnswer {
    pub(crate) vote: Vote,
    /// Which byte is expected next; the file's length once it is installed.
    pub(crate) next: u64,
}

/// The answer to [`Request::TransferLeader`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransferAnswer {
    Accepted,
    VoteChanged(Vote),
    NotFlushed,
}

const APPEND: u8 = 0;
const VOTE: u8 = 1;
const PRE_VOTE: u8 = 2;
const TRANSFER_LEADER: u8 = 3;
const SNAPSHOT: u8 = 4;

impl Request {
    pub(crate) fn encode(&self, envelope: &Envelope) -> Bytes {
        let mut out = Vec::with_capacity(128);
        out.put_u8(VERSION);
        codec::put_bytes(&mut out, &envelope.group);
        out.put_u64(envelope.from);
        out.put_slice(&envelope.from_directory.0);
        out.put_u64(envelope.to);
        out.put_slice(&envelope.to_directory.0);
        match self {
            Request::Append(append) => {
                out.put_u8(APPEND);
                put_append(&mut out, append);
            }
            Request::Vote(vote) => {
                out.put_u8(VOTE);
                put_vote_request(&mut out, vote);
            }
            Request::PreVote(vote) => {
                out.put_u8(PRE_VOTE);
                put_vote_request(&mut out, vote);
            }
            Request::TransferLeader(transfer) => {
                out.put_u8(TRANSFER_LEADER);
                codec::put_vote(&mut out, transfer.from_leader());
                out.put_u64(*transfer.to_node_id());
                codec::put_log_id(&mut out, transfer.last_log_id());
            }
            Request::Snapshot(part) => {
                out.put_u8(SNAPSHOT);
                codec::put_vote(&mut out, &part.vote);
                out.put_u64(part.last.term);
                out.put_u64(part.last.index);
                out.put_u64(part.total);
                out.put_u64(part.position);
                codec::put_bytes(&mut out, &part.bytes);
            }
        }
        out.into()
    }

    pub(crate) fn decode(bytes: Bytes) -> Result<(Envelope, Request), String> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(format!("version {version} is unknown"));
        }
        let envelope = Envelope {
            group: reader.bytes()?,
            from: reader.u64()?,
            from_directory: reader.uuid()?,
            to: reader.u64()?,
            to_directory: reader.uuid()?,
        };
        let request = match reader.u8()? {
            APPEND => Request::Append(append(&mut reader)?),
            VOTE => Request::Vote(vote_request(&mut reader)?),
            PRE_VOTE => Request::PreVote(vote_request(&mut reader)?),
            TRANSFER_LEADER => Request::TransferLeader(TransferLeaderRequest::new(
                reader.vote()?,
                reader.u64()?,
                reader.log_id()?,
            )),
            SNAPSHOT => Request::Snapshot(SnapshotPart {
                vote: reader.vote()?,
                last: Position {
                    term: reader.u64()?,
                    index: reader.u64()?,
                },
                total: reader.u64()?,
                position: reader.u64()?,
                bytes: reader.bytes()?,
            }),
            other => return Err(format!("{other} is no kind of request")),
        };
        reader.end()?;
        Ok((envelope, request))
    }
}

fn put_append(out: &mut Vec<u8>, append: &AppendEntriesRequest<Types>) {
    codec::put_vote(out, &append.vote);
    codec::put_log_id(out, append.prev_log_id.as_ref());
    codec::put_log_id(out, append.leader_commit.as_ref());
    out.put_u32(append.entries.len() as u32);
    for entry in &append.entries {
        let at = out.len();
        out.put_u32(0);
        codec::put_entry(out, entry);
        let len = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&len.to_be_bytes());
    }
}

fn append(reader: &mut Reader) -> Result<AppendEntriesRequest<Types>, String> {
    let vote = reader.vote()?;
    let prev_log_id = reader.log_id()?;
    let leader_commit = reader.log_id()?;
    // An entry has a length, a term, an index and a kind.
    let count = reader.count(21)?;
    let mut entries = Vec::with_capacity(count);
    let first = prev_log_id.map_or(0, |prev| prev.index + 1);
    for next in (first..).take(count) {
        let entry = Reader::entry(reader.bytes()?)?;
        // openraft takes this for granted.
        if entry.log_id.index != next {
            return Err(format!(
                "entry {} stands where {next} is expected",
                entry.log_id.index
            ));
        }
        entries.push(entry);
    }
    Ok(AppendEntriesRequest {
        vote,
        prev_log_id,
        entries,
        leader_commit,
    })
}

fn put_vote_request(out: &mut Vec<u8>, request: &VoteRequest<Types>) {
    codec::put_vote(out, &request.vote);
    codec::put_log_id(out, request.last_log_id.as_ref());
    out.put_u8(u8::from(request.leadership_transfer));
}

fn vote_request(reader: &mut Reader) -> Result<VoteRequest<Types>, String> {
    Ok(VoteRequest {
        vote: reader.vote()?,
        last_log_id: reader.log_id()?,
        leadership_transfer: reader.flag()?,
    })
}

/// What comes back: the body of the answer, or why there is none.
pub(crate) type Response = Result<Bytes, String>;

pub(crate) fn encode_response(response: &Response) -> Bytes {
    let mut out = Vec::with_capacity(64);
    out.put_u8(VERSION);
    match response {
        Ok(body) => {
            out.put_u8(ACCEPTED);
            out.put_slice(body);
        }
        Err(reason) => {
            out.put_u8(REFUSED);
            out.put_slice(reason.as_bytes());
        }
    }
    out.into()
}

/// The outer error says that the bytes are no response.
pub(crate) fn decode_response(bytes: Bytes) -> Result<Response, String> {
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if version != VERSION {
        return Err(format!("version {version} is unknown"));
    }
    let kind = reader.u8()?;
    let body = reader.rest();
    match kind {
        ACCEPTED => Ok(Ok(body)),
        REFUSED => Ok(Err(String::from_utf8_lossy(&body).into_owned())),
        other => Err(format!("{other} is no kind of response")),
    }
}

/// A body of an answer.
pub(crate) trait Answer: Sized {
    fn encode(&self) -> Bytes;
    fn decode(reader: &mut Reader) -> Result<Self, String>;

    /// The answer whose bytes are all of `body`.
    fn of(body: Bytes) -> Result<Self, String> {
        let mut reader = Reader::new(body);
        let answer = Self::decode(&mut reader)?;
        reader.end()?;
        Ok(answer)
    }
}

impl Answer for AppendEntriesResponse<Types> {
    fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            AppendEntriesResponse::Success => out.put_u8(0),
            AppendEntriesResponse::PartialSuccess(last) => {
                out.put_u8(1);
                codec::put_log_id(&mut out, last.as_ref());
            }
            AppendEntriesResponse::Conflict => out.put_u8(2),
            AppendEntriesResponse::HigherVote(vote) => {
                out.put_u8(3);
                codec::put_vote(&mut out, vote);
            }
        }
        out.into()
    }

    fn decode(reader: &mut Reader) -> Result<Self, String> {
        match reader.u8()? {
            0 => Ok(AppendEntriesResponse::Success),
            1 => Ok(AppendEntriesResponse::PartialSuccess(reader.log_id()?)),
            2 => Ok(AppendEntriesResponse::Conflict),
            3 => Ok(AppendEntriesResponse::HigherVote(reader.vote()?)),
            other => Err(format!("{other} is no answer to entries")),
        }
    }
}

impl Answer for VoteResponse<Types> {
    fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        codec::put_vote(&mut out, &self.vote);
        out.put_u8(u8::from(self.vote_granted));
        codec::put_log_id(&mut out, self.last_log_id.as_ref());
        out.into()
    }

    fn decode(reader: &mut Reader) -> Result<Self, String> {
        Ok(VoteResponse {
            vote: reader.vote()?,
            vote_granted: reader.flag()?,
            last_log_id: reader.log_id()?,
        })
    }
}

impl Answer for TransferAnswer {
    fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            TransferAnswer::Accepted => out.put_u8(0),
            TransferAnswer::VoteChanged(vote) => {
                out.put_u8(1);
                codec::put_vote(&mut out, vote);
            }
            TransferAnswer::NotFlushed => out.put_u8(2),
        }
        out.into()
    }

    fn decode(reader: &mut Reader) -> Result<Self, String> {
        match reader.u8()? {
            0 => Ok(TransferAnswer::Accepted),
            1 => Ok(TransferAnswer::VoteChanged(reader.vote()?)),
            2 => Ok(TransferAnswer::NotFlushed),
            other => Err(format!("{other} is no answer to a hand-over")),
        }
    }
}

impl Answer for SnapshotAnswer {
    fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        codec::put_vote(&mut out, &self.vote);
        out.put_u64(self.next);
        out.into()
    }

    fn decode(reader: &mut Reader) -> Result<Self, String> {
        Ok(SnapshotAnswer {
            vote: reader.vote()?,
            next: reader.u64()?,
        })
    }
}

#[cfg(test)]
mod tests;
