//! The two messages that carry data. `cargo bench -p ottla-wire`

use bytes::Bytes;
use divan::{Bencher, black_box};
use ottla_wire::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use ottla_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_wire::messages::{FetchResponse, ProduceRequest, RequestHeader};
use ottla_wire::{
    ApiKey, Reader, Request, Response, decode_request_header, encode_request, encode_response,
};

fn main() {
    divan::main();
}

/// One partition with 1 MiB of records, and `partitions` in all.
fn produce_frame(partitions: i32) -> Bytes {
    let partition_data = (0..partitions).map(|index| PartitionProduceData {
        index,
        records: Some(Bytes::from(vec![7; (1 << 20) / partitions as usize]).into()),
        ..PartitionProduceData::default()
    });
    let topic = TopicProduceData {
        name: "orders".into(),
        partition_data: partition_data.collect(),
        ..TopicProduceData::default()
    };
    let request = ProduceRequest {
        topic_data: vec![topic],
        ..ProduceRequest::default()
    };
    let header = RequestHeader::new(ApiKey::Produce, 9, 1, Some("producer-1".into()));
    encode_request(&header, &request.into())
        .map(|frame| frame.to_bytes())
        .unwrap_or_default()
}

#[divan::bench(args = [1, 16])]
fn decode_a_mebibyte_of_produce(bencher: Bencher, partitions: i32) {
    let frame = produce_frame(partitions).slice(4..);
    bencher.bench(|| {
        let mut reader = Reader::new(black_box(&frame).clone());
        let header = decode_request_header(&mut reader);
        (header, Request::decode(ApiKey::Produce, 9, &mut reader))
    });
}

#[divan::bench(args = [1, 16, 256])]
fn encode_a_fetch_response(bencher: Bencher, partitions: i32) {
    let records = Bytes::from(vec![7; 64 << 10]);
    let partitions = (0..partitions).map(|partition_index| PartitionData {
        partition_index,
        records: Some(records.clone().into()),
        ..PartitionData::default()
    });
    let topic = FetchableTopicResponse {
        topic: "orders".into(),
        partitions: partitions.collect(),
        ..FetchableTopicResponse::default()
    };
    let body = Response::from(FetchResponse {
        responses: vec![topic],
        ..FetchResponse::default()
    });
    bencher.bench(|| encode_response(1, ApiKey::Fetch, 12, black_box(&body)));
}
