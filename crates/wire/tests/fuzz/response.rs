//! A response: the first two bytes choose its API, the next two its version.

use bytes::Bytes;
use ottla_wire::{ApiKey, Reader, Response, Writer, decode_response_header};

/// What decodes must encode to something that decodes to the same.
pub(crate) fn body(data: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(data));
    let (Ok(key), Ok(version)) = (reader.i16(), reader.i16()) else {
        return;
    };
    let Some(api) = ApiKey::from_i16(key) else {
        return;
    };
    if decode_response_header(api, version, &mut reader).is_err() {
        return;
    }
    let Ok(response) = Response::decode(api, version, &mut reader) else {
        return;
    };
    let encode = |response: &Response| {
        let mut writer = Writer::new();
        response
            .encode(version, &mut writer)
            .expect("what was decoded can be encoded");
        writer.into_bytes()
    };
    let first = encode(&response);
    let again = Response::decode(api, version, &mut Reader::new(first.clone()))
        .expect("what was encoded can be decoded");
    assert_eq!(encode(&again), first);
}
