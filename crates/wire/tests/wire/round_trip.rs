use bytes::Bytes;
use ottla_wire::messages::{RequestHeader, SaslAuthenticateRequest, SaslHandshakeResponse};
use ottla_wire::{
    ApiKey, MESSAGES, Reader, Request, Response, Seed, Text, decode_request_header,
    decode_response_header, encode_request, encode_response,
};

#[test]
fn every_message_in_every_version_decodes_to_what_was_encoded() {
    let mut count = 0;
    for message in MESSAGES {
        for version in message.versions() {
            for seed in 0..24 {
                let result = message.round_trip(version, &mut Seed::new(seed));
                let bytes = result.unwrap_or_else(|e| panic!("{} {version}: {e}", message.name));
                let again = message.recode(version, bytes.clone()).unwrap();
                assert_eq!(again, bytes, "{} {version} seed {seed}", message.name);
                count += 1;
            }
        }
    }
    // 91 APIs in both directions, and all that is stored.
    assert!(count > 24 * 600, "only {count} cases ran");
}

#[test]
fn every_frame_decodes_to_its_header_and_body() {
    for api in ApiKey::all() {
        for version in api.versions() {
            let seed = &mut Seed::new(u64::from(version.unsigned_abs()));
            let request = Request::arbitrary(api, version, seed);
            let response = Response::arbitrary(api, version, seed);
            let header = RequestHeader::new(api, version, 42, Some("me".into()));

            let frame = encode_request(&header, &request).unwrap();
            let mut reader = body_of(&frame.to_bytes());
            assert_eq!(decode_request_header(&mut reader).unwrap(), header);
            assert_eq!(Request::decode(api, version, &mut reader).unwrap(), request);
            assert_eq!(request.api(), api);

            let frame = encode_response(42, api, version, &response).unwrap();
            let mut reader = body_of(&frame.to_bytes());
            let header = decode_response_header(api, version, &mut reader).unwrap();
            assert_eq!(header.correlation_id, 42);
            assert_eq!(
                Response::decode(api, version, &mut reader).unwrap(),
                response
            );
            assert_eq!(response.api(), api);
        }
    }
}

/// Checks the length prefix and reads behind it.
fn body_of(frame: &Bytes) -> Reader {
    let prefix: [u8; 4] = frame[..4].try_into().unwrap();
    assert_eq!(u32::from_be_bytes(prefix) as usize, frame.len() - 4);
    Reader::new(frame.slice(4..))
}

#[test]
fn bytes_after_the_body_are_ignored_in_requests_and_an_error_in_responses() {
    let mut writer = ottla_wire::Writer::new();
    SaslAuthenticateRequest::default()
        .encode(0, &mut writer)
        .unwrap();
    writer.i8(0);
    let mut reader = Reader::new(writer.into_bytes());
    Request::decode(ApiKey::SaslAuthenticate, 0, &mut reader).unwrap();
    let mut writer = ottla_wire::Writer::new();
    SaslHandshakeResponse::default()
        .encode(0, &mut writer)
        .unwrap();
    writer.i8(0);
    let mut reader = Reader::new(writer.into_bytes());
    let error = Response::decode(ApiKey::SaslHandshake, 0, &mut reader).unwrap_err();
    assert_eq!(error.to_string(), "at byte 6: 1 bytes are left over");
}

#[test]
fn text_behaves_as_a_str() {
    use std::collections::{BTreeMap, HashMap};
    let text = Text::from("orders");
    assert_eq!(text, "orders");
    assert_eq!(&*text, "orders");
    assert_eq!(format!("{text} {text:?}"), "orders \"orders\"");
    let mut sorted = ["b", "a", "ab"].map(Text::from);
    sorted.sort();
    assert_eq!(sorted, ["a", "ab", "b"]);
    assert_eq!(HashMap::from([(text.clone(), 1)]).get("orders"), Some(&1));
    assert_eq!(BTreeMap::from([(text.clone(), 1)]).get("orders"), Some(&1));
    assert!(text.detached().as_bytes().as_ptr() != text.as_bytes().as_ptr());
    assert!(Text::from_utf8(Bytes::from_static(&[0xff])).is_err());
}
