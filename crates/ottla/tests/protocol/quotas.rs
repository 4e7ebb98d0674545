//! Client quotas: setting and asking for them, and what happens to who uses more.
//!
//! Pauses are real time here, and only ever compared from below: a slow machine makes them longer.

use std::time::{Duration, Instant};

use ottla_model::{ErrorCode, QuotaKey, Uuid};
use ottla_wire::Text;
use ottla_wire::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use ottla_wire::messages::create_partitions_request::CreatePartitionsTopic;
use ottla_wire::messages::describe_client_quotas_request::ComponentData;
use ottla_wire::messages::*;

use crate::fetching::{fetch_of, only};
use crate::harness::*;

const PRODUCE: &str = "producer_byte_rate";
const CONSUME: &str = "consumer_byte_rate";
const TIME: &str = "request_percentage";
const MUTATIONS: &str = "controller_mutation_rate";

/// Rates are measured over one whole second and the current one.
const SHORT: &[(&str, &str)] = &[
    ("quota.window.num", "2"),
    ("controller.quota.window.num", "1"),
];

type Entity<'a> = &'a [(&'a str, Option<&'a str>)];

fn alteration(entity: Entity<'_>, ops: &[(&str, Option<f64>)]) -> AlterClientQuotasRequest {
    let part = |(kind, name): &(&str, Option<&str>)| EntityData {
        entity_type: Text::from(*kind),
        entity_name: name.map(Text::from),
        ..EntityData::default()
    };
    let op = |(key, value): &(&str, Option<f64>)| OpData {
        key: Text::from(*key),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
        ..OpData::default()
    };
    AlterClientQuotasRequest {
        entries: vec![EntryData {
            entity: entity.iter().map(part).collect(),
            ops: ops.iter().map(op).collect(),
            ..EntryData::default()
        }],
        ..AlterClientQuotasRequest::default()
    }
}

async fn set(client: &mut Connection, entity: Entity<'_>, key: &str, value: Option<f64>) {
    let answer = client.ask(1, alteration(entity, &[(key, value)])).await;
    let entry = &answer.entries[0];
    assert_eq!(entry.error_code, 0, "{:?}", entry.error_message);
}

fn filter(components: &[(&str, i8, Option<&str>)], strict: bool) -> DescribeClientQuotasRequest {
    let component = |(kind, match_type, name): &(&str, i8, Option<&str>)| ComponentData {
        entity_type: Text::from(*kind),
        match_type: *match_type,
        match_: name.map(Text::from),
        ..ComponentData::default()
    };
    DescribeClientQuotasRequest {
        components: components.iter().map(component).collect(),
        strict,
        ..DescribeClientQuotasRequest::default()
    }
}

/// What a filter finds, one line an entity.
async fn described(client: &mut Connection, request: DescribeClientQuotasRequest) -> Vec<String> {
    let mut answers = Vec::new();
    for version in 0..=1 {
        let answer = client.ask(version, request.clone()).await;
        assert_eq!((answer.error_code, answer.error_message), (0, None));
        answers.push(answer.entries.unwrap());
    }
    assert_eq!(answers[0], answers[1]);
    let line = |entry: &describe_client_quotas_response::EntryData| {
        let name = |name: &Option<Text>| name.as_deref().unwrap_or("*").to_owned();
        let parts = entry.entity.iter();
        let parts = parts.map(|p| format!("{}={} ", &*p.entity_type, name(&p.entity_name)));
        let values = entry.values.iter();
        let values = values.map(|v| format!("{}:{} ", &*v.key, v.value));
        parts.chain(values).collect::<String>().trim().to_owned()
    };
    answers[0].iter().map(line).collect()
}

/// About as many bytes of one record.
fn payload(bytes: usize) -> bytes::Bytes {
    values_batch(&[&"x".repeat(bytes)])
}

