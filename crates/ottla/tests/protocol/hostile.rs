//! Random requests and damaged frames: the node goes on serving those who behave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ottla_runtime::system;
use ottla_wire::messages::describe_configs_request::DescribeConfigsResource;
use ottla_wire::messages::metadata_request::MetadataRequestTopic;
use ottla_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_wire::messages::{
    DescribeConfigsRequest, DescribeGroupsRequest, MetadataRequest, OffsetFetchRequest,
    RequestHeader,
};
use ottla_wire::{ApiKey, Request, Seed, encode_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing::subscriber::DefaultGuard;

use crate::harness::*;

/// Some of what the random requests ask for is to be waited for; nobody does here.
const WAIT: Duration = Duration::from_millis(10);

/// Every API in every version of the schema, served or not.
fn all() -> impl Iterator<Item = (ApiKey, i16)> {
    ApiKey::all().flat_map(|api| api.versions().map(move |version| (api, version)))
}

fn random_frame(api: ApiKey, version: i16, seed: &mut Seed) -> Vec<u8> {
    let header = RequestHeader::new(api, version, 1, Some("hostile".into()));
    let request = Request::arbitrary(api, version, seed);
    encode_request(&header, &request)
        .unwrap()
        .to_bytes()
        .to_vec()
}

/// Sends bytes and takes what comes back within a moment.
async fn throw(node: &TestNode, bytes: &[u8]) {
    let mut stream = TcpStream::connect(node.address("PLAINTEXT")).await.unwrap();
    // The node may have closed the connection already.
    drop(stream.write_all(bytes).await);
    drop(stream.shutdown().await);
    let mut answer = Vec::new();
    drop(tokio::time::timeout(WAIT, stream.read_to_end(&mut answer)).await);
}

/// What the node logs as errors on this thread, on which all of its tasks run.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<u8>>>);

impl Errors {
    fn listen() -> (Self, DefaultGuard) {
        let errors = Errors::default();
        let writer = errors.clone();
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::ERROR)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (errors, tracing::subscriber::set_default(log))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Errors {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn still_serves(node: &TestNode, round: u64) {
    let mut client = node.connect().await;
    let topic = format!("honest-{round}");
    client.create(&topic, 1, &[]).await;
    assert_eq!(client.append(&topic, &["value"]).await, 0);
}

#[tokio::test]
async fn random_requests_of_every_kind_do_no_harm() {
    let (errors, _listening) = Errors::listen();
    let node = TestNode::start(&[]).await;
    for round in 0..3 {
        let mut seed = Seed::new(round);
        for (api, version) in all() {
            throw(&node, &random_frame(api, version, &mut seed)).await;
        }
        still_serves(&node, round).await;
    }
    // Such as an answer that its version cannot carry.
    assert_eq!(errors.text(), "");
}

#[tokio::test]
async fn damaged_requests_do_no_harm() {
    let (errors, _listening) = Errors::listen();
    let node = TestNode::start(&[]).await;
    for round in 0..3 {
        let mut seed = Seed::new(1_000 + round);
        for (api, version) in all().filter(|(api, _)| api.to_i16() < 80) {
            let mut frame = random_frame(api, version, &mut seed);
            for _ in 0..=seed.below(4) {
                // The length stays, so that the damage is inside of the frame.
                let at = 4 + seed.below(frame.len() - 4);
                frame[at] ^= 1 << seed.below(8);
            }
            throw(&node, &frame).await;
        }
        still_serves(&node, round).await;
    }
    // Such as an answer that its version cannot carry.
    assert_eq!(errors.text(), "");
}

#[tokio::test]
async fn garbage_and_wrong_lengths_close_the_connection() {
    let node = TestNode::start(&[]).await;
    let cases: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[0xff; 64],
        &[0, 0, 0, 0],
        &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        &[0, 0, 0, 4, 0, 18, 0, 3],
        &[0, 0, 0, 12, 0x12, 0x34, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0],
    ];
    for bytes in cases {
        let mut client = node.connect().await;
        client.stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, client.stream.read_to_end(&mut answer)).await;
        // A reset is as good as an end.
        drop(read.unwrap());
        assert!(
            answer.is_empty() || bytes.starts_with(b"GET"),
            "{bytes:?} {answer:?}"
        );
    }
    still_serves(&node, 0).await;
}

#[tokio::test]
async fn requests_that_announce_much_and_bring_little_take_no_memory() {
    let budget = (128u64 << 20).to_string();
    let node = TestNode::start(&[("queued.max.request.bytes", &budget)]).await;
    let before = system::resident_memory_bytes().unwrap_or(0);
    let mut open = Vec::new();
    for _ in 0..50 {
        let mut client = node.connect().await;
        // 100 MB are announced, a few bytes come.
        let announced = 100_000_000i32.to_be_bytes();
        client.stream.write_all(&announced).await.unwrap();
        client.stream.write_all(&[0, 3, 0, 12, 0, 0]).await.unwrap();
        open.push(client);
    }
    still_serves(&node, 0).await;
    let after = system::resident_memory_bytes().unwrap_or(0);
    // Other tests run meanwhile; what was announced is 5 GB.
    assert!(
        after.saturating_sub(before) < 1 << 30,
        "{before} became {after}"
    );
}

#[tokio::test]
async fn what_is_asked_for_many_times_is_answered_once() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 50, &[]).await;
    crate::groups::ready(&mut client, "group").await;
    let many = 50_000;
    let topic = MetadataRequestTopic {
        name: Some("topic".into()),
        ..MetadataRequestTopic::default()
    };
    let request = MetadataRequest {
        topics: Some(vec![topic; many]),
        ..MetadataRequest::default()
    };
    assert_eq!(client.ask(12, request).await.topics.len(), 1);
    let own = node.kafka().identity.node_id.0;
    let resource = |name: String| DescribeConfigsResource {
        resource_type: 4,
        resource_name: name.as_str().into(),
        configuration_keys: None,
        ..DescribeConfigsResource::default()
    };
    let spellings = (0..many).map(|n| resource(format!("{own:0>width$}", width = 1 + n % 9)));
    let request = DescribeConfigsRequest {
        resources: spellings.collect(),
        ..DescribeConfigsRequest::default()
    };
    assert_eq!(client.ask(4, request).await.results.len(), 1);
    let request = DescribeGroupsRequest {
        groups: vec!["group".into(); many],
        ..DescribeGroupsRequest::default()
    };
    assert_eq!(client.ask(5, request).await.groups.len(), 1);
    let group = OffsetFetchRequestGroup {
        group_id: "group".into(),
        topics: None,
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![group; many],
        ..OffsetFetchRequest::default()
    };
    assert_eq!(client.ask(9, request).await.groups.len(), 1);
}
