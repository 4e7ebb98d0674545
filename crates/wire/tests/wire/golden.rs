//! Frames written by hand from the protocol's description, byte for byte.

use bytes::Bytes;
use ottla_wire::messages::api_versions_response::{ApiVersion, SupportedFeatureKey};
use ottla_wire::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use ottla_wire::messages::metadata_request::MetadataRequestTopic;
use ottla_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FetchResponse, MetadataRequest, MetadataResponse,
    ProduceRequest, RequestHeader,
};
use ottla_wire::{
    ApiKey, Reader, Request, Response, decode_request_header, decode_response_header,
    encode_request, encode_response,
};

/// Encodes to exactly these parts, and decodes back.
fn check_request(version: i16, body: impl Into<Request>, parts: &[&[u8]]) {
    let body = body.into();
    let header = RequestHeader::new(body.api(), version, 7, Some("me".into()));
    let frame = encode_request(&header, &body).unwrap().to_bytes();
    let expected = parts.concat();
    assert_eq!(frame[..], expected[..]);
    let mut reader = Reader::new(frame.slice(4..));
    assert_eq!(decode_request_header(&mut reader).unwrap(), header);
    assert_eq!(
        Request::decode(body.api(), version, &mut reader).unwrap(),
        body
    );
}

fn check_response(version: i16, body: impl Into<Response>, parts: &[&[u8]]) {
    let body = body.into();
    let frame = encode_response(7, body.api(), version, &body)
        .unwrap()
        .to_bytes();
    let expected = parts.concat();
    assert_eq!(frame[..], expected[..]);
    let mut reader = Reader::new(frame.slice(4..));
    let header = decode_response_header(body.api(), version, &mut reader).unwrap();
    assert_eq!(header.correlation_id, 7);
    assert_eq!(
        Response::decode(body.api(), version, &mut reader).unwrap(),
        body
    );
}

#[test]
fn api_versions_3_request() {
    let body = ApiVersionsRequest {
        client_software_name: "lib".into(),
        client_software_version: "2.1".into(),
        ..ApiVersionsRequest::default()
    };
    check_request(
        3,
        body,
        &[
            &[0, 0, 0, 22],             // length
            &[0, 18, 0, 3, 0, 0, 0, 7], // key, version, correlation id
            &[0, 2, b'm', b'e', 0],     // client id with a two-byte length, no tags
            &[4, b'l', b'i', b'b'],     // compact string
            &[4, b'2', b'.', b'1', 0],  // compact string, no tags
        ],
    );
}

#[test]
fn api_versions_0_response_to_an_unknown_version() {
    let body = ApiVersionsResponse {
        error_code: 35,
        api_keys: vec![ApiVersion {
            api_key: 18,
            max_version: 4,
            ..ApiVersion::default()
        }],
        ..ApiVersionsResponse::default()
    };
    check_response(
        0,
        body,
        &[
            &[0, 0, 0, 16],
            &[0, 0, 0, 7],
            &[0, 35],
            &[0, 0, 0, 1],
            &[0, 18, 0, 0, 0, 4],
        ],
    );
}

#[test]
fn api_versions_3_response_has_a_header_without_tags_and_a_body_with_them() {
    let body = ApiVersionsResponse {
        api_keys: vec![ApiVersion {
            api_key: 0,
            min_version: 3,
            max_version: 13,
            ..ApiVersion::default()
        }],
        supported_features: vec![SupportedFeatureKey {
            name: "f".into(),
            min_version: 0,
            max_version: 1,
            ..SupportedFeatureKey::default()
        }],
        finalized_features_epoch: 5,
        ..ApiVersionsResponse::default()
    };
    check_response(
        3,
        body,
        &[
            &[0, 0, 0, 39],
            &[0, 0, 0, 7],                      // correlation id; no tags: KIP-511
            &[0, 0],                            // error code
            &[2, 0, 0, 0, 3, 0, 13, 0],         // one API, no tags
            &[0, 0, 0, 0],                      // throttle time
            &[2],                               // two tagged fields
            &[0, 8, 2, 2, b'f', 0, 0, 0, 1, 0], // tag 0, size, one feature, no tags
            &[1, 8, 0, 0, 0, 0, 0, 0, 0, 5],    // tag 1, size, epoch
        ],
    );
}

