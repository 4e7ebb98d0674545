//! Slow, silent, broken and greedy peers hurt only themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use ottla_security::quota::Window;
use ottla_wire::messages::{ApiVersionsRequest, MetadataRequest, RequestHeader};
use ottla_wire::{ApiKey, Reader, Request, Response, decode_response_header, encode_request};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use super::harness::{options, request, response, start, start_echo, until};
use crate::error::Ended;
use crate::first_bytes::Guess;
use crate::{Closed, ConnectionLimits, IpCreationRates, Options, Outcome, Refused};

#[tokio::test]
async fn a_request_that_trickles_in_is_cut_off() {
    let node = start_echo(Options {
        stall_timeout: Duration::from_millis(40),
        ..options()
    })
    .await;
    let whole = request(1, &[7; 10_000]);
    // Within the length, within a small frame, within a long one.
    for sent in [2, 30, 9_000] {
        let mut client = node.connect().await;
        let part = if sent == 30 {
            request(1, &[7; 100]).slice(..30)
        } else {
            whole.slice(..sent)
        };
        client.send(&part).await;
        client.is_closed().await;
    }
    // One byte at a time is no progress either.
    let mut client = node.connect().await;
    for byte in &whole[..200] {
        if client.0.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    client.is_closed().await;
    until(|| node.closed(Closed::Stalled) == 4).await;
    until(|| node.handle.request_memory_used_bytes() == 0).await;
    node.connect().await.is_served().await;
}

#[tokio::test]
async fn silence_closes_a_connection_but_not_while_a_request_is_in_work() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let idle_timeout = Duration::from_millis(150);
    let limits = Options {
        idle_timeout,
        ..options()
    };
    let node = start(limits, move |id, payload| {
        let gate = Arc::clone(&held);
        Outcome::later(async move {
            gate.acquire().await.unwrap().forget();
            response(id, payload).into()
        })
    })
    .await;
    let mut silent = node.connect().await;
    let mut waiting = node.connect().await;
    waiting.request(5, b"x").await;
    silent.is_closed().await;
    assert_eq!(node.closed(Closed::Idle), 1);
    tokio::time::sleep(idle_timeout * 4).await;
    gate.add_permits(1);
    assert_eq!(waiting.reply().await.unwrap().0, 5);
    waiting.is_closed().await;
    until(|| node.closed(Closed::Idle) == 2).await;
}

#[tokio::test]
async fn a_flood_from_one_address_leaves_room_for_others() {
    let node = start_echo(Options {
        max_connections_per_ip: 2,
        ..options()
    })
    .await;
    let (mut first, mut second) = (node.connect().await, node.connect().await);
    first.is_served().await;
    second.is_served().await;
    for _ in 0..20 {
        node.connect().await.is_closed().await;
    }
    node.connect_from("127.0.0.2").await.is_served().await;
    first.is_served().await;
    assert_eq!(
        node.handle.probe().listeners()[0].refused(Refused::PerIp),
        20
    );
    drop(second);
    until(|| node.closed(Closed::Peer) == 2).await;
    node.connect().await.is_served().await;
}

#[tokio::test]
async fn more_connections_than_allowed_are_refused() {
    let node = start_echo(Options {
        max_connections: 1,
        ..options()
    })
    .await;
    let mut first = node.connect().await;
    first.is_served().await;
    node.connect_from("127.0.0.3").await.is_closed().await;
    first.is_served().await;
    assert_eq!(
        node.handle.probe().listeners()[0].refused(Refused::Total),
        1
    );
}

#[tokio::test]
async fn strangers_and_wrong_lengths_are_closed() {
    let node = start_echo(Options {
        max_frame_bytes: 1000,
        ..options()
    })
    .await;
    let starts: [&[u8]; 6] = [
        &(-1i32).to_be_bytes(),
        &i32::MIN.to_be_bytes(),
        &1001i32.to_be_bytes(),
        &[0x16, 3, 1, 0, 0xc8, 1],
        b"GET /metrics HTTP/1.1\r\n",
        &0i32.to_be_bytes(),
    ];
    for start in starts {
        let mut client = node.connect().await;
        client.send(start).await;
        client.is_closed().await;
    }
    until(|| node.closed(Closed::Malformed) == 6).await;
    let mut client = node.connect().await;
    client.request(1, &[1; 900]).await;
    assert_eq!(client.reply().await.unwrap().1.len(), 900);
}

#[test]
fn reasons_are_in_plain_words() {
    let text = |bytes: [u8; 4]| {
        let length = i32::from_be_bytes(bytes);
        Ended::length(length, 10, "socket.request.max.bytes", Guess::of(bytes)).to_string()
    };
    assert!(text([0x16, 3, 1, 0]).contains("speaks TLS"));
    assert!(text(*b"GET ").contains("speaks HTTP"));
    assert!(text(*b"ruok").contains("\"ruok\""));
    assert!(text((-5i32).to_be_bytes()).contains("-5 bytes"));
    let large = text(11i32.to_be_bytes());
    assert!(large.contains("11 bytes is larger than the 10 of socket.request.max.bytes"));
}

