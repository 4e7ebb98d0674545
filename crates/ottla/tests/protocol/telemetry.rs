//! Clients' own metrics (KIP-714).

use bytes::Bytes;
use ottla_model::{ErrorCode, Uuid};
use ottla_record::Compression;
use ottla_wire::messages::*;

use crate::configs::{CLIENT_METRICS, set};
use crate::harness::*;

/// `MetricsData` with a gauge, a sum, and a histogram that nobody reads.
const METRICS: &[u8] = include_bytes!("../../../../fuzz/corpus/otlp/gauge-sum-histogram");

async fn subscribe(client: &mut Connection, id: Uuid) -> GetTelemetrySubscriptionsResponse {
    let request = GetTelemetrySubscriptionsRequest {
        client_instance_id: id,
        ..GetTelemetrySubscriptionsRequest::default()
    };
    client.ask(0, request).await
}

fn push(
    subscription: &GetTelemetrySubscriptionsResponse,
    compression: i8,
    metrics: impl Into<Bytes>,
) -> PushTelemetryRequest {
    PushTelemetryRequest {
        client_instance_id: subscription.client_instance_id,
        subscription_id: subscription.subscription_id,
        compression_type: compression,
        metrics: metrics.into(),
        ..PushTelemetryRequest::default()
    }
}

#[tokio::test]
async fn a_client_is_told_what_to_push_and_what_it_pushes_is_shown() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let nothing = subscribe(&mut client, Uuid::ZERO).await;
    assert_eq!(
        (nothing.error_code, nothing.requested_metrics.len()),
        (0, 0)
    );
    assert_eq!(nothing.push_interval_ms, 300_000);
    let again = subscribe(&mut client, nothing.client_instance_id).await;
    assert_eq!(error(again.error_code), ErrorCode::ThrottlingQuotaExceeded);

    set(&mut client, CLIENT_METRICS, "m", "interval.ms", "100").await;
    set(
        &mut client,
        CLIENT_METRICS,
        "m",
        "metrics",
        "org.apache.kafka.",
    )
    .await;
    set(&mut client, CLIENT_METRICS, "m", "match", "client_id=test").await;
    // The change lets it ask at once.
    let asked = subscribe(&mut client, nothing.client_instance_id).await;
    assert_eq!(asked.error_code, 0);
    assert_eq!(asked.client_instance_id, nothing.client_instance_id);
    assert_eq!(asked.requested_metrics, ["org.apache.kafka."]);
    assert_eq!(
        (asked.push_interval_ms, asked.telemetry_max_bytes),
        (100, 1_048_576)
    );
    assert_eq!(asked.accepted_compression_types, [4, 3, 1, 2]);
    assert!(!asked.delta_temporality);

    let answer = client.ask(0, push(&asked, 0, METRICS)).await;
    assert_eq!(answer.error_code, 0);
    let families = node.broker().client_metrics();
    let told: Vec<_> = families
        .iter()
        .map(|f| (f.name.as_str(), f.series.len(), f.series[0].value))
        .collect();
    assert_eq!(
        told,
        [("kafka_client_consumer_fetch_manager_records_lag", 2, -9.0)]
    );
    let labels = &families[0].series[1].labels;
    let label = |name: &str| {
        labels
            .iter()
            .find(|(k, _)| k == name)
            .map(|(_, v)| v.as_str())
    };
    assert_eq!(label("client_id"), Some("test"));
    assert_eq!(label("topic"), Some("orders"));
    assert_eq!(label("client_rack"), Some("r"));
    let id = nothing.client_instance_id.to_string();
    assert_eq!(label("client_instance_id"), Some(id.as_str()));
    // Others are not asked.
    let mut other = node.connect().await;
    other.client_id = "other";
    let unasked = subscribe(&mut other, Uuid::ZERO).await;
    assert!(unasked.requested_metrics.is_empty());
}

#[tokio::test]
async fn every_compression_is_read_and_what_cannot_be_read_is_refused() {
    let node = TestNode::start(&[("telemetry.max.bytes", "5000")]).await;
    let mut client = node.connect().await;
    set(&mut client, CLIENT_METRICS, "m", "metrics", "*").await;
    for codec in Compression::ALL {
        let asked = subscribe(&mut client, Uuid::ZERO).await;
        let bytes = codec.compress(METRICS, None).unwrap();
        let answer = client
            .ask(0, push(&asked, codec.id().cast_signed(), bytes))
            .await;
        assert_eq!(error(answer.error_code), ErrorCode::None, "{codec}");
    }
    assert_eq!(node.broker().telemetry().pushes, 5);
    let bomb = Compression::Zstd.compress(&[0; 1 << 20], None).unwrap();
    use ErrorCode::{InvalidRecord, TelemetryTooLarge, UnsupportedCompressionType};
    for (compression, bytes, code) in [
        (0, b"no metrics".to_vec(), InvalidRecord),
        (1, b"no gzip".to_vec(), InvalidRecord),
        (4, bomb, InvalidRecord),
        (0, vec![0; 5001], TelemetryTooLarge),
        (5, METRICS.to_vec(), UnsupportedCompressionType),
        (-1, METRICS.to_vec(), UnsupportedCompressionType),
    ] {
        let asked = subscribe(&mut client, Uuid::ZERO).await;
        let answer = client.ask(0, push(&asked, compression, bytes)).await;
        assert_eq!(error(answer.error_code), code);
    }
    assert_eq!(node.broker().telemetry().invalid, 3);
}

#[tokio::test]
async fn a_push_needs_an_id_the_right_subscription_and_patience() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    set(&mut client, CLIENT_METRICS, "m", "metrics", "*").await;
    let asked = subscribe(&mut client, Uuid::ZERO).await;
    let mut nameless = push(&asked, 0, METRICS);
    nameless.client_instance_id = Uuid::ZERO;
    let answer = client.ask(0, nameless).await;
    assert_eq!(error(answer.error_code), ErrorCode::InvalidRequest);
    let mut wrong = push(&asked, 0, METRICS);
    wrong.subscription_id ^= 1;
    let answer = client.ask(0, wrong).await;
    assert_eq!(error(answer.error_code), ErrorCode::UnknownSubscriptionId);
    let answer = client.ask(0, push(&asked, 0, METRICS)).await;
    assert_eq!(error(answer.error_code), ErrorCode::ThrottlingQuotaExceeded);
    // The last push does not wait for its time; nothing comes behind it.
    let mut last = push(&asked, 0, METRICS);
    last.terminating = true;
    assert_eq!(client.ask(0, last.clone()).await.error_code, 0);
    let answer = client.ask(0, last).await;
    assert_eq!(error(answer.error_code), ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn nobody_is_asked_to_push_what_nobody_can_see() {
    let node = TestNode::start(&[("ottla.http.listener", "")]).await;
    let mut client = node.connect().await;
    let answer = client.ask(
        4,
        ApiVersionsRequest {
            client_software_name: "tests".into(),
            client_software_version: "1.0".into(),
            ..ApiVersionsRequest::default()
        },
    );
    let answer = answer.await;
    assert!(
        answer
            .api_keys
            .iter()
            .all(|k| ![71, 72].contains(&k.api_key))
    );
    client
        .send(0, GetTelemetrySubscriptionsRequest::default())
        .await;
    assert!(client.is_closed().await);
}