#[tokio::test]
async fn quotas_are_set_described_and_survive_a_restart() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let alice: Entity<'_> = &[("client-id", None), ("user", Some("alice"))];
    let ops = [(PRODUCE, Some(1000.0)), (TIME, Some(12.5))];
    let mut only_validate = alteration(alice, &ops);
    only_validate.validate_only = true;
    assert_eq!(client.ask(0, only_validate).await.entries[0].error_code, 0);
    assert!(described(&mut client, filter(&[], false)).await.is_empty());
    for version in 0..=1 {
        let answer = client.ask(version, alteration(alice, &ops)).await;
        assert_eq!(answer.entries[0].error_code, 0);
        // The entity comes back as it was written.
        assert_eq!(&*answer.entries[0].entity[0].entity_type, "client-id");
    }
    set(&mut client, &[("user", None)], CONSUME, Some(5.0)).await;
    set(
        &mut client,
        &[("ip", Some("10.0.0.1"))],
        "connection_creation_rate",
        Some(3.0),
    )
    .await;
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    let all = [
        "user=* consumer_byte_rate:5",
        "user=alice client-id=* producer_byte_rate:1000 request_percentage:12.5",
        "ip=10.0.0.1 connection_creation_rate:3",
    ];
    assert_eq!(described(&mut client, filter(&[], false)).await, all);
    let users = filter(&[("user", 2, None)], false);
    assert_eq!(described(&mut client, users).await, all[..2]);
    let strict = filter(&[("user", 2, None)], true);
    assert_eq!(described(&mut client, strict).await, all[..1]);
    let default_ids = filter(&[("user", 0, Some("alice")), ("client-id", 1, None)], true);
    assert_eq!(described(&mut client, default_ids).await, all[1..2]);
    client
        .ask(1, alteration(alice, &[(PRODUCE, None), (TIME, None)]))
        .await;
    let left = described(&mut client, filter(&[], false)).await;
    assert_eq!(left, [all[0], all[2]]);
}

#[tokio::test]
async fn what_makes_no_sense_has_kafkas_errors() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let one = Some(1.0);
    for (entity, key, value) in [
        (&[][..], PRODUCE, one),
        (&[("group", Some("g"))], PRODUCE, one),
        (&[("user", Some(""))], PRODUCE, one),
        (&[("ip", None), ("user", None)], PRODUCE, one),
        (
            &[("ip", Some("not an address"))],
            "connection_creation_rate",
            one,
        ),
        (&[("user", None)], "connection_creation_rate", one),
        (&[("user", None)], "no_such_key", one),
        (&[("user", None)], PRODUCE, Some(0.0)),
        (&[("user", None)], PRODUCE, Some(0.5)),
        (&[("user", None)], TIME, Some(f64::NAN)),
    ] {
        let answer = client.ask(1, alteration(entity, &[(key, value)])).await;
        let entry = &answer.entries[0];
        assert_eq!(
            error(entry.error_code),
            ErrorCode::InvalidRequest,
            "{entity:?} {key}"
        );
        assert!(entry.error_message.is_some());
    }
    for (components, code) in [
        (&[("user", 0, None)][..], ErrorCode::InvalidRequest),
        (&[("user", 1, Some("a"))], ErrorCode::InvalidRequest),
        (&[("user", 2, Some("a"))], ErrorCode::InvalidRequest),
        (&[("user", 3, None)], ErrorCode::InvalidRequest),
        (&[("", 2, None)], ErrorCode::InvalidRequest),
        (
            &[("user", 2, None), ("user", 1, None)],
            ErrorCode::InvalidRequest,
        ),
        (
            &[("ip", 2, None), ("user", 1, None)],
            ErrorCode::InvalidRequest,
        ),
        (&[("group", 2, None)], ErrorCode::UnsupportedVersion),
    ] {
        let answer = client.ask(1, filter(components, false)).await;
        assert_eq!(error(answer.error_code), code, "{components:?}");
        assert!(answer.error_message.is_some() && answer.entries.is_none());
    }
}