#[tokio::test]
async fn a_request_beyond_the_memory_budget_is_refused() {
    let node = start_echo(Options {
        memory_budget_bytes: 5_000,
        ..options()
    })
    .await;
    let mut client = node.connect().await;
    client.send(&5_001i32.to_be_bytes()).await;
    client.is_closed().await;
    assert_eq!(node.closed(Closed::Malformed), 1);
}

/// A fixed sequence of numbers that look random (xorshift).
fn noise(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[tokio::test]
async fn garbage_closes_its_own_connection_only() {
    let node = start_echo(options()).await;
    let mut good = node.connect().await;
    let mut next = noise(42);
    for _ in 0..200 {
        let mut client = node.connect().await;
        let size = next() as usize % 300;
        let body: Vec<u8> = (0..size).map(|_| next() as u8).collect();
        let length = u32::try_from(size).unwrap().to_be_bytes();
        // The server may close before everything is sent.
        drop(client.0.write_all(&[&length[..], &body].concat()).await);
        drop(client.0.shutdown().await);
        // An answer is possible, for ApiVersions in an unknown version.
        while client.frame().await.is_some() {}
        good.is_served().await;
    }
}

#[tokio::test]
async fn mutated_requests_never_take_the_server_down() {
    let node = start_echo(options()).await;
    let (mut good, mut next) = (node.connect().await, noise(7));
    for round in 0..300 {
        let mut bytes = request(round, b"some payload").to_vec();
        for _ in 0..1 + next() % 3 {
            let at = 4 + next() as usize % (bytes.len() - 4);
            bytes[at] = next() as u8;
        }
        let mut client = node.connect().await;
        drop(client.0.write_all(&bytes).await);
        drop(client.0.shutdown().await);
        while client.frame().await.is_some() {}
    }
    good.is_served().await;
}

#[tokio::test]
async fn unknown_apis_and_versions_close_after_the_earlier_replies() {
    let node = start_echo(options()).await;
    let metadata = encode_request(
        &RequestHeader::new(ApiKey::Metadata, 9, 2, Some("old".into())),
        &MetadataRequest::default().into(),
    );
    let metadata = metadata.unwrap().to_bytes();
    let mut unknown_key = request(2, b"").to_vec();
    unknown_key[4..6].copy_from_slice(&9999i16.to_be_bytes());
    let mut unknown_version = request(2, b"").to_vec();
    unknown_version[6..8].copy_from_slice(&99i16.to_be_bytes());
    for bad in [metadata.to_vec(), unknown_key, unknown_version] {
        let mut client = node.connect().await;
        client
            .send(&[request(1, b"good").to_vec(), bad].concat())
            .await;
        assert_eq!(client.reply().await.unwrap().0, 1);
        client.is_closed().await;
    }
    until(|| node.closed(Closed::Unsupported) == 3).await;
    assert_eq!(node.handle.probe().api(ApiKey::Metadata).errors(), 1);
}

#[tokio::test]
async fn api_versions_of_the_future_gets_an_answer() {
    let node = start_echo(options()).await;
    let mut client = node.connect().await;
    let header = RequestHeader::new(ApiKey::ApiVersions, 3, 9, Some("new".into()));
    let body = Request::from(ApiVersionsRequest::default());
    let mut bytes = encode_request(&header, &body).unwrap().to_bytes().to_vec();
    bytes[6..8].copy_from_slice(&77i16.to_be_bytes());
    client.send(&bytes).await;
    let mut reader = Reader::new(client.frame().await.unwrap());
    let header = decode_response_header(ApiKey::ApiVersions, 0, &mut reader).unwrap();
    assert_eq!(header.correlation_id, 9);
    match Response::decode(ApiKey::ApiVersions, 0, &mut reader).unwrap() {
        Response::ApiVersions(body) => assert_eq!(body.error_code, 35),
        other => panic!("{other:?}"),
    }
    client.is_served().await;
}

#[tokio::test]
async fn a_peer_that_never_reads_is_bounded_and_then_closed() {
    const REPLY: usize = 1 << 20;
    let replies = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&replies);
    let node = start(
        Options {
            stall_timeout: Duration::from_millis(300),
            max_queued_reply_bytes: 2 * REPLY,
            ..options()
        },
        move |id, payload| {
            if payload.as_ref() == b"ping" {
                return response(id, payload).into();
            }
            counted.fetch_add(1, SeqCst);
            response(id, vec![0; REPLY]).into()
        },
    )
    .await;
    let mut greedy = node.connect().await;
    let all: Vec<u8> = (0..64).flat_map(|id| request(id, b"more")).collect();
    greedy.send(&all).await;
    node.connect().await.is_served().await;
    until(|| node.closed(Closed::Stalled) == 1).await;
    // What the system buffers, what waits, and one that is being written.
    let made = replies.load(SeqCst);
    assert!((3..40).contains(&made), "{made} replies were made");
}

