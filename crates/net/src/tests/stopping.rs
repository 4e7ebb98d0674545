//! Starting with wrong options, and stopping with requests in work.

use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::Runtime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::harness::{Script, options, response, start, start_echo, until};
use crate::{Closed, Error, Options, Outcome, Server};

#[tokio::test]
async fn requests_in_work_finish_before_the_server_ends() {
    let gate = Arc::new(Semaphore::new(0));
    let (held, entered) = (Arc::clone(&gate), Arc::new(Semaphore::new(0)));
    let told = Arc::clone(&entered);
    let node = start(options(), move |id, payload| {
        told.add_permits(1);
        let gate = Arc::clone(&held);
        Outcome::later(async move {
            drop(gate.acquire().await.unwrap());
            response(id, payload).into()
        })
    })
    .await;
    let (mut busy, mut idle) = (node.connect().await, node.connect().await);
    busy.request(1, b"a").await;
    busy.request(2, b"b").await;
    drop(entered.acquire_many(2).await.unwrap());
    let address = node.address();
    node.shutdown.announce();
    idle.is_closed().await;
    // The listener is gone, whoever is still being served.
    until(|| std::net::TcpStream::connect(address).is_err()).await;
    assert!(!node.run.is_finished());
    gate.add_permits(1);
    assert_eq!(busy.reply().await.unwrap().0, 1);
    assert_eq!(busy.reply().await.unwrap().0, 2);
    busy.is_closed().await;
    node.run.await.unwrap().unwrap();
    assert_eq!(node.handle.probe().listeners()[0].closed(Closed::Drain), 2);
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_server() {
    let limits = Options {
        drain_timeout: Duration::from_millis(30),
        ..options()
    };
    let node = start(limits, |_, _| Outcome::later(std::future::pending())).await;
    let mut client = node.connect().await;
    client.request(1, b"").await;
    until(|| node.handle.probe().listeners()[0].bytes_in() > 0).await;
    node.shutdown.announce();
    client.is_closed().await;
    node.run.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_without_connections_ends_at_once() {
    let node = start_echo(options()).await;
    node.shutdown.announce();
    node.run.await.unwrap().unwrap();
    assert!(
        TcpStream::connect(node.handle.local_addr("PLAINTEXT").unwrap())
            .await
            .is_err()
    );
}

async fn bind_error(options: Options) -> Error {
    let dispatch: Arc<Script> = Arc::new(super::harness::silent());
    match Server::bind(Runtime::real(), options, dispatch).await {
        Ok(_) => panic!("it was bound"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut wanted = options();
    wanted.listeners[0].port = taken.local_addr().unwrap().port();
    let text = bind_error(wanted.clone()).await.to_string();
    assert!(text.contains("listener PLAINTEXT"), "{text}");
    assert!(
        text.contains(&format!("127.0.0.1:{}", wanted.listeners[0].port)),
        "{text}"
    );
    assert!(text.contains("another process"), "{text}");
    wanted.listeners[0].bind_host = "203.0.113.9".into();
    let text = bind_error(wanted).await.to_string();
    assert!(text.contains("does not have the address"), "{text}");
}

#[tokio::test]
async fn listeners_without_names_of_their_own_are_refused() {
    let mut twice = options();
    twice.listeners.push(twice.listeners[0].clone());
    assert!(matches!(
        bind_error(twice).await,
        Error::DuplicateName { .. }
    ));
    let none = Options::default();
    assert!(matches!(bind_error(none).await, Error::NoListener));
}
