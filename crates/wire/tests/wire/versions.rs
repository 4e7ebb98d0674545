//! What a version cannot carry.

use bytes::Bytes;
use ottla_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_wire::messages::{
    CreateTopicsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest,
};
use ottla_wire::{Reader, UnknownTags, Writer};

#[test]
fn a_set_field_that_the_version_lacks_is_an_error_that_names_it() {
    let request = MetadataRequest {
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let error = request.encode(3, &mut Writer::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "MetadataRequest.allow_auto_topic_creation is set, but version 3 cannot carry it"
    );
    request.encode(4, &mut Writer::new()).unwrap();
}

#[test]
fn an_ignorable_field_is_dropped_by_versions_without_it() {
    let request = FetchRequest {
        session_epoch: 7,
        rack_id: "a".into(),
        ..Default::default()
    };
    let mut writer = Writer::new();
    request.encode(4, &mut writer).unwrap();
    let decoded = FetchRequest::decode(4, &mut Reader::new(writer.into_bytes())).unwrap();
    assert_eq!(decoded, FetchRequest::default());
}

#[test]
fn null_is_refused_where_the_version_does_not_allow_it() {
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let error = request.encode(0, &mut Writer::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "MetadataRequest.topics is null, which version 0 does not allow"
    );
    request.encode(1, &mut Writer::new()).unwrap();

    let null = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff]);
    let error = MetadataRequest::decode(0, &mut Reader::new(null.clone())).unwrap_err();
    assert_eq!(error.to_string(), "at byte 0: null is not allowed here");
    assert_eq!(
        MetadataRequest::decode(1, &mut Reader::new(null)).unwrap(),
        request
    );
}

#[test]
fn versions_outside_of_the_schema_are_refused() {
    let request = ProduceRequest::default();
    for version in [i16::MIN, -1, 2, 14, i16::MAX] {
        let error = request.encode(version, &mut Writer::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("ProduceRequest has no version {version}")
        );
        ProduceRequest::decode(version, &mut Reader::new(Bytes::new())).unwrap_err();
    }
}

#[test]
fn defaults_are_those_of_the_schema() {
    let fetch = FetchRequest::default();
    assert_eq!(
        (fetch.replica_id, fetch.max_bytes, fetch.session_epoch),
        (-1, i32::MAX, -1)
    );
    let topics = CreateTopicsRequest::default();
    assert_eq!(topics.timeout_ms, 60_000);
    let metadata = MetadataRequest::default();
    assert!(metadata.allow_auto_topic_creation);
    // Nullable, but not null by default: "all topics" must be asked for.
    assert_eq!(metadata.topics, Some(Vec::new()));
    assert_eq!(PartitionProduceData::default().records, None);
    assert_eq!(ListOffsetsRequest::default().isolation_level, 0);
}

#[test]
fn strings_longer_than_the_protocol_allows_are_refused() {
    let mut topic = TopicProduceData {
        name: "x".repeat(32_767).into(),
        ..Default::default()
    };
    let request = |topic: &TopicProduceData| ProduceRequest {
        topic_data: vec![topic.clone()],
        ..Default::default()
    };
    request(&topic).encode(3, &mut Writer::new()).unwrap();
    topic.name = "x".repeat(32_768).into();
    for version in [3, 9] {
        let error = request(&topic)
            .encode(version, &mut Writer::new())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "32768 is more than the 32767 that the protocol allows here"
        );
    }
}

#[test]
fn unknown_tags_are_kept_in_order_between_known_ones() {
    let mut tags = UnknownTags::new();
    tags.push(0, Bytes::from_static(b"low"));
    tags.push(9, Bytes::from_static(b"high"));
    // Tag 0 is the cluster id, so that only another of the same tag is in its way.
    let request = FetchRequest {
        unknown_tags: tags.clone(),
        ..Default::default()
    };
    let mut writer = Writer::new();
    request.encode(12, &mut writer).unwrap();
    let clash = FetchRequest {
        cluster_id: Some("c".into()),
        ..request
    };
    let error = clash.encode(12, &mut Writer::new()).unwrap_err();
    assert_eq!(error.to_string(), "tag 0 is written twice or out of order");

    // Tag 1 became known in version 15: version 12 keeps it raw, behind tag 0.
    let mut tags = UnknownTags::new();
    tags.push(1, Bytes::from_static(b"later"));
    let request = FetchRequest {
        cluster_id: Some("c".into()),
        unknown_tags: tags.clone(),
        ..Default::default()
    };
    let mut writer = Writer::new();
    request.encode(12, &mut writer).unwrap();
    let decoded = FetchRequest::decode(12, &mut Reader::new(writer.into_bytes())).unwrap();
    assert_eq!(decoded, request);
    request.encode(11, &mut Writer::new()).unwrap_err();
}
