//! What is written is there, for everyone, in order, and after a restart.

use ottla_jute::{Request, Response};

use crate::harness::{Client, TestServer};

#[tokio::test]
async fn what_was_written_is_read_also_after_a_restart() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    client.create("/a", "one", 0).await.unwrap();
    for n in 1..=20 {
        assert_eq!(client.set("/a", &format!("v{n}")).await, Ok(n));
    }
    let zxid = client.last_zxid;
    let (session, password) = (client.session, client.password.clone());
    let server = server.restart().await;
    let again = Client::connect(server.connection().await, 10_000, Some((session, password)));
    let mut again = again.await.expect("sessions survive");
    assert_eq!(again.data("/a", false).await.unwrap(), "v20");
    assert!(again.last_zxid >= zxid);
    server.stop().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_reads_see_the_writes_before_them() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    client.create("/p", "", 0).await.unwrap();
    let path = || "/p".to_owned();
    let mut sent = Vec::new();
    for n in 0..200 {
        let set = Request::SetData(ottla_jute::SetData {
            path: path(),
            data: Some(format!("{n}").into()),
            version: -1,
        });
        let get = Request::GetData(ottla_jute::GetData {
            path: path(),
            watch: false,
        });
        for request in [set, get] {
            let xid = client.send(&request).await;
            sent.push((xid, request.op_code(), n));
        }
    }
    for (xid, op, n) in sent {
        match client.reply_to(xid, op).await.unwrap() {
            Response::Stat(stat) => assert_eq!(stat.version, n + 1),
            Response::GetData { data, .. } => assert_eq!(data.unwrap(), format!("{n}")),
            other => panic!("{other:?}"),
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_watch_fires_before_the_new_data_is_seen() {
    let server = TestServer::start().await;
    let (mut one, mut two) = (server.client().await, server.client().await);
    one.create("/w", "old", 0).await.unwrap();
    for round in 0..50 {
        let before = one.data("/w", true).await.unwrap();
        let seen = one.events.len();
        two.set("/w", &format!("new {round}")).await.unwrap();
        loop {
            let now = one.data("/w", false).await.unwrap();
            if now != before {
                assert_eq!(one.events.len(), seen + 1);
                break;
            }
        }
    }
    server.stop().await;
}
