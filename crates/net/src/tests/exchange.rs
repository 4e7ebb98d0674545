//! Requests and replies: order, pipelining, sizes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use ottla_runtime::Runtime;
use ottla_wire::ApiKey;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, oneshot};

use super::harness::{options, request, response, start, start_echo, until};
use crate::frames::FrameReader;
use crate::limits::MemoryBudget;
use crate::{Closed, Options, Outcome, Reply};

#[tokio::test]
async fn replies_leave_in_request_order_whatever_finishes_first() {
    let gates: HashMap<i32, _> = (0..5).map(|id| (id, oneshot::channel::<()>())).collect();
    let (mut open, mut wait) = (HashMap::new(), HashMap::new());
    for (id, (tx, rx)) in gates {
        open.insert(id, tx);
        wait.insert(id, rx);
    }
    let (wait, seen) = (Mutex::new(wait), Arc::new(Mutex::new(Vec::new())));
    let entered = Arc::clone(&seen);
    let node = start(options(), move |id, payload| {
        entered.lock().push(id);
        let Some(gate) = wait.lock().remove(&id) else {
            return response(id, payload).into();
        };
        Outcome::later(async move {
            gate.await.unwrap();
            response(id, payload).into()
        })
    })
    .await;
    let mut client = node.connect().await;
    for id in 0..8 {
        client.request(id, &[id as u8]).await;
    }
    // All are in work although none has been answered.
    until(|| seen.lock().len() == 8).await;
    assert_eq!(*seen.lock(), (0..8).collect::<Vec<_>>());
    for id in [3, 4, 1, 2, 0] {
        open.remove(&id).unwrap().send(()).unwrap();
    }
    for id in 0..8 {
        let expected = Bytes::copy_from_slice(&[id as u8]);
        assert_eq!(client.reply().await, Some((id, expected)));
    }
    until(|| {
        let api = node.handle.probe().api(ApiKey::SaslAuthenticate);
        api.requests() == 8 && api.latency().counts().iter().sum::<u64>() == 8
    })
    .await;
}

#[tokio::test]
async fn no_more_requests_are_in_work_than_allowed() {
    let limits = Options {
        max_in_flight: 3,
        ..options()
    };
    let gate = Arc::new(Semaphore::new(0));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now_in, most_in, gate_in) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
    let node = start(limits, move |id, payload| {
        most_in.fetch_max(now_in.fetch_add(1, SeqCst) + 1, SeqCst);
        let (gate, now) = (Arc::clone(&gate_in), Arc::clone(&now_in));
        Outcome::later(async move {
            gate.acquire().await.unwrap().forget();
            now.fetch_sub(1, SeqCst);
            response(id, payload).into()
        })
    })
    .await;
    let mut client = node.connect().await;
    for id in 0..20 {
        client.request(id, b"").await;
    }
    until(|| now.load(SeqCst) == 3).await;
    gate.add_permits(20);
    for id in 0..20 {
        assert_eq!(client.reply().await.unwrap().0, id);
    }
    assert_eq!(most.load(SeqCst), 3);
}

#[tokio::test]
async fn payloads_of_all_sizes_come_back_unchanged() {
    let node = start_echo(options()).await;
    let mut client = node.connect().await;
    for (id, size) in [0, 1, 4000, 4090, 4096, 4100, 70_000, 1 << 20, 5_000_000, 3]
        .into_iter()
        .enumerate()
    {
        let payload: Vec<u8> = (0..size).map(|i| (i * 7 + id) as u8).collect();
        client.request(id as i32, &payload).await;
        let (reply_id, echoed) = client.reply().await.unwrap();
        assert_eq!(reply_id, id as i32);
        assert!(echoed == payload, "size {size}");
    }
    let listener = &node.handle.probe().listeners()[0];
    assert!(listener.bytes_in() > 6_000_000);
    until(|| listener.bytes_out() > 6_000_000).await;
    until(|| node.handle.request_memory_used_bytes() == 0).await;
}