#[tokio::test]
async fn requests_in_memory_exceed_the_budget_by_one_at_most() {
    const BUDGET: usize = 100_000;
    const MOST: usize = BUDGET + 30_000;
    let (gate, in_work) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let most = Arc::new(AtomicUsize::new(0));
    let (gate_in, now, most_in) = (Arc::clone(&gate), Arc::clone(&in_work), Arc::clone(&most));
    let node = start(
        Options {
            memory_budget_bytes: BUDGET,
            ..options()
        },
        move |id, payload: Bytes| {
            let size = payload.len();
            most_in.fetch_max(now.fetch_add(size, SeqCst) + size, SeqCst);
            let (gate, now) = (Arc::clone(&gate_in), Arc::clone(&now));
            Outcome::later(async move {
                drop(gate.acquire().await.unwrap());
                now.fetch_sub(size, SeqCst);
                drop(payload);
                response(id, Bytes::new()).into()
            })
        },
    )
    .await;
    let mut clients = Vec::new();
    for n in 0..8 {
        let mut client = node.connect().await;
        clients.push(tokio::spawn(async move {
            for id in 0..5 {
                client.request(id, &vec![n; 30_000]).await;
            }
            for id in 0..5 {
                assert_eq!(client.reply().await.unwrap().0, id);
            }
        }));
    }
    until(|| in_work.load(SeqCst) == 120_000).await;
    assert!(node.handle.request_memory_used_bytes() <= BUDGET);
    gate.add_permits(1);
    for client in clients {
        client.await.unwrap();
    }
    assert!(most.load(SeqCst) <= MOST, "{}", most.load(SeqCst));
    until(|| node.handle.request_memory_used_bytes() == 0).await;
}

#[tokio::test]
async fn announced_requests_that_do_not_come_hold_up_nobody() {
    let node = start_echo(Options {
        memory_budget_bytes: 3 << 20,
        max_frame_bytes: 2 << 20,
        stall_timeout: Duration::from_secs(60),
        ..options()
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        let mut client = node.connect().await;
        client.send(&(2u32 << 20).to_be_bytes()).await;
        silent.push(client);
    }
    // Their announcements are in: each holds a first piece of room, and no more.
    until(|| node.handle.request_memory_used_bytes() == 40 * (16 << 10)).await;
    let mut client = node.connect().await;
    client.request(1, b"small").await;
    assert_eq!(client.reply().await.unwrap().0, 1);
    client.request(2, &vec![7; 1 << 20]).await;
    assert_eq!(client.reply().await.unwrap().0, 2);
    drop(silent);
}

#[tokio::test]
async fn an_address_that_connects_too_fast_is_held_and_closed_and_others_are_served() {
    let node = start_echo(Options {
        rate_window: Window::new(2, 1),
        ..options()
    })
    .await;
    let (slow, other) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
    let by_ip = [(slow, 1), (other, 1_000_000)];
    node.handle.set_ip_creation_rates(IpCreationRates {
        default: None,
        by_ip: by_ip.into(),
    });
    let refused = || node.handle.probe().listeners()[0].refused(Refused::IpRate);
    let mut flood = Vec::new();
    while refused() == 0 {
        flood.push(node.connect().await);
        tokio::task::yield_now().await;
    }
    node.connect_from("127.0.0.2").await.is_served().await;
    node.handle
        .set_ip_creation_rates(IpCreationRates::default());
    let last = node.connect().await;
    flood.push(last);
    flood.last_mut().unwrap().is_served().await;
    // Those that were refused are closed in the end, and no other.
    let mut closed = 0;
    for client in &mut flood {
        // The connection may be gone already.
        client.0.write_all(&request(77, b"ping")).await.ok();
        closed += u64::from(client.reply().await.is_none());
    }
    assert_eq!(closed, refused());
}

#[tokio::test]
async fn accepting_rests_when_too_many_connections_come_and_all_are_served() {
    let node = start_echo(Options {
        rate_window: Window::new(2, 1),
        max_connection_creation_rate: Some(1),
        ..options()
    })
    .await;
    let delayed = || node.handle.probe().listeners()[0].delayed().0;
    let mut clients = Vec::new();
    while delayed() == 0 {
        clients.push(node.connect().await);
        tokio::task::yield_now().await;
    }
    let limits = ConnectionLimits {
        creation_rate: None,
        ..options().connection_limits()
    };
    node.handle.set_connection_limits(limits);
    for client in &mut clients {
        client.is_served().await;
    }
}
