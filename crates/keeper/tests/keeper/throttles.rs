//! What holds clients back.

use std::time::Duration;

use ottla_config::{ConnectionThrottle, FourLetterWords, KeeperConfig};
use ottla_jute::{ErrorCode, Request};
use ottla_keeper::monitor::Value;

use crate::harness::{Client, PATIENCE, TestServer};

fn counted(server: &TestServer, name: &str) -> u64 {
    let reading = server.handle.reading();
    let metric = reading.metrics.iter().find(|metric| metric.name == name);
    match &metric.unwrap_or_else(|| panic!("{name} is missing")).value {
        Value::Counter(number) => *number,
        Value::Summary { read, .. } => read.count,
        Value::Gauge(number) => number.as_f64() as u64,
    }
}

fn set(path: &str, bytes: usize) -> Request {
    Request::SetData(ottla_jute::SetData {
        path: path.to_owned(),
        data: Some(vec![b'x'; bytes].into()),
        version: -1,
    })
}

/// Sends many writes at once; what each of them was answered.
async fn many(client: &mut Client, count: usize) -> Vec<Result<(), ErrorCode>> {
    let request = set("/n", 10);
    let mut sent = Vec::new();
    for _ in 0..count {
        sent.push(client.send(&request).await);
    }
    let mut answers = Vec::new();
    for xid in sent {
        answers.push(client.reply_to(xid, request.op_code()).await.map(drop));
    }
    answers
}

#[tokio::test]
async fn clients_beyond_the_bucket_are_turned_away() {
    let throttled = |config: &mut KeeperConfig| {
        config.limits.connection_throttle = Some(ConnectionThrottle {
            tokens: 2,
            fill_time_ms: 3_600_000,
            fill_count: 1,
            freeze_time_ms: None,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
            weight_enabled: false,
            global_session_weight: 3,
            renew_session_weight: 2,
        });
    };
    let server = TestServer::with(throttled).await;
    let mut first = server.client().await;
    let mut second = server.client().await;
    for _ in 0..3 {
        let stream = server.connection().await;
        assert!(Client::connect(stream, 10_000, None).await.is_none());
    }
    first.create("/a", "", 0).await.unwrap();
    assert!(second.exists("/a", false).await);
    assert_eq!(counted(&server, "connection_rejected"), 3);
    assert_eq!(counted(&server, "connection_request_count"), 2);
    assert_eq!(counted(&server, "connection_token_deficit"), 2);
    server.stop().await;
}

#[tokio::test]
async fn with_few_outstanding_requests_all_are_answered_in_order() {
    let narrow = |config: &mut KeeperConfig| config.limits.outstanding_requests_max = 1;
    let server = TestServer::with(narrow).await;
    let mut one = server.client().await;
    let mut other = server.client().await;
    one.create("/n", "", 0).await.unwrap();
    let both = async { tokio::join!(many(&mut one, 500), many(&mut other, 500)) };
    let (one, other) = tokio::time::timeout(PATIENCE, both)
        .await
        .expect("nobody starves");
    assert!(one.iter().chain(&other).all(Result::is_ok));
    assert_eq!(counted(&server, "outstanding_requests"), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_large_request_too_much_ends_its_connection() {
    let narrow = |config: &mut KeeperConfig| {
        config.limits.large_request_threshold_bytes = Some(1_000);
        config.limits.large_requests_bytes_max = 10_000;
    };
    let server = TestServer::with(narrow).await;
    let mut client = server.client().await;
    client.create("/n", "", 0).await.unwrap();
    for _ in 0..20 {
        client
            .ask(set("/n", 9_000))
            .await
            .expect("each has the room of the one before");
    }
    assert_eq!(
        client.ask(set("/n", 10_000)).await,
        Err(ErrorCode::ConnectionLoss)
    );
    assert_eq!(counted(&server, "large_requests_rejected"), 1);
    let mut again = server.client().await;
    again
        .ask(set("/n", 9_000))
        .await
        .expect("the room was given back");
    server.stop().await;
}

#[tokio::test]
async fn requests_wait_for_the_throttle_and_are_all_carried_out() {
    let narrow = |config: &mut KeeperConfig| {
        config.limits.request_throttle.requests_max = Some(1);
        config.limits.request_throttle.stall_time_ms = 50;
    };
    let server = TestServer::with(narrow).await;
    let mut client = server.client().await;
    client.create("/n", "", 0).await.unwrap();
    assert!(many(&mut client, 50).await.iter().all(Result::is_ok));
    assert!(counted(&server, "request_throttle_wait_count") > 0);
    assert_eq!(counted(&server, "request_throttle_queue_time_ms"), 51);
    assert_eq!(counted(&server, "throttled_ops"), 0);
    server.stop().await;
}

#[tokio::test]
async fn requests_that_have_waited_too_long_are_told_so_in_their_turn() {
    let narrow = |config: &mut KeeperConfig| {
        let throttle = &mut config.limits.request_throttle;
        throttle.requests_max = Some(1);
        throttle.stall_time_ms = 50;
        throttle.throttled_wait_ms = Some(1);
    };
    let server = TestServer::with(narrow).await;
    let mut client = server.client().await;
    client.create("/n", "", 0).await.unwrap();
    let answers = many(&mut client, 300).await;
    let refused = answers.iter().filter(|answer| answer.is_err());
    let refused: Vec<_> = refused.collect();
    assert!(
        !refused.is_empty(),
        "300 flushes take longer than a millisecond"
    );
    assert!(
        refused
            .iter()
            .all(|answer| **answer == Err(ErrorCode::ThrottledOp))
    );
    assert_eq!(counted(&server, "throttled_ops"), refused.len() as u64);
    let carried_out = answers.iter().filter(|answer| answer.is_ok()).count();
    let version = client.set("/n", "x").await;
    if let Ok(version) = version {
        assert_eq!(usize::try_from(version).unwrap(), carried_out + 1);
    }
    client
        .ask(Request::CloseSession)
        .await
        .expect("that is never refused");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_no_request_in_work() {
    let words = |config: &mut KeeperConfig| config.four_letter_words = FourLetterWords::All;
    let server = TestServer::with(words).await;
    let mut steady = server.client().await;
    steady.create("/n", "", 0).await.unwrap();
    for _ in 0..20 {
        let mut client = server.client().await;
        for _ in 0..50 {
            client.send(&set("/n", 10)).await;
        }
        drop(client);
    }
    let began = std::time::Instant::now();
    while counted(&server, "outstanding_requests") > 0 {
        assert!(
            began.elapsed() < PATIENCE,
            "requests of nobody stay in work"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.stop().await;
}
