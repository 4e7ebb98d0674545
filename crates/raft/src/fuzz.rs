//! What the fuzz target `raft` does with each input; the tests run it on random bytes.

use bytes::Bytes;
use openraft::raft::{AppendEntriesResponse, VoteResponse};

use crate::codec::Reader;
use crate::openraft_config::Types;
use crate::rpc::{Answer, Request, SnapshotAnswer, TransferAnswer, decode_response};
use crate::store::read_any;

/// Reads the bytes in every way in which a member reads bytes from other members and from its
/// disk. Nothing may panic, and what is accepted is the encoding of what it means.
pub fn body(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok((who, request)) = Request::decode(bytes.clone()) {
        assert_eq!(request.encode(&who), bytes);
    }
    if let Ok(Ok(body)) = decode_response(bytes.clone()) {
        answer::<AppendEntriesResponse<Types>>(&body);
        answer::<VoteResponse<Types>>(&body);
        answer::<TransferAnswer>(&body);
        answer::<SnapshotAnswer>(&body);
    }
    drop(Reader::entry(bytes.clone()));
    read_any(&bytes);
}

fn answer<A: Answer>(body: &Bytes) {
    if let Ok(answer) = A::of(body.clone()) {
        assert_eq!(answer.encode(), body);
    }
}