#[tokio::test]
async fn a_producer_above_its_quota_is_told_at_once_and_then_not_heard() {
    let node = TestNode::start(SHORT).await;
    let mut admin = node.connect().await;
    admin.client_id = "admin";
    admin.create("topic", 1, &[]).await;
    set(
        &mut admin,
        &[("client-id", Some("test"))],
        PRODUCE,
        Some(20_000.0),
    )
    .await;
    let (mut client, mut twin) = (node.connect().await, node.connect().await);
    // 30,000 bytes over a second are half as much again as is allowed.
    let began = Instant::now();
    let request = produce("topic", 0, payload(30_000), -1);
    let answer = client.ask(12, request).await;
    let pause_ms = answer.throttle_time_ms;
    assert!((500..1000).contains(&pause_ms), "{pause_ms} ms");
    let answer = client.ask(3, ApiVersionsRequest::default()).await;
    assert!(answer.throttle_time_ms == 0 && began.elapsed() >= millis(pause_ms));
    // All connections with the client id share the quota; others do not feel it.
    let began = Instant::now();
    let again = produce("topic", 0, payload(60_000), -1);
    let first_pause = client.ask(12, again).await.throttle_time_ms;
    let small = || produce("topic", 0, payload(10), -1);
    let twins = twin.ask(12, small()).await.throttle_time_ms;
    assert!(first_pause > 0 && twins > 0, "{first_pause} {twins}");
    assert_eq!(admin.ask(12, small()).await.throttle_time_ms, 0);
    twin.ask(3, ApiVersionsRequest::default()).await;
    assert!(began.elapsed() >= millis(twins));
    let (answers, ms) = node.broker().probe().throttled(QuotaKey::ProducerByteRate);
    assert!(answers == 3 && ms >= (pause_ms + first_pause + twins).unsigned_abs().into());
    // Without the quota nobody waits for what was used before.
    set(&mut admin, &[("client-id", Some("test"))], PRODUCE, None).await;
    let mut other = node.connect().await;
    assert_eq!(other.ask(12, small()).await.throttle_time_ms, 0);
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(ms.unsigned_abs().into())
}