#[tokio::test]
async fn frames_are_the_same_however_the_bytes_arrive() {
    let sizes = [0usize, 1, 3, 100, 4096, 4097, 9000, 5, 30_000, 2];
    let bodies: Vec<Vec<u8>> = sizes
        .iter()
        .enumerate()
        .map(|(n, size)| vec![n as u8; *size])
        .collect();
    let mut bytes = Vec::new();
    for body in &bodies {
        bytes.extend((body.len() as u32).to_be_bytes());
        bytes.extend(body);
    }
    for piece in [1, 2, 3, 7, 64, 4095, 4096, 4097, 20_000, 100_000] {
        let (mut near, far) = tokio::io::duplex(piece);
        let all = bytes.clone();
        let sending = tokio::spawn(async move { near.write_all(&all).await });
        let mut frames = FrameReader::new(far, Runtime::real().clock, &options());
        let budget = MemoryBudget::new(1_000_000);
        for body in &bodies {
            let length = frames.length(|| true).await.unwrap().unwrap();
            let (read, _room) = frames.body(length, &budget).await.unwrap();
            assert!(read == *body, "piece {piece}");
        }
        assert!(frames.length(|| true).await.unwrap().is_none());
        sending.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_request_without_a_reply_leaves_no_gap() {
    let node = start(options(), |id, payload| match id {
        1 => Reply::Nothing.into(),
        2 => Outcome::later(async { Reply::Nothing }),
        id => response(id, payload).into(),
    })
    .await;
    let mut client = node.connect().await;
    for id in 0..4 {
        client.request(id, b"").await;
    }
    assert_eq!(client.reply().await.unwrap().0, 0);
    assert_eq!(client.reply().await.unwrap().0, 3);
}

#[tokio::test]
async fn a_peer_that_ends_its_side_still_gets_its_replies() {
    let node = start(options(), |id, payload| {
        Outcome::later(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            response(id, payload).into()
        })
    })
    .await;
    let mut client = node.connect().await;
    for id in 0..3 {
        client.request(id, b"last words").await;
    }
    client.0.shutdown().await.unwrap();
    for id in 0..3 {
        assert_eq!(client.reply().await.unwrap().0, id);
    }
    client.is_closed().await;
    until(|| node.closed(Closed::Peer) == 1).await;
    assert_eq!(node.handle.probe().listeners()[0].open(), 0);
}

#[tokio::test]
async fn a_close_comes_after_the_earlier_replies() {
    let node = start(options(), |id, payload| match id {
        2 => Reply::Close("enough".into()).into(),
        id => Outcome::later(async move { response(id, payload).into() }),
    })
    .await;
    let mut client = node.connect().await;
    let all = [request(0, b"a"), request(1, b"b"), request(2, b"c")].concat();
    client.send(&all).await;
    assert_eq!(client.reply().await.unwrap().0, 0);
    assert_eq!(client.reply().await.unwrap().0, 1);
    client.is_closed().await;
    until(|| node.closed(Closed::Dispatch) == 1).await;
}

#[tokio::test]
async fn two_listeners_serve_and_tell_their_ports() {
    let mut two = options();
    two.listeners.push(crate::ListenerOptions {
        name: "INTERNAL".into(),
        bind_host: "127.0.0.1".into(),
        port: 0,
    });
    let node = start_echo(two).await;
    assert_eq!(node.handle.local_addrs().count(), 2);
    let internal = node.handle.local_addr("INTERNAL").unwrap();
    assert_ne!(internal, node.address());
    let stream = tokio::net::TcpStream::connect(internal).await.unwrap();
    super::harness::Client(stream).is_served().await;
    node.connect().await.is_served().await;
    let accepted: Vec<u64> = node
        .handle
        .probe()
        .listeners()
        .iter()
        .map(|l| l.accepted())
        .collect();
    assert_eq!(accepted, [1, 1]);
}
