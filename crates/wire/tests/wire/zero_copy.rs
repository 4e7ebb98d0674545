//! Records keep their place in memory, in and out.

use bytes::Bytes;
use ottla_wire::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use ottla_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_wire::messages::{FetchResponse, ProduceRequest, RequestHeader};
use ottla_wire::{
    ApiKey, Chunks, Reader, Request, decode_request_header, encode_request, encode_response,
};

fn fetch_response(records: Vec<Chunks>) -> FetchResponse {
    let partitions = records
        .into_iter()
        .enumerate()
        .map(|(i, records)| PartitionData {
            partition_index: i as i32,
            records: Some(records),
            ..PartitionData::default()
        });
    FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: "orders".into(),
            partitions: partitions.collect(),
            ..FetchableTopicResponse::default()
        }],
        ..FetchResponse::default()
    }
}

#[test]
fn a_fetch_response_sends_the_very_buffers_of_its_records() {
    let first = Bytes::from(vec![1u8; 1 << 20]);
    let second = [Bytes::from(vec![2u8; 5_000]), Bytes::from(vec![3u8; 700])];
    let small = Bytes::from(vec![4u8; 100]);
    let chunks = vec![
        Chunks::from(first.clone()),
        Chunks::from(second.to_vec()),
        Chunks::from(small.clone()),
        Chunks::new(),
    ];
    for version in [4, 12] {
        let body = fetch_response(chunks.clone());
        let frame = encode_response(1, ApiKey::Fetch, version, &body.into()).unwrap();
        for sent in [&first, &second[0], &second[1]] {
            let same = |part: &&Bytes| part.as_ptr() == sent.as_ptr() && part.len() == sent.len();
            assert_eq!(frame.parts().iter().filter(same).count(), 1);
        }
        // A buffer before each of the three, but none between the two chunks, and one after.
        assert_eq!(frame.parts().len(), 6);
        assert_eq!(
            frame.parts().iter().map(Bytes::len).sum::<usize>(),
            frame.len()
        );
        let prefix: [u8; 4] = frame.parts()[0][..4].try_into().unwrap();
        assert_eq!(u32::from_be_bytes(prefix) as usize, frame.len() - 4);
    }
}

#[test]
fn a_decoded_produce_request_points_into_its_frame() {
    let request = ProduceRequest {
        topic_data: vec![TopicProduceData {
            name: "orders".into(),
            partition_data: vec![PartitionProduceData {
                index: 3,
                records: Some(Bytes::from(vec![7u8; 1 << 20]).into()),
                ..PartitionProduceData::default()
            }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    let header = RequestHeader::new(ApiKey::Produce, 9, 1, None);
    let frame = encode_request(&header, &request.into()).unwrap().to_bytes();
    let mut reader = Reader::new(frame.slice(4..));
    decode_request_header(&mut reader).unwrap();
    let Request::Produce(decoded) = Request::decode(ApiKey::Produce, 9, &mut reader).unwrap()
    else {
        panic!("another body than asked for")
    };
    let memory = frame.as_ptr_range();
    let topic = &decoded.topic_data[0];
    let records = topic.partition_data[0]
        .records
        .clone()
        .unwrap()
        .into_contiguous();
    assert_eq!(records.len(), 1 << 20);
    assert!(memory.contains(&records.as_ptr()));
    assert!(memory.contains(&topic.name.as_bytes().as_ptr()));
}

#[test]
fn chunks_are_equal_by_their_bytes() {
    let whole = Chunks::from(Bytes::from_static(b"abcdef"));
    let cut = [&b"ab"[..], b"", b"cdef"].map(Bytes::from_static);
    assert_eq!(whole, Chunks::from(cut.to_vec()));
    assert_ne!(whole, Chunks::from(cut[..1].to_vec()));
    assert_eq!(Chunks::from(cut.to_vec()).into_contiguous(), &b"abcdef"[..]);
    assert_eq!(Chunks::from(cut.to_vec()).len(), 6);
    assert!(Chunks::new().is_empty() && Chunks::from(Vec::new()).is_empty());
}
