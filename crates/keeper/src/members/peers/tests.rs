use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_model::Uuid;
use ottla_runtime::net::Stream;
use ottla_runtime::{Runtime, Shutdown};

use super::*;
use crate::members::fixture::{directory, here, local};
use crate::members::frames::{FrameReader, outbox, write_frames, write_one};
use crate::members::hello::{ANSWER_BYTES_MAX, Hello, HelloAnswer, Introduction};

const ENSEMBLE: Uuid = Uuid([9; 16]);
const LIMIT: Duration = Duration::from_secs(20);

/// Server 2, as far as the test wants it: what it does with its n-th connection after the greeting.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Nothing comes back any more, and nothing is read.
    Dead,
    /// Each message is its own answer; those with a 0 in front have to wait for the next one.
    Echo,
}

impl Server {
    async fn start(runtime: &Runtime, manner: fn(usize) -> Manner) -> Server {
        let listener = runtime.network.listen("127.0.0.1", 0).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (here, counter) = (
            here(runtime, 2, Some(ENSEMBLE)).await,
            Arc::clone(&connections),
        );
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let manner = manner(counter.fetch_add(1, Ordering::SeqCst));
                tokio::spawn(serve(Arc::clone(&here), stream, manner));
            }
        });
        Server { port, connections }
    }

    fn member(&self) -> Member {
        Member {
            endpoints: vec![local(self.port)],
            directory_id: directory(2),
        }
    }
}

async fn serve(here: Arc<Here>, stream: Stream, manner: Manner) {
    let (read, mut writer) = tokio::io::split(stream);
    let clock = here.runtime.clock.clone();
    let mut reader = FrameReader::new(read, &clock, ANSWER_BYTES_MAX, LIMIT);
    let hello = Hello::decode(reader.next().await.unwrap()).unwrap();
    assert_eq!((hello.from, hello.to, hello.purpose), (1, 2, Purpose::Raft));
    let introduction = Introduction {
        id: 2,
        ensemble_id: Some(ENSEMBLE),
        ..Introduction::default()
    };
    let answer = HelloAnswer::Accepted(Box::new(introduction)).encode();
    write_one(&mut writer, &answer).await.unwrap();
    if manner == Manner::Dead {
        return std::future::pending().await;
    }
    reader.set_limits(1 << 20, LIMIT);
    let (outbox, end) = outbox(1 << 20);
    let echoing = async move {
        let mut held = None;
        while let Ok(mut message) = reader.next().await {
            let number = bytes::Buf::get_u64(&mut message);
            if message.first() == Some(&0) && held.is_none() {
                held = Some((number, message));
                continue;
            }
            for (number, message) in [Some((number, message)), held.take()].into_iter().flatten() {
                let room = outbox.room(message.len()).await.unwrap();
                outbox.put(room, Some(number), message);
            }
        }
    };
    let beat = here.beat();
    let (_, ()) = tokio::join!(write_frames(writer, end, &clock, beat), echoing);
}

async fn transport(runtime: &Runtime) -> PeerTransport {
    PeerTransport::new(&here(runtime, 1, Some(ENSEMBLE)).await)
}

#[tokio::test]
async fn many_calls_share_a_connection_and_answers_may_overtake() {
    let runtime = Runtime::real();
    let server = Server::start(&runtime, |_| Manner::Echo).await;
    let (transport, member) = (transport(&runtime).await, server.member());
    let message = |at: u8| Bytes::from(vec![at; 1 + usize::from(at) * 500]);
    let calls = (0..=255_u8).map(|at| transport.call(2, &member, message(at)));
    let answers = futures_util::future::join_all(calls);
    let answers = tokio::time::timeout(LIMIT, answers).await.unwrap();
    for (at, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer, Ok(message(at as u8)));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    runtime.tasks.stop().await;
}

