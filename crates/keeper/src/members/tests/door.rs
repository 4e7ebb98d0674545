//! Strangers at the port of the servers.

use std::sync::Arc;
use std::time::Duration;

use ottla_model::Uuid;
use ottla_raft::{Member, TransportError};
use ottla_runtime::Runtime;
use ottla_runtime::net::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::within;
use crate::members::dial::dial;
use crate::members::door::Reception;
use crate::members::fixture::{here, local};
use crate::members::frames::write_one;
use crate::members::hello::{HelloAnswer, Purpose};
use crate::members::here::Here;
use crate::members::peers::PeerTransport;

const ENSEMBLE: Uuid = Uuid([1; 16]);
const OTHER: Uuid = Uuid([2; 16]);

/// Server 2 with its port.
struct Server {
    runtime: Runtime,
    port: u16,
}

impl Server {
    async fn start(ensemble_id: Option<Uuid>) -> Server {
        let runtime = Runtime::real();
        let here = here(&runtime, 2, ensemble_id).await;
        let listener = runtime.network.listen("127.0.0.1", 0).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let reception = Reception::new(&here, &PeerTransport::new(&here));
        runtime.tasks.run("door", reception.door(listener));
        Server { runtime, port }
    }

    async fn connect(&self) -> Stream {
        let limit = Duration::from_secs(5);
        let network = self.runtime.network;
        network
            .connect("127.0.0.1", self.port, limit)
            .await
            .unwrap()
    }

    async fn call(&self, from: &Arc<Here>, purpose: Purpose) -> Result<u64, TransportError> {
        let dialed = dial(from, 2, &[local(self.port)], purpose).await;
        dialed.map(|dialed| dialed.introduction.id)
    }
}

/// All that comes back until the connection is closed.
async fn rest_of(mut stream: Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Closing with unread bytes resets the connection, which is an end, too.
    drop(within("the end of a connection", stream.read_to_end(&mut bytes)).await);
    bytes
}

#[tokio::test]
async fn hostile_bytes_close_their_connection_and_nothing_else() {
    let server = Server::start(Some(ENSEMBLE)).await;
    let friend = here(&server.runtime, 1, Some(ENSEMBLE)).await;
    let mut noise = vec![0; 300];
    for (at, byte) in noise.iter_mut().enumerate() {
        *byte = (server.runtime.random.below(256) as u8) ^ (at as u8);
    }
    let whole = friend.hello(2, Purpose::Meet).encode();
    let mut long = (whole.len() as u32).to_be_bytes().to_vec();
    long.extend(&whole);
    // An introduced stranger that asks nonsense.
    long.extend([0, 0, 0, 3, 9, 9, 9]);
    let attacks: Vec<Vec<u8>> = vec![
        noise,
        b"GET / HTTP/1.1\r\nHost: zoo1\r\n\r\n".to_vec(),
        b"ruok".to_vec(),
        // A client of ZooKeeper connects.
        [&[0, 0, 0, 45][..], &[0; 45]].concat(),
        vec![0xff; 64],
        vec![0x7f, 0xff, 0xff, 0xff],
        // An eternity of signs of life.
        vec![0; 4_000],
        long,
    ];
    for attack in attacks {
        let mut stream = server.connect().await;
        stream.write_all(&attack).await.unwrap();
        rest_of(stream).await;
        assert_eq!(server.call(&friend, Purpose::Meet).await, Ok(2));
    }
    server.runtime.tasks.stop().await;
}

#[tokio::test]
async fn whoever_says_nothing_is_closed_and_does_not_keep_others_out() {
    let server = Server::start(Some(ENSEMBLE)).await;
    let friend = here(&server.runtime, 1, Some(ENSEMBLE)).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(server.connect().await);
    }
    let mut slow = server.connect().await;
    for stream in silent {
        assert_eq!(rest_of(stream).await, b"");
    }
    assert_eq!(server.call(&friend, Purpose::Meet).await, Ok(2));
    // One that always has a little to say ends, too.
    let talking = async { while slow.write_all(&[0]).await.is_ok() {} };
    within("a slow stranger", talking).await;
    server.runtime.tasks.stop().await;
}

#[tokio::test]
async fn a_server_of_another_ensemble_is_refused_with_both_named() {
    let server = Server::start(Some(ENSEMBLE)).await;
    let stranger = here(&server.runtime, 1, Some(OTHER)).await;
    for purpose in [Purpose::Meet, Purpose::Raft, Purpose::Forward] {
        let error = server
            .call(&stranger, purpose)
            .await
            .unwrap_err()
            .to_string();
        for word in [ENSEMBLE.to_string(), OTHER.to_string()] {
            assert!(error.contains(&word), "{error}");
        }
        assert!(
            error.contains("server 1") && error.contains("server 2"),
            "{error}"
        );
    }
    // Raft's messages go no other way.
    let member = Member {
        endpoints: vec![local(server.port)],
        directory_id: Uuid([2; 16]),
    };
    let transport = PeerTransport::new(&stranger);
    let call = ottla_raft::Transport::call(&transport, 2, &member, bytes::Bytes::new());
    let error = call.await.unwrap_err().to_string();
    assert!(error.contains(&OTHER.to_string()), "{error}");
    server.runtime.tasks.stop().await;
}

#[tokio::test]
async fn who_calls_whom_must_be_right() {
    let server = Server::start(Some(ENSEMBLE)).await;
    let one = here(&server.runtime, 1, Some(ENSEMBLE)).await;
    let twin = here(&server.runtime, 2, Some(ENSEMBLE)).await;
    let endpoints = [local(server.port)];
    let error = dial(&one, 3, &endpoints, Purpose::Meet)
        .await
        .err()
        .unwrap();
    let error = error.to_string();
    assert!(
        error.contains("server 3") && error.contains("server 2"),
        "{error}"
    );
    let error = server
        .call(&twin, Purpose::Meet)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("myid"), "{error}");
    // Without an ensemble there is nothing but meeting.
    let new = here(&server.runtime, 3, None).await;
    assert_eq!(server.call(&new, Purpose::Meet).await, Ok(2));
    for purpose in [Purpose::Raft, Purpose::Forward] {
        let error = server.call(&new, purpose).await.unwrap_err().to_string();
        assert!(error.contains("server 3 has no ensemble"), "{error}");
    }
    // A server without a group has no members that could forward to it.
    let error = server
        .call(&one, Purpose::Forward)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("does not belong"), "{error}");
    server.runtime.tasks.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_for_the_caller() {
    let runtime = Runtime::real();
    let one = here(&runtime, 1, Some(ENSEMBLE)).await;
    let listener = runtime.network.listen("127.0.0.1", 0).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: [Vec<u8>; 4] = [
        b"HTTP/1.1 400 Bad Request".to_vec(),
        vec![0xff; 20],
        HelloAnswer::Accepted(Box::new(one.introduction()))
            .encode()
            .to_vec(),
        Vec::new(),
    ];
    for answer in answers {
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Nothing at all: the caller has to give up by itself.
            if !answer.is_empty() {
                write_one(&mut stream, &answer).await.unwrap();
            }
            rest_of(stream).await
        };
        let endpoints = [local(port)];
        let calling = async { dial(&one, 2, &endpoints, Purpose::Raft).await.err() };
        let (_, error) = Box::pin(within("a bad answer", async {
            tokio::join!(serving, calling)
        }))
        .await;
        assert!(matches!(error, Some(TransportError::Other(_))), "{error:?}");
    }
}
