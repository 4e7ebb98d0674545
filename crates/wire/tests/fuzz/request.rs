//! A request from outside: its header, then its body.

use bytes::Bytes;
use ottla_wire::{Reader, Request, Writer, decode_request_header};

/// What decodes must encode to something that decodes to the same.
pub(crate) fn body(data: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(data));
    let Ok(header) = decode_request_header(&mut reader) else {
        return;
    };
    let Some(api) = header.api() else { return };
    let version = header.request_api_version;
    let Ok(request) = Request::decode(api, version, &mut reader) else {
        return;
    };
    let encode = |request: &Request| {
        let mut writer = Writer::new();
        request
            .encode(version, &mut writer)
            .expect("what was decoded can be encoded");
        writer.into_bytes()
    };
    let first = encode(&request);
    let again = Request::decode(api, version, &mut Reader::new(first.clone()))
        .expect("what was encoded can be decoded");
    // Bytes, since NaN differs from itself.
    assert_eq!(encode(&again), first);
}
