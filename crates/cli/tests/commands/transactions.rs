//! Transactions that are open, and those that hang.

use ottla_cli::Exit;
use ottla_client::{Broker, Client, ClientOptions};
use ottla_record::{BatchBuilder, BatchOptions};
use ottla_runtime::Runtime;
use ottla_wire::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use ottla_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_wire::messages::{
    AddPartitionsToTxnRequest, InitProducerIdRequest, InitProducerIdResponse, ProduceRequest,
};
use ottla_wire::{Chunks, Response};

use crate::session::Session;

/// Versions in which producers name topics, and add partitions by themselves (before KIP-890).
const ADD_PARTITIONS: i16 = 3;
const PRODUCE: i16 = 11;

/// Opens a transaction in partition 0 and leaves it open.
async fn open_transaction(session: &Session, id: &str) -> i64 {
    let bootstrap = vec![session.node.bootstrap()];
    let connected = Client::connect(Runtime::real(), bootstrap, ClientOptions::default()).await;
    let client = connected.unwrap();
    let producer = producer(&client, id).await;
    let add = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: id.into(),
        v3_and_below_producer_id: producer.producer_id,
        v3_and_below_producer_epoch: producer.producer_epoch,
        v3_and_below_topics: vec![AddPartitionsToTxnTopic {
            name: session.topic.as_str().into(),
            partitions: vec![0],
            ..AddPartitionsToTxnTopic::default()
        }],
        ..AddPartitionsToTxnRequest::default()
    };
    let added = client.call_version(Broker::Any, ADD_PARTITIONS, add.into());
    let Response::AddPartitionsToTxn(added) = added.await.unwrap() else {
        panic!("another answer");
    };
    let topics = added.results_by_topic_v3_and_below.into_iter();
    let mut results = topics.flat_map(|topic| topic.results_by_partition);
    assert!(results.all(|p| p.partition_error_code == 0));
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch,
        base_sequence: 0,
        transactional: true,
        ..BatchOptions::default()
    });
    let now_ms = Runtime::real().clock.now_ms();
    builder.append(now_ms, None, Some(b"open"), &[]).unwrap();
    let produce = ProduceRequest {
        transactional_id: Some(id.into()),
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: session.topic.as_str().into(),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(Chunks::from(builder.build().unwrap())),
                ..PartitionProduceData::default()
            }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    let produced = client.call_version(Broker::Any, PRODUCE, produce.into());
    let Response::Produce(produced) = produced.await.unwrap() else {
        panic!("another answer");
    };
    let topics = produced.responses.into_iter();
    let mut results = topics.flat_map(|topic| topic.partition_responses);
    assert!(results.all(|p| p.error_code == 0));
    producer.producer_id
}

async fn producer(client: &Client, id: &str) -> InitProducerIdResponse {
    let init = InitProducerIdRequest {
        transactional_id: Some(id.into()),
        transaction_timeout_ms: 60_000,
        ..InitProducerIdRequest::default()
    };
    loop {
        // Asking for the id makes the topic of the transactions, and waits for its coordinator.
        drop(client.describe_transaction(id).await);
        let answer = client.call(Broker::Any, init.clone().into()).await.unwrap();
        let Response::InitProducerId(answer) = answer else {
            panic!("another answer");
        };
        match answer.error_code {
            0 => return answer,
            // The coordinator is not there yet, or still busy.
            14..=16 | 51 => {}
            code => panic!("error {code}"),
        }
    }
}

#[tokio::test]
async fn an_open_transaction_is_seen_and_aborted_only_by_force() {
    let session = Session::start("txn");
    let id = format!("id-{}", session.topic);
    session.run("topic create TOPIC -p 1", b"").await.out();
    session.run("produce TOPIC", b"before\n").await.out();
    let producer = open_transaction(&session, &id).await;

    let listed = session.run("txn list --state ongoing -o json", b"").await;
    let listed = listed.json();
    let mut rows = listed["transactions"].as_array().unwrap().iter();
    let row = rows.find(|row| row["transactional_id"] == *id).unwrap();
    assert_eq!(row["producer_id"], producer);
    let described = session
        .run(&format!("txn describe {id} -o json"), b"")
        .await;
    let described = described.json();
    let found = &described["transactions"][0];
    assert_eq!(found["state"], "Ongoing");
    assert_eq!(found["partitions"][&session.topic][0], 0);
    assert!(found["duration_ms"].as_i64().unwrap() >= 0);
    let start = |producers: serde_json::Value| {
        let mut rows = producers["producers"].as_array().unwrap().iter();
        let row = rows.find(|row| row["producer_id"] == producer).unwrap();
        row["transaction_start_offset"].as_i64()
    };
    let producers = session.run("txn producers TOPIC -o json", b"").await;
    assert_eq!(start(producers.json()), Some(1));

    // Its coordinator will end it: it does not hang.
    let hanging = "txn find-hanging -t TOPIC --longer-than 1ms -o json";
    let hanging = session.run(hanging, b"").await.json();
    assert_eq!(hanging["transactions"].as_array().unwrap().len(), 0);
    let elsewhere = session
        .run("txn abort TOPIC -p 0 --start-offset 0", b"")
        .await;
    assert_eq!(elsewhere.exit, Exit::NotFound);
    let where_open = "those that are open there begin at 1";
    assert!(elsewhere.err.contains(where_open), "{}", elsewhere.err);
    let abort = "txn abort TOPIC -p 0 --start-offset 1";
    let refused = session.run(abort, b"").await;
    assert_eq!(refused.exit, Exit::Failed);
    assert!(refused.err.contains("it does not hang"), "{}", refused.err);
    let aborted = session.run(&format!("{abort} --force -o json"), b"").await;
    assert_eq!(aborted.json()["producer_id"], producer);
    let producers = session.run("txn producers TOPIC -o json", b"").await;
    assert_eq!(start(producers.json()), None);

    let mistyped = session.run(&format!("txn describe {id}x"), b"").await;
    assert_eq!(mistyped.exit, Exit::NotFound);
    let question = format!("did you mean {id}?");
    assert!(mistyped.err.contains(&question), "{}", mistyped.err);
}