#[test]
fn metadata_0_and_9_requests() {
    let topic = |name: &str| MetadataRequestTopic {
        name: Some(name.into()),
        ..MetadataRequestTopic::default()
    };
    let body = MetadataRequest {
        topics: Some(vec![topic("ab")]),
        ..Default::default()
    };
    check_request(
        0,
        body.clone(),
        &[
            &[0, 0, 0, 20],
            &[0, 3, 0, 0, 0, 0, 0, 7],
            &[0, 2, b'm', b'e'],
            &[0, 0, 0, 1, 0, 2, b'a', b'b'],
        ],
    );
    check_request(
        9,
        MetadataRequest {
            include_topic_authorized_operations: true,
            ..body
        },
        &[
            &[0, 0, 0, 22],
            &[0, 3, 0, 9, 0, 0, 0, 7],
            &[0, 2, b'm', b'e', 0],
            &[2, 3, b'a', b'b', 0], // one topic, its name, no tags
            &[1, 0, 1, 0],          // create it, not the cluster's, the topic's operations
        ],
    );
}

#[test]
fn metadata_1_response() {
    let body = MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: 1,
            host: "h".into(),
            port: 9092,
            ..MetadataResponseBroker::default()
        }],
        controller_id: 1,
        topics: vec![MetadataResponseTopic {
            name: Some("t".into()),
            partitions: vec![MetadataResponsePartition {
                leader_id: 1,
                replica_nodes: vec![1, 2],
                isr_nodes: vec![1],
                ..MetadataResponsePartition::default()
            }],
            ..MetadataResponseTopic::default()
        }],
        ..MetadataResponse::default()
    };
    check_response(
        1,
        body,
        &[
            &[0, 0, 0, 69],
            &[0, 0, 0, 7],
            &[
                0, 0, 0, 1, 0, 0, 0, 1, 0, 1, b'h', 0, 0, 0x23, 0x84, 0xff, 0xff,
            ],
            &[0, 0, 0, 1],                               // controller
            &[0, 0, 0, 1, 0, 0, 0, 1, b't', 0],          // one topic: error, name, not internal
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], // one partition: error, index, leader
            &[0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2],       // replicas
            &[0, 0, 0, 1, 0, 0, 0, 1],                   // in sync
        ],
    );
}

fn produce(records: &'static [u8]) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: "t".into(),
            partition_data: vec![PartitionProduceData {
                index: 2,
                records: Some(Bytes::from_static(records).into()),
                ..PartitionProduceData::default()
            }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    }
}

#[test]
fn produce_7_and_9_requests() {
    check_request(
        7,
        produce(b"RECORDS"),
        &[
            &[0, 0, 0, 46],
            &[0, 0, 0, 7, 0, 0, 0, 7],
            &[0, 2, b'm', b'e'],
            &[0xff, 0xff],                // no transactional id
            &[0xff, 0xff, 0, 0, 3, 0xe8], // acks, timeout
            &[0, 0, 0, 1, 0, 1, b't'],
            &[0, 0, 0, 1, 0, 0, 0, 2], // one partition: its index
            &[0, 0, 0, 7],
            b"RECORDS",
        ],
    );
    check_request(
        9,
        produce(b"RECORDS"),
        &[
            &[0, 0, 0, 39],
            &[0, 0, 0, 9, 0, 0, 0, 7],
            &[0, 2, b'm', b'e', 0],
            &[0], // no transactional id
            &[0xff, 0xff, 0, 0, 3, 0xe8],
            &[2, 2, b't'],
            &[2, 0, 0, 0, 2],
            &[8],
            b"RECORDS",
            &[0, 0, 0], // no tags: partition, topic, request
        ],
    );
}

#[test]
fn fetch_4_response_can_carry_empty_records() {
    let body = FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: "t".into(),
            partitions: vec![PartitionData {
                partition_index: 1,
                high_watermark: 9,
                last_stable_offset: 8,
                aborted_transactions: None,
                records: Some(Bytes::new().into()),
                ..PartitionData::default()
            }],
            ..FetchableTopicResponse::default()
        }],
        ..FetchResponse::default()
    };
    check_response(
        4,
        body,
        &[
            &[0, 0, 0, 49],
            &[0, 0, 0, 7, 0, 0, 0, 0], // correlation id, throttle time
            &[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1],
            &[0, 0, 0, 1, 0, 0], // partition, error
            &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 8],
            &[0xff, 0xff, 0xff, 0xff], // no aborted transactions
            &[0, 0, 0, 0],             // no records
        ],
    );
    assert_eq!(ApiKey::Fetch.response_header_version(4), 0);
}
