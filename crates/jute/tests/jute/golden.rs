//! Bytes written down by hand from `zookeeper.jute`, and what they mean.

use bytes::{Bytes, BytesMut};
use ottla_jute::{
    Acl, ConnectRequest, ConnectResponse, Create, CreateTtl, Error, GetData, MultiOp, MultiResult,
    OpCode, Record, Request, Response, SetData, SetWatches, Stat, Writer, request_frame,
};

/// Takes hexadecimal digits with blanks between them.
fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    assert_eq!(digits.len() % 2, 0);
    digits
        .chunks(2)
        .map(|pair| pair[0] * 16 + pair[1])
        .collect()
}

fn written(request: &Request) -> Bytes {
    let mut out = BytesMut::new();
    request.write(&mut Writer::new(&mut out));
    out.freeze()
}

/// Both directions.
fn check(op: OpCode, bytes: &str, request: &Request) {
    assert_eq!(Request::decode(op, &hex(bytes)).as_ref(), Ok(request));
    assert_eq!(written(request), hex(bytes));
}

#[test]
fn a_connect_request_with_and_without_the_byte_of_old_clients() {
    let old = "00000000 0000000500000007 00007530 0123456789abcdef
               00000010 00112233445566778899aabbccddeeff";
    let mut request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0x5_0000_0007,
        timeout_ms: 30_000,
        session_id: 0x0123_4567_89ab_cdef,
        password: Some(hex("00112233445566778899aabbccddeeff")),
        read_only: None,
    };
    assert_eq!(ConnectRequest::decode(&hex(old)).as_ref(), Ok(&request));
    assert_eq!(request.encode(), hex(old));
    request.read_only = Some(true);
    let new = format!("{old} 01");
    assert_eq!(ConnectRequest::decode(&hex(&new)).as_ref(), Ok(&request));
    assert_eq!(request.encode(), hex(&new));
}

#[test]
fn a_connect_response_of_an_expired_session() {
    let response = ConnectResponse {
        protocol_version: 0,
        timeout_ms: 0,
        session_id: 0,
        password: Some(Bytes::from_static(&[0; 16])),
        read_only: Some(false),
    };
    let bytes = hex("00000000 00000000 0000000000000000
                     00000010 00000000000000000000000000000000 00");
    assert_eq!(response.encode(), bytes);
}

#[test]
fn a_whole_frame() {
    let mut out = BytesMut::new();
    let request = Request::GetData(GetData {
        path: "/a".into(),
        watch: true,
    });
    request_frame(&mut out, 0x102, &request);
    assert_eq!(
        out.freeze(),
        hex("0000000f 00000102 00000004 00000002 2f61 01")
    );
}

#[test]
fn a_create() {
    let create = Create {
        path: "/e".into(),
        data: Some(Bytes::from_static(b"x")),
        acl: vec![Acl::open()],
        flags: 3,
    };
    let bytes = "00000002 2f65  00000001 78
                 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65
                 00000003";
    check(OpCode::Create, bytes, &Request::Create(create.clone()));
    let ttl = CreateTtl {
        path: create.path,
        data: None,
        acl: vec![],
        flags: 5,
        ttl_ms: 60_000,
    };
    let bytes = "00000002 2f65 ffffffff 00000000 00000005 000000000000ea60";
    check(OpCode::CreateTtl, bytes, &Request::CreateTtl(ttl));
}

#[test]
fn null_vectors_are_empty_and_null_paths_are_errors() {
    let set = SetWatches {
        relative_zxid: 1,
        data_watches: vec![],
        exist_watches: vec!["/a".into()],
        child_watches: vec![],
    };
    let bytes = hex("0000000000000001 ffffffff 00000001 00000002 2f61 ffffffff");
    assert_eq!(
        Request::decode(OpCode::SetWatches, &bytes),
        Ok(Request::SetWatches(set))
    );
    let null_path = hex("ffffffff 00");
    assert_eq!(
        Request::decode(OpCode::GetData, &null_path),
        Err(Error::Null)
    );
}

#[test]
fn a_multi() {
    let set = SetData {
        path: "/a".into(),
        data: None,
        version: -1,
    };
    let bytes = "00000005 00 ffffffff  00000002 2f61 ffffffff ffffffff
                 ffffffff 01 ffffffff";
    check(
        OpCode::Multi,
        bytes,
        &Request::Multi(vec![MultiOp::SetData(set)]),
    );
}

#[test]
fn a_multi_takes_changes_only_and_flags_that_mean_something() {
    let of = |op: &str, flags: &str| {
        hex(&format!(
            "{op} 00 ffffffff 00000002 2f61 ffffffff 00000000 {flags} ffffffff 01 ffffffff"
        ))
    };
    let decode = |bytes: &Bytes| Request::decode(OpCode::Multi, bytes);
    let create = |flags| Create {
        path: "/a".into(),
        data: None,
        acl: vec![],
        flags,
    };
    assert_eq!(
        decode(&of("00000001", "00000004")),
        Ok(Request::Multi(vec![MultiOp::CreateContainer(create(4))]))
    );
    assert_eq!(
        decode(&of("0000000f", "00000001")),
        Ok(Request::Multi(vec![MultiOp::Create2(create(1))]))
    );
    assert_eq!(
        decode(&of("00000001", "00000005")),
        Err(Error::FlagsInMulti { op: 1, flags: 5 })
    );
    assert_eq!(
        decode(&of("00000001", "00000009")),
        Err(Error::FlagsInMulti { op: 1, flags: 9 })
    );
    // Flags of nothing and 8 bytes of a time to live.
    assert_eq!(
        decode(&of("00000015", "00000003 ffffffffffffffff")),
        Ok(Request::Multi(vec![MultiOp::Create(create(3))]))
    );
    let null_acl = "00000001 00 ffffffff 00000002 2f61 ffffffff ffffffff 00000000";
    assert_eq!(decode(&hex(null_acl)), Err(Error::NullAclInMulti { op: 1 }));
    let get = hex("00000004 00 ffffffff 00000002 2f61 00 ffffffff 01 ffffffff");
    assert_eq!(
        decode(&get),
        Err(Error::NotInMulti {
            op: 4,
            multi: "multi"
        })
    );
    assert!(Request::decode(OpCode::MultiRead, &get).is_ok());
}

#[test]
fn the_results_of_a_failed_multi() {
    let response = Response::Multi(vec![
        MultiResult::Error(0),
        MultiResult::Error(-101),
        MultiResult::Error(-2),
    ]);
    let bytes = hex("ffffffff 00 00000000 00000000
                     ffffffff 00 ffffff9b ffffff9b
                     ffffffff 00 fffffffe fffffffe
                     ffffffff 01 ffffffff");
    assert_eq!(response.encode(), bytes);
    assert_eq!(Response::decode(OpCode::Multi, &bytes), Ok(response));
}

#[test]
fn a_stat() {
    let stat = Stat {
        czxid: 1,
        mzxid: 2,
        ctime: 3,
        mtime: 4,
        version: 5,
        cversion: 6,
        aversion: 7,
        ephemeral_owner: 8,
        data_length: 9,
        num_children: 10,
        pzxid: 11,
    };
    let bytes = hex(
        "0000000000000001 0000000000000002 0000000000000003 0000000000000004
                     00000005 00000006 00000007 0000000000000008 00000009 0000000a
                     000000000000000b",
    );
    assert_eq!(stat.encode(), bytes);
    assert_eq!(Response::Stat(stat).encode(), bytes);
}
