//! Sessions: opened, come back to, ended.

use ottla_jute::{AuthPacket, ErrorCode, OpCode, Request, SetWatches};

use crate::harness::{Client, TestServer};

#[tokio::test]
async fn a_client_comes_back_to_its_session_and_its_ephemerals_are_there() {
    let server = TestServer::start().await;
    let mut first = server.client().await;
    first.create("/e", "mine", 1).await.unwrap();
    let (session, password) = (first.session, first.password.clone());
    drop(first);
    let again = Client::connect(server.connection().await, 10_000, Some((session, password)));
    let mut again = again.await.expect("the session lives");
    assert_eq!(again.session, session);
    assert_eq!(again.data("/e", false).await.unwrap(), "mine");
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_session_are_refused() {
    let server = TestServer::start().await;
    let first = server.client().await;
    let wrong = vec![7; 16].into();
    let refused = Client::connect(
        server.connection().await,
        10_000,
        Some((first.session, wrong)),
    );
    assert!(refused.await.is_none());
    let unknown = Some((42, first.password.clone()));
    let refused = Client::connect(server.connection().await, 10_000, unknown).await;
    assert!(refused.is_none());
    server.stop().await;
}

#[tokio::test]
async fn ephemerals_go_with_their_session_and_not_before() {
    let server = TestServer::start().await;
    let mut watching = server.client().await;
    let mut owner = server.client().await;
    owner.create("/e", "", 1).await.unwrap();
    assert!(watching.exists("/e", true).await);
    owner.ask(Request::CloseSession).await.unwrap();
    owner.ended().await;
    assert!(!watching.exists("/e", false).await);
    assert_eq!(watching.events[0].path, "/e");
    server.stop().await;
}

#[tokio::test]
async fn a_silent_session_expires_and_a_client_that_pings_keeps_its_own() {
    let server = TestServer::start().await;
    let silent = Client::connect(server.connection().await, 200, None);
    let mut silent = silent.await.unwrap();
    assert_eq!(silent.timeout_ms, 200);
    silent.create("/silent", "", 1).await.unwrap();
    let alive = Client::connect(server.connection().await, 200, None);
    let mut alive = alive.await.unwrap();
    alive.create("/alive", "", 1).await.unwrap();
    let began = std::time::Instant::now();
    while alive.exists("/silent", false).await {
        assert!(
            began.elapsed() < crate::harness::PATIENCE,
            "it never expires"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    silent.ended().await;
    assert!(alive.exists("/alive", false).await);
    let gone = Some((silent.session, silent.password.clone()));
    assert!(
        Client::connect(server.connection().await, 200, gone)
            .await
            .is_none()
    );
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_moves_ends_its_old_connection() {
    let server = TestServer::start().await;
    let mut first = server.client().await;
    let known = Some((first.session, first.password.clone()));
    let second = Client::connect(server.connection().await, 10_000, known).await;
    let mut second = second.expect("the session lives");
    first.ended().await;
    second.create("/b", "", 0).await.unwrap();
    assert_eq!(second.create("/b", "", 0).await, Err(ErrorCode::NodeExists));
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_transaction_is_told_without_one() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    client.create("/n", "", 0).await.unwrap();
    assert!(client.zxids[0] > 0);
    client.zxids.clear();
    let auth = |scheme: &str| {
        Request::Auth(AuthPacket {
            kind: 0,
            scheme: Some(scheme.to_owned()),
            auth: Some("bob:secret".into()),
        })
    };
    client.ask(auth("digest")).await.unwrap();
    assert_eq!(client.zxids, [0]);
    client.zxids.clear();
    // It changed behind the client's back; and then comes the answer, which has a place in time.
    let watches = Request::SetWatches(SetWatches {
        relative_zxid: 0,
        data_watches: vec!["/n".to_owned()],
        exist_watches: Vec::new(),
        child_watches: Vec::new(),
    });
    client.ask(watches).await.unwrap();
    assert_eq!(client.events[0].path, "/n");
    assert_eq!(client.zxids, [-1, client.last_zxid]);
    client.zxids.clear();
    let refused = client.ask(auth("nonsense")).await;
    assert_eq!(refused, Err(ErrorCode::AuthFailed));
    assert_eq!(client.zxids, [0]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_request_of_a_client_ends_the_connection() {
    let server = TestServer::start().await;
    // A check is a part of a multi, and the opening of a session is the server's own.
    for op in [OpCode::Check.code(), OpCode::CreateSession.code(), 1000] {
        let mut client = server.client().await;
        let xid = client.send_raw(op, &[]).await;
        let refused = client.reply_to(xid, OpCode::Ping).await;
        assert_eq!(refused, Err(ErrorCode::Unimplemented));
        assert_eq!(client.zxids, [-1]);
        client.ended().await;
    }
    // Whoever cannot say who it is gets no answer.
    for op in [OpCode::Auth, OpCode::Sasl] {
        let mut client = server.client().await;
        client.send_raw(op.code(), &[0, 0, 0, 9]).await;
        client.ended().await;
        assert!(client.zxids.is_empty());
    }
    server.stop().await;
}
