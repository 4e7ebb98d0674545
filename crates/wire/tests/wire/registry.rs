use bytes::Bytes;
use ottla_wire::messages::{ProduceResponse, RequestHeader, SaslHandshakeResponse};
use ottla_wire::{ApiKey, Reader, Response, Seed, Writer, decode_request_header};

#[test]
fn the_registry_knows_the_keys_and_versions_of_kafka_4_4() {
    assert_eq!(ApiKey::all().filter(|api| !api.is_private()).count(), 91);
    for api in ApiKey::all() {
        assert_eq!(ApiKey::from_i16(api.to_i16()), Some(api));
        assert!(api.on_broker() || api.on_controller(), "{api}");
    }
    let private: Vec<i16> = ApiKey::all()
        .filter(|api| api.is_private())
        .map(ApiKey::to_i16)
        .collect();
    assert_eq!(private, [10_000, 10_001, 10_002, 10_003]);
    assert!(
        ApiKey::all()
            .enumerate()
            .all(|(index, api)| api.index() == index)
    );
    // ZooKeeper's days: LeaderAndIsr, StopReplica, UpdateMetadata, ControlledShutdown.
    for gone in [4, 5, 6, 7, -1, 95, i16::MAX, i16::MIN] {
        assert_eq!(ApiKey::from_i16(gone), None);
    }
    assert_eq!(ApiKey::Produce.versions(), 3..=13);
    assert_eq!(ApiKey::Fetch.versions(), 4..=18);
    assert_eq!(ApiKey::Fetch.flexible_from(), Some(12));
    assert_eq!(ApiKey::OffsetDelete.flexible_from(), None);
    assert_eq!(ApiKey::UnregisterController.to_i16(), 94);
    assert_eq!(ApiKey::InitProducerId.versions(), 0..=6);
    assert_eq!(ApiKey::InitProducerId.stable_versions(), 0..=5);
    assert!(ApiKey::InitProducerId.last_version_is_unstable());
    assert!(!ApiKey::Produce.on_controller());
    assert!(!ApiKey::Vote.on_broker());
}

#[test]
fn header_versions_follow_the_body_except_for_api_versions() {
    assert_eq!(ApiKey::Produce.request_header_version(8), 1);
    assert_eq!(ApiKey::Produce.request_header_version(9), 2);
    assert_eq!(ApiKey::Produce.response_header_version(8), 0);
    assert_eq!(ApiKey::Produce.response_header_version(9), 1);
    assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
    for version in ApiKey::ApiVersions.versions() {
        assert_eq!(ApiKey::ApiVersions.response_header_version(version), 0);
    }
}

fn header(parts: &[&[u8]]) -> Result<RequestHeader, ottla_wire::DecodeError> {
    decode_request_header(&mut Reader::new(Bytes::from(parts.concat())))
}

#[test]
fn headers_of_unknown_apis_and_versions_give_what_can_be_read() {
    // ApiVersions 99, correlation id 7, client "me", then anything.
    let read = header(&[&[0, 18, 0, 99, 0, 0, 0, 7, 0, 2], b"me", &[0xff; 9]]).unwrap();
    assert_eq!(
        (read.api(), read.request_api_version),
        (Some(ApiKey::ApiVersions), 99)
    );
    assert_eq!(
        (read.correlation_id, read.client_id.as_deref()),
        (7, Some("me"))
    );

    // An unknown key, and a client id that is longer than the frame.
    let read = header(&[&[0, 95, 0, 1, 0, 0, 0, 7, 0, 200], b"me"]).unwrap();
    assert_eq!(
        (read.api(), read.request_api_key, read.client_id),
        (None, 95, None)
    );

    // A version below the first, and nothing after the correlation id.
    let read = header(&[&[0, 0, 0, 0, 0, 0, 0, 9]]).unwrap();
    assert_eq!(
        (read.api(), read.request_api_version),
        (Some(ApiKey::Produce), 0)
    );
    assert_eq!((read.correlation_id, read.client_id), (9, None));

    // A known version must be right to its end.
    header(&[&[0, 18, 0, 3, 0, 0, 0, 7, 0, 200], b"me"]).unwrap_err();
    for len in 0..8 {
        header(&[&[0, 95, 0, 1, 0, 0, 0, 7][..len]]).unwrap_err();
    }
}

#[test]
fn the_client_id_keeps_its_old_form_in_flexible_headers() {
    let mut writer = Writer::new();
    RequestHeader::new(ApiKey::ApiVersions, 3, 1, Some("c".into()))
        .encode(2, &mut writer)
        .unwrap();
    assert_eq!(
        &writer.into_bytes()[..],
        [0, 18, 0, 3, 0, 0, 0, 1, 0, 1, b'c', 0]
    );
}

#[test]
fn every_response_with_a_throttle_time_takes_one_in_all_its_versions() {
    let mut with_place = 0;
    for api in ApiKey::all() {
        for version in api.versions() {
            let mut seed = Seed::new(7);
            let mut body = Response::arbitrary(api, version, &mut seed);
            let has_place = body.set_throttle_time_ms(77);
            with_place += usize::from(has_place && version == *api.versions().end());
            let mut writer = Writer::new();
            body.encode(version, &mut writer).unwrap();
            let bytes = writer.into_bytes();
            // The newest version of each response that has the field carries it.
            if has_place && version == *api.versions().end() {
                let again = Response::decode(api, version, &mut Reader::new(bytes)).unwrap();
                assert_eq!(again, body, "{api}");
            }
        }
    }
    assert_eq!(with_place, 78);
    let mut produce = Response::from(ProduceResponse::default());
    assert!(produce.set_throttle_time_ms(5));
    assert_eq!(
        produce,
        Response::from(ProduceResponse {
            throttle_time_ms: 5,
            ..Default::default()
        })
    );
    assert!(!Response::from(SaslHandshakeResponse::default()).set_throttle_time_ms(5));
}
