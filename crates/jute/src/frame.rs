//! Whole frames.

use bytes::BytesMut;

use crate::connect::{ReplyHeader, RequestHeader};
use crate::record::Record;
use crate::request::Request;
use crate::writer::Writer;

/// Writes a frame: its length, then what `body` writes.
pub fn frame(out: &mut BytesMut, body: impl FnOnce(&mut Writer<'_>)) {
    let start = out.len();
    let mut writer = Writer::new(out);
    writer.int(0);
    body(&mut writer);
    let length = writer.position() - start - 4;
    debug_assert!(i32::try_from(length).is_ok(), "longer than a frame can be");
    writer.patch_int(start, i32::try_from(length).unwrap_or(i32::MAX));
}

/// Writes the frame of a reply or an event; `body` writes what follows the header.
pub fn reply(out: &mut BytesMut, header: ReplyHeader, body: impl FnOnce(&mut Writer<'_>)) {
    frame(out, |writer| {
        header.write(writer);
        body(writer);
    });
}

/// Writes the frame of a request.
pub fn request_frame(out: &mut BytesMut, xid: i32, request: &Request) {
    frame(out, |writer| {
        let op = request.op_code().code();
        RequestHeader { xid, op }.write(writer);
        request.write(writer);
    });
}
