//! What the fuzz target `jute` does with each input; the tests run it on random bytes.

use bytes::{Bytes, BytesMut};
use ottla_jute::files::{Compression, Decompressed, LogReader, SnapshotReader};
use ottla_jute::{
    ConnectRequest, ConnectResponse, OpCode, Record, ReplyHeader, Request, Response, WatcherEvent,
    Writer,
};

/// The first byte says how the others are read. Nothing may panic or take much memory, and what is
/// accepted means the same once it is written again.
pub(crate) fn body(data: &[u8]) {
    let Some((&kind, rest)) = data.split_first() else {
        return;
    };
    let bytes = Bytes::copy_from_slice(rest);
    let ops = OpCode::ALL;
    match kind {
        0 => again::<ConnectRequest>(&bytes),
        1 => again::<ConnectResponse>(&bytes),
        2 => again::<ReplyHeader>(&bytes),
        3 => again::<WatcherEvent>(&bytes),
        4 => log(&bytes),
        5 => snapshot(Compression::None, &bytes),
        6 => snapshot(Compression::Gzip, &bytes),
        7 => snapshot(Compression::Snappy, &bytes),
        kind if kind < 128 => request(ops[usize::from(kind) % ops.len()], &bytes),
        kind => response(ops[usize::from(kind) % ops.len()], &bytes),
    }
}

fn again<R: Record + PartialEq + std::fmt::Debug>(bytes: &Bytes) {
    if let Ok(record) = R::decode(bytes) {
        assert_eq!(R::decode(&record.encode()), Ok(record));
    }
}

fn request(op: OpCode, bytes: &Bytes) {
    let Ok(request) = Request::decode(op, bytes) else {
        return;
    };
    assert_eq!(request.op_code(), op);
    let mut out = BytesMut::new();
    request.write(&mut Writer::new(&mut out));
    assert_eq!(Request::decode(op, &out.freeze()), Ok(request));
}

fn response(op: OpCode, bytes: &Bytes) {
    if let Ok(response) = Response::decode(op, bytes) {
        assert_eq!(Response::decode(op, &response.encode()), Ok(response));
    }
}

fn log(bytes: &[u8]) {
    if let Ok(reader) = LogReader::new(bytes) {
        // Each entry takes at least its checksum, its length, its header and its end.
        assert!(reader.count() <= bytes.len() / 41 + 1);
    }
}

fn snapshot(compression: Compression, bytes: &[u8]) {
    if let Ok(mut reader) = SnapshotReader::new(Decompressed::new(compression, bytes)) {
        let whole = reader.by_ref().all(|node| node.is_ok());
        assert!(whole || reader.last_zxid().is_none());
    }
}