#[tokio::test]
async fn a_producer_that_wants_no_answer_is_not_heard_either() {
    let node = TestNode::start(SHORT).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    set(
        &mut client,
        &[("user", Some("ANONYMOUS"))],
        PRODUCE,
        Some(20_000.0),
    )
    .await;
    let began = Instant::now();
    client
        .send(12, produce("topic", 0, payload(30_000), 0))
        .await;
    client.ask(3, ApiVersionsRequest::default()).await;
    assert!(began.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn a_pipeline_of_produces_is_held_back_between_its_requests() {
    let node = TestNode::start(SHORT).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    set(&mut client, &[("user", None)], PRODUCE, Some(20_000.0)).await;
    let began = Instant::now();
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(
            client
                .send(12, produce("topic", 0, payload(20_000), -1))
                .await,
        );
    }
    for id in sent {
        client.receive::<ProduceRequest>(12, id).await;
    }
    // 80,000 bytes at 20,000 a second: the first second's worth is free, and the last request's
    // pause comes after its answer.
    assert!(
        began.elapsed() >= Duration::from_millis(1500),
        "{:?}",
        began.elapsed()
    );
    let all = only(client.ask(12, fetch_of("topic", id, 0, 0)).await);
    assert_eq!(all.high_watermark, 4, "nothing is lost on the way");
}

#[tokio::test]
async fn a_consumer_above_its_quota_gets_nothing_and_then_the_same_records() {
    let node = TestNode::start(SHORT).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    for _ in 0..4 {
        client.produce("topic", 0, payload(15_000)).await;
    }
    set(&mut client, &[("client-id", None)], CONSUME, Some(20_000.0)).await;
    // With a session, which must outlive the pause.
    let fetch = |session: i32, epoch: i32, offset: i64| {
        let mut fetch = fetch_of("topic", id, 0, offset);
        fetch.topics[0].partitions[0].partition_max_bytes = 100;
        (fetch.session_id, fetch.session_epoch) = (session, epoch);
        fetch
    };
    let first = client.ask(12, fetch(0, 0, 0)).await;
    let session = first.session_id;
    assert!(session != 0 && first.throttle_time_ms == 0);
    assert_eq!(batches(&only(first).records).len(), 1);
    let began = Instant::now();
    let second = client.ask(12, fetch(session, 1, 1)).await;
    // Not charged for what it did not get, it would be at (2 × 15,000 - 20,000) / 20,000 seconds.
    assert!(second.throttle_time_ms > 0 && second.responses.is_empty());
    assert_eq!((second.error_code, second.session_id), (0, session));
    let third = client.ask(12, fetch(session, 2, 1)).await;
    assert!(began.elapsed() >= millis(second.throttle_time_ms));
    let (mut answer, mut epoch) = (third, 3);
    while answer.responses.is_empty() {
        assert!(
            answer.throttle_time_ms > 0,
            "empty only because of the quota"
        );
        answer = client.ask(12, fetch(session, epoch, 1)).await;
        epoch += 1;
    }
    assert_eq!(
        values(&only(answer).records)[0].0,
        1,
        "no record is skipped"
    );
    // A fetch of everything is cut to what the quota can ever give in one answer.
    let mut greedy = fetch_of("topic", id, 0, 0);
    greedy.max_bytes = 1 << 20;
    let mut answer = client.ask(12, greedy.clone()).await;
    while answer.responses.is_empty() {
        assert!(answer.throttle_time_ms > 0);
        answer = client.ask(12, greedy.clone()).await;
    }
    assert_eq!(batches(&only(answer).records).len(), 1);
}

#[tokio::test]
async fn time_is_charged_for_every_request_and_pauses_are_at_most_a_window() {
    let node = TestNode::start(&[]).await;
    let mut admin = node.connect().await;
    admin.client_id = "admin";
    let id = admin.create("topic", 1, &[]).await;
    // Less than any request takes.
    set(&mut admin, &[("client-id", Some("slow"))], TIME, Some(1e-9)).await;
    let connect = async || {
        let mut client = node.connect().await;
        client.client_id = "slow";
        client
    };
    let pauses = [
        connect()
            .await
            .ask(4, ApiVersionsRequest::default())
            .await
            .throttle_time_ms,
        connect()
            .await
            .ask(12, MetadataRequest::default())
            .await
            .throttle_time_ms,
        connect()
            .await
            .ask(12, fetch_of("topic", id, 0, 0))
            .await
            .throttle_time_ms,
        connect()
            .await
            .ask(12, produce("topic", 0, payload(1), -1))
            .await
            .throttle_time_ms,
        connect()
            .await
            .ask(1, filter(&[], false))
            .await
            .throttle_time_ms,
        connect()
            .await
            .ask(4, FindCoordinatorRequest::default())
            .await
            .throttle_time_ms,
    ];
    assert_eq!(pauses, [1000; 6], "bounded by quota.window.size.seconds");
    // A version from before KIP-219 has no place for it in its answer, and is muted all the same.
    let mut old = connect().await;
    let began = Instant::now();
    old.ask(0, ApiVersionsRequest::default()).await;
    old.ask(0, ApiVersionsRequest::default()).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(
        admin
            .ask(4, ApiVersionsRequest::default())
            .await
            .throttle_time_ms,
        0
    );
    let (answers, _) = node.broker().probe().throttled(QuotaKey::RequestPercentage);
    assert_eq!(answers, 8);
}

#[tokio::test]
async fn new_clients_are_refused_topics_beyond_their_quota_and_old_ones_pause() {
    let node = TestNode::start(SHORT).await;
    let mut admin = node.connect().await;
    admin.client_id = "admin";
    // A bucket of 4 tokens that takes a quarter of an hour to fill: nothing hangs on the clock.
    set(
        &mut admin,
        &[("client-id", Some("test"))],
        MUTATIONS,
        Some(0.004),
    )
    .await;
    let node = node
        .restart(&[
            ("controller.quota.window.num", "1000"),
            ("quota.window.num", "2"),
        ])
        .await;
    let create = |names: &[(&str, i32)]| CreateTopicsRequest {
        topics: names
            .iter()
            .map(|(name, n)| new_topic(name, *n, &[]))
            .collect(),
        ..CreateTopicsRequest::default()
    };
    let codes = |answer: &CreateTopicsResponse| -> Vec<ErrorCode> {
        answer.topics.iter().map(|t| error(t.error_code)).collect()
    };
    let connect = async || node.connect().await;
    let answer = connect().await.ask(7, create(&[("a", 3)])).await;
    assert_eq!(
        (codes(&answer), answer.throttle_time_ms),
        (vec![ErrorCode::None], 0)
    );
    // One token is left: the next topic may overdraw it, and the one behind is refused.
    let answer = connect()
        .await
        .ask(7, create(&[("b", 2), ("a", 1), ("c", 1)]))
        .await;
    let expected = [
        ErrorCode::None,
        ErrorCode::TopicAlreadyExists,
        ErrorCode::ThrottlingQuotaExceeded,
    ];
    assert_eq!(codes(&answer), expected);
    // One token is owed; a thousandth of a second gives 4 millionths of one.
    let pause_ms = answer.throttle_time_ms;
    assert!((1..=250_000).contains(&pause_ms), "{pause_ms} ms");
    let grow = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "a".into(),
            count: 5,
            assignments: None,
            ..CreatePartitionsTopic::default()
        }],
        ..CreatePartitionsRequest::default()
    };
    let exceeded = ErrorCode::ThrottlingQuotaExceeded;
    let answer = connect().await.ask(3, grow.clone()).await;
    assert_eq!(error(answer.results[0].error_code), exceeded);
    assert!(answer.throttle_time_ms > 0);
    let delete = |name: &str| DeleteTopicsRequest {
        topic_names: vec![name.into()],
        ..DeleteTopicsRequest::default()
    };
    let answer = connect().await.ask(5, delete("a")).await;
    assert_eq!(error(answer.responses[0].error_code), exceeded);
    assert!(answer.throttle_time_ms > 0);
    // Older versions do not know the code: they are served, and pause for what they owe.
    let answer = connect().await.ask(5, create(&[("d", 1)])).await;
    assert_eq!(codes(&answer), [ErrorCode::None]);
    assert!(answer.throttle_time_ms > pause_ms - 250_000);
    let answer = connect().await.ask(2, grow).await;
    assert_eq!(answer.results[0].error_code, 0);
    let before = answer.throttle_time_ms;
    let answer = connect().await.ask(4, delete("a")).await;
    assert_eq!(answer.responses[0].error_code, 0);
    assert!(answer.throttle_time_ms > before - 250_000 && before > 250_000);
    // Asking for metadata is no way around it.
    let missing = metadata_request::MetadataRequestTopic {
        name: Some("auto".into()),
        topic_id: Uuid::ZERO,
        ..Default::default()
    };
    let metadata = MetadataRequest {
        topics: Some(vec![missing]),
        allow_auto_topic_creation: true,
        ..MetadataRequest::default()
    };
    let answer = connect().await.ask(12, metadata).await;
    assert_eq!(
        error(answer.topics[0].error_code),
        ErrorCode::UnknownTopicOrPartition
    );
    assert!(node.broker().image().topic("auto").is_none());
    let mut admin = connect().await;
    admin.client_id = "admin";
    let answer = admin.ask(7, create(&[("free", 50)])).await;
    assert_eq!(
        (codes(&answer), answer.throttle_time_ms),
        (vec![ErrorCode::None], 0)
    );
}

#[tokio::test]
async fn an_address_has_its_own_rate_of_connections() {
    let node = TestNode::start(SHORT).await;
    let mut admin = node.connect().await;
    set(
        &mut admin,
        &[("ip", None)],
        "connection_creation_rate",
        Some(1.0),
    )
    .await;
    let listener = &node.broker().net_probe().listeners()[0];
    let refused = || listener.refused(ottla_net::Refused::IpRate);
    let mut flood = Vec::new();
    while refused() == 0 {
        flood.push(node.connect().await);
    }
    let local: Entity<'_> = &[("ip", Some("127.0.0.1"))];
    set(
        &mut admin,
        local,
        "connection_creation_rate",
        Some(1_000_000.0),
    )
    .await;
    let answer = node
        .connect()
        .await
        .ask(3, ApiVersionsRequest::default())
        .await;
    assert_eq!(answer.throttle_time_ms, 0);
}