#[tokio::test]
async fn a_dead_connection_is_left_although_each_message_is_given_up_sooner() {
    let runtime = Runtime::real();
    let server = Server::start(&runtime, |n| [Manner::Dead, Manner::Echo][n.min(1)]).await;
    let (transport, member) = (transport(&runtime).await, server.member());
    let asking = async {
        loop {
            let call = transport.call(2, &member, Bytes::from_static(b"heartbeat"));
            // A heartbeat is worth nothing when the next one is due.
            let answer = tokio::time::timeout(Duration::from_millis(50), call).await;
            if let Ok(Ok(answer)) = answer {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(LIMIT, asking).await;
    let answer = answer.expect("the dead connection is used for ever");
    assert_eq!(answer, Bytes::from_static(b"heartbeat"));
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    runtime.tasks.stop().await;
}

#[tokio::test]
async fn those_who_wait_learn_of_a_dead_connection() {
    let runtime = Runtime::real();
    let server = Server::start(&runtime, |_| Manner::Dead).await;
    let (transport, member) = (transport(&runtime).await, server.member());
    let call = transport.call(2, &member, Bytes::from_static(b"vote"));
    let answer = tokio::time::timeout(LIMIT, call).await.unwrap();
    let Err(TransportError::Other(reason)) = answer else {
        panic!("{answer:?}");
    };
    assert!(reason.contains("nothing was heard"), "{reason}");
    runtime.tasks.stop().await;
}

#[tokio::test]
async fn a_port_that_refuses_is_told_apart_and_left_in_peace_for_a_while() {
    let runtime = Runtime::real();
    let listener = runtime.network.listen("127.0.0.1", 0).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let transport = transport(&runtime).await;
    let member = Member {
        endpoints: vec![local(port)],
        directory_id: directory(2),
    };
    let call = || transport.call(2, &member, Bytes::from_static(b"vote"));
    for _ in 0..100 {
        let answer = call().await;
        assert!(
            matches!(answer, Err(TransportError::Refused(_))),
            "{answer:?}"
        );
    }
    let failures = transport.peers.lock().attempts[&2].failures;
    assert!((1..20).contains(&failures), "{failures} attempts were made");
    // It has come up and says so by calling.
    transport.heard(2);
    assert!(transport.peers.lock().attempts[&2].rest_until.is_none());
    runtime.tasks.stop().await;
}

#[tokio::test]
async fn the_addresses_of_a_server_are_tried_in_turn() {
    let runtime = Runtime::real();
    let server = Server::start(&runtime, |_| Manner::Echo).await;
    let closed = runtime.network.listen("127.0.0.1", 0).await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let mut member = server.member();
    member.endpoints.insert(0, local(port));
    let transport = transport(&runtime).await;
    let answer = transport.call(2, &member, Bytes::from_static(b"hi")).await;
    assert_eq!(answer, Ok(Bytes::from_static(b"hi")));
    // A server that has moved is called where it is now.
    let elsewhere = Server::start(&runtime, |_| Manner::Echo).await;
    let moved = elsewhere.member();
    let answer = transport.call(2, &moved, Bytes::from_static(b"hi")).await;
    assert_eq!(answer, Ok(Bytes::from_static(b"hi")));
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 1);
    let nowhere = Member {
        endpoints: Vec::new(),
        directory_id: directory(2),
    };
    let answer = transport.call(2, &nowhere, Bytes::new()).await;
    assert!(
        matches!(answer, Err(TransportError::Unreachable(_))),
        "{answer:?}"
    );
    runtime.tasks.stop().await;
}

#[tokio::test]
async fn a_stop_ends_calls_that_wait() {
    let runtime = Runtime::real();
    let server = Server::start(&runtime, |_| Manner::Dead).await;
    let (transport, member) = (transport(&runtime).await, server.member());
    let shutdown: Shutdown = runtime.shutdown().clone();
    let call = transport.call(2, &member, Bytes::from_static(b"vote"));
    let stopping = async {
        while server.connections.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        shutdown.announce();
    };
    let (answer, ()) = tokio::join!(call, stopping);
    assert!(answer.unwrap_err().to_string().contains("stopping"));
    runtime.tasks.stop().await;
}
