//! What is written is read again, and nothing less than all of it is a value.

use bytes::{Bytes, BytesMut};
use ottla_jute::{
    AuthPacket, ConnectRequest, ConnectResponse, Error, ErrorCode, OpCode, Reader, Record,
    ReplyHeader, Request, RequestHeader, Response, StatPersisted, WatcherEvent, Writer, reply,
    request_frame,
};
use proptest::prelude::*;

use super::any;

fn back<R: Record + PartialEq + std::fmt::Debug>(record: R) {
    let bytes = record.encode();
    assert_eq!(R::decode(&bytes).as_ref(), Ok(&record));
    assert!(bytes.len() >= R::BYTES_MIN);
}

proptest! {
    #[test]
    fn requests_come_back(request in any::request(), xid: i32) {
        let mut out = BytesMut::new();
        request_frame(&mut out, xid, &request);
        let frame = out.freeze();
        let length = Reader::new(&frame).int().unwrap();
        prop_assert_eq!(length as usize + 4, frame.len());
        let body = frame.slice(4..);
        let mut reader = Reader::shared(&body);
        let header = RequestHeader::read(&mut reader).unwrap();
        prop_assert_eq!(header, RequestHeader { xid, op: request.op_code().code() });
        let op = OpCode::try_from(header.op).unwrap();
        let read = Request::read(op, &mut reader);
        prop_assert_eq!(read, Ok(request));
        prop_assert_eq!(reader.remaining(), 0);
    }

    #[test]
    fn every_shorter_request_is_an_error(request in any::request()) {
        let mut out = BytesMut::new();
        request.write(&mut Writer::new(&mut out));
        for length in 0..out.len() {
            let cut = Bytes::copy_from_slice(&out[..length]);
            let decoded = Request::decode(request.op_code(), &cut);
            prop_assert!(decoded.is_err(), "{} of {} bytes: {:?}", length, out.len(), decoded);
        }
    }

    #[test]
    fn responses_come_back((op, response) in any::response()) {
        let bytes = response.encode();
        let decoded = Response::decode(op, &bytes);
        prop_assert_eq!(decoded, Ok(response));
        for length in 0..bytes.len() {
            prop_assert!(Response::decode(op, &bytes.slice(..length)).is_err());
        }
    }

    #[test]
    fn connect_records_come_back(
        ints: [i32; 2], longs: [i64; 2], password in proptest::option::of(any::<[u8; 16]>()),
        read_only: Option<bool>,
    ) {
        let password = password.map(|bytes| Bytes::copy_from_slice(&bytes));
        back(ConnectRequest {
            protocol_version: ints[0],
            last_zxid_seen: longs[0],
            timeout_ms: ints[1],
            session_id: longs[1],
            password: password.clone(),
            read_only,
        });
        back(ConnectResponse {
            protocol_version: ints[0],
            timeout_ms: ints[1],
            session_id: longs[1],
            password: password.clone(),
            read_only,
        });
        back(AuthPacket { kind: ints[0], scheme: Some("digest".into()), auth: password });
    }

    #[test]
    fn small_records_come_back(stat in any::stat(), path in any::path(), xid: i32, zxid: i64) {
        back(stat);
        back(WatcherEvent { kind: xid, state: 3, path });
        back(ReplyHeader { xid, zxid, err: -101 });
        back(StatPersisted { czxid: zxid, version: xid, ..StatPersisted::default() });
    }
}

#[test]
fn data_are_not_copied() {
    let data = Bytes::from(vec![7; 1000]);
    let body = Response::GetData {
        data: Some(data),
        stat: ottla_jute::Stat::default(),
    }
    .encode();
    let Ok(Response::GetData {
        data: Some(data), ..
    }) = Response::decode(OpCode::GetData, &body)
    else {
        panic!("not decoded");
    };
    assert!(body.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn numbers_have_names_and_all_others_are_errors() {
    assert_eq!(ErrorCode::try_from(-101), Ok(ErrorCode::NoNode));
    assert_eq!(ErrorCode::NoNode.to_string(), "NONODE");
    assert_eq!(OpCode::try_from(107), Ok(OpCode::WhoAmI));
    assert_eq!(OpCode::CreateTtl.name(), "createTTL");
    for op in [10, 23, 108, -2, -12, i32::MAX] {
        assert!(OpCode::try_from(op).is_err(), "{op}");
    }
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::try_from(code.code()), Ok(*code));
    }
}

#[test]
fn a_reply_after_an_error_has_no_fields() {
    let mut out = BytesMut::new();
    let header = ReplyHeader {
        xid: 5,
        zxid: 9,
        err: ErrorCode::NoNode.code(),
    };
    reply(&mut out, header, |_| {});
    assert_eq!(out.len(), 4 + 16);
    assert_eq!(ReplyHeader::decode(&out.freeze().slice(4..)), Ok(header));
}

#[test]
fn what_servers_alone_know_is_no_request() {
    for op in [OpCode::Notification, OpCode::CreateSession, OpCode::Check] {
        let decoded = Request::decode(op, &Bytes::from_static(&[0; 64]));
        assert_eq!(decoded, Err(Error::NotARequest { op: op.name() }));
    }
}
