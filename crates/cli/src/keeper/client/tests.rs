//! The client against servers that behave badly on purpose.

use std::collections::BTreeMap;

use bytes::BytesMut;
use ottla_jute::{
    ConnectRequest, ConnectResponse, ErrorCode, EventType, OpCode, Reader, Record, ReplyHeader,
    RequestHeader, SetWatches2, Stat, xid,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::keeper::connection::ConnectionArgs;

const SESSION: i64 = 0x100_0000_0000_0001;

/// A server whose every answer is written in the test.
struct Fake {
    listener: TcpListener,
}

/// One of its connections.
struct Taken(TcpStream);

impl Fake {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Fake { listener }
    }

    fn target(&self) -> Target {
        let args = ConnectionArgs {
            server: Some(self.listener.local_addr().unwrap().to_string()),
            session_timeout: Some(Duration::from_millis(600)),
            ..ConnectionArgs::default()
        };
        args.resolve(&BTreeMap::new()).unwrap()
    }

    async fn accept(&self) -> Taken {
        Taken(self.listener.accept().await.unwrap().0)
    }

    /// Takes a connection and its first frame, and gives it a session.
    async fn welcome(&self, session_id: i64) -> (Taken, ConnectRequest) {
        let mut taken = self.accept().await;
        let request = ConnectRequest::decode(&taken.frame().await.unwrap()).unwrap();
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: 600,
            session_id,
            password: Some(vec![7; 16].into()),
            read_only: Some(false),
        };
        let mut out = BytesMut::new();
        ottla_jute::frame(&mut out, |writer| response.write(writer));
        taken.0.write_all(&out).await.unwrap();
        (taken, request)
    }
}

impl Taken {
    async fn frame(&mut self) -> Option<bytes::Bytes> {
        let length = self.0.read_i32().await.ok()?;
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }

    /// The next request that is no ping.
    async fn request(&mut self) -> (RequestHeader, Request) {
        loop {
            let frame = self.frame().await.unwrap();
            let mut reader = Reader::shared(&frame);
            let header = RequestHeader::read(&mut reader).unwrap();
            let op = OpCode::try_from(header.op).unwrap();
            if op != OpCode::Ping {
                return (header, Request::read(op, &mut reader).unwrap());
            }
        }
    }

    async fn reply(&mut self, xid: i32, zxid: i64, err: i32, response: Option<Response>) {
        let mut out = BytesMut::new();
        ottla_jute::reply(&mut out, ReplyHeader { xid, zxid, err }, |writer| {
            if let Some(response) = response {
                response.write(writer);
            }
        });
        self.0.write_all(&out).await.unwrap();
    }
}

async fn connect(target: &Target) -> Result<(Client, Events), Failure> {
    Client::connect(&Runtime::real(), target, Duration::from_secs(2)).await
}

#[tokio::test]
async fn nobody_there_is_told_at_once_and_silence_after_a_while() {
    let fake = Fake::new().await;
    let target = fake.target();
    let silent = async {
        loop {
            drop(fake.accept().await);
        }
    };
    let runtime = Runtime::real();
    let connecting = Client::connect(&runtime, &target, Duration::from_millis(300));
    let failure = tokio::select! {
        connected = connecting => connected.err().unwrap(),
        () = silent => unreachable!("it goes on for ever"),
    };
    let Failure::NoSession { last, .. } = &failure else {
        panic!("{failure:?}");
    };
    assert!(last.contains("127.0.0.1"), "{last}");
    drop(fake);
    let began = std::time::Instant::now();
    let failure = connect(&target).await.err().unwrap();
    assert!(
        matches!(failure, Failure::Unreachable { .. }),
        "{failure:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn what_is_no_zookeeper_is_said_to_be_none() {
    for words in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x7f\xff\xff\xff",
        b"\0\0\0\x02ab",
    ] {
        let fake = Fake::new().await;
        let target = fake.target();
        let speaking = async {
            loop {
                let mut taken = fake.accept().await;
                taken.0.write_all(words).await.unwrap();
                let _ = taken.0.shutdown().await;
            }
        };
        let runtime = Runtime::real();
        let connecting = Client::connect(&runtime, &target, Duration::from_millis(250));
        let failure = tokio::select! {
            connected = connecting => connected.err().unwrap(),
            () = speaking => unreachable!("it goes on for ever"),
        };
        let told = failure.to_string();
        assert!(
            told.contains("does not speak ZooKeeper's protocol"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_change_that_was_under_way_is_lost_and_a_read_is_asked_again() {
    let fake = Fake::new().await;
    let target = fake.target();
    let serving = async {
        let (mut first, request) = fake.welcome(SESSION).await;
        assert_eq!((request.session_id, request.last_zxid_seen), (0, 0));
        // It answers one read with a watch, and breaks in the next two requests.
        let (header, asked) = first.request().await;
        assert!(matches!(asked, Request::GetData(get) if get.watch));
        let data = Response::GetData {
            data: None,
            stat: Stat::default(),
        };
        first.reply(header.xid, 40, 0, Some(data)).await;
        first.request().await;
        drop(first);
        let (mut second, request) = fake.welcome(SESSION).await;
        assert_eq!((request.session_id, request.last_zxid_seen), (SESSION, 40));
        assert_eq!(request.password.as_deref(), Some(&[7; 16][..]));
        let (header, asked) = second.request().await;
        assert_eq!(header.xid, xid::SET_WATCHES);
        let Request::SetWatches2(SetWatches2 {
            relative_zxid,
            data_watches,
            ..
        }) = asked
        else {
            panic!("{asked:?}");
        };
        assert_eq!((relative_zxid, data_watches), (40, vec!["/a".to_owned()]));
        second.request().await;
        drop(second);
        let (mut third, _) = fake.welcome(SESSION).await;
        third.request().await;
        let (header, asked) = third.request().await;
        assert!(matches!(asked, Request::Exists(_)));
        let stat = Response::Stat(Stat::default());
        third.reply(header.xid, 41, 0, Some(stat)).await;
        third
    };
    let asking = async {
        let (client, mut events) = connect(&target).await.unwrap();
        client.get("/a", true).await.unwrap();
        let lost = client.set("/a", None, -1).await.unwrap_err();
        assert!(matches!(lost, Failure::Lost { .. }), "{lost:?}");
        assert!(client.exists("/a", false).await.unwrap().is_some());
        for _ in 0..2 {
            assert!(matches!(
                events.recv().await,
                Some(Event::Disconnected { .. })
            ));
            assert!(matches!(
                events.recv().await,
                Some(Event::Reconnected { .. })
            ));
        }
        client
    };
    let (_third, _client) = tokio::join!(serving, asking);
}

#[tokio::test]
async fn an_expired_session_is_told_and_its_watches_are_those_of_the_next() {
    let fake = Fake::new().await;
    let target = fake.target();
    let serving = async {
        let (mut first, _) = fake.welcome(SESSION).await;
        let (header, _) = first.request().await;
        let error = Response::Error { err: 0 };
        first.reply(header.xid, 5, 0, Some(error)).await;
        drop(first);
        let (_gone, request) = fake.welcome(0).await;
        assert_eq!(request.session_id, SESSION);
        let (mut next, request) = fake.welcome(SESSION + 1).await;
        assert_eq!(request.session_id, 0);
        let (_, asked) = next.request().await;
        assert!(
            matches!(&asked, Request::SetWatches2(s) if s.persistent_watches == ["/a"]),
            "{asked:?}"
        );
        // An event of it.
        let header = ReplyHeader {
            xid: xid::NOTIFICATION,
            zxid: 6,
            err: 0,
        };
        let mut out = BytesMut::new();
        ottla_jute::reply(&mut out, header, |writer| {
            writer.int(EventType::NodeCreated.code());
            writer.int(3);
            writer.string("/a");
        });
        next.0.write_all(&out).await.unwrap();
        next
    };
    let asking = async {
        let (client, mut events) = connect(&target).await.unwrap();
        client.add_watch("/a", WatchKind::One).await.unwrap();
        assert!(matches!(
            events.recv().await,
            Some(Event::Disconnected { .. })
        ));
        assert!(matches!(events.recv().await, Some(Event::Expired { .. })));
        let seen = events.recv().await.unwrap();
        let kind = EventType::NodeCreated.code();
        let path = "/a".to_owned();
        assert_eq!(seen, Event::Seen { kind, path });
        client
    };
    let (_next, _client) = tokio::join!(serving, asking);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left() {
    let fake = Fake::new().await;
    let target = fake.target();
    let serving = async {
        let (silent, _) = fake.welcome(SESSION).await;
        let (again, request) = fake.welcome(SESSION).await;
        assert_eq!(request.session_id, SESSION);
        (silent, again)
    };
    let asking = async {
        let (client, mut events) = connect(&target).await.unwrap();
        let Some(Event::Disconnected { reason }) = events.recv().await else {
            panic!("it should leave");
        };
        assert!(reason.contains("nothing was heard"), "{reason}");
        assert!(matches!(
            events.recv().await,
            Some(Event::Reconnected { .. })
        ));
        client
    };
    let (_servers, _client) = tokio::join!(serving, asking);
}

#[tokio::test]
async fn an_answer_to_nothing_and_a_broken_answer_harm_nobody_else() {
    let fake = Fake::new().await;
    let target = fake.target();
    let serving = async {
        let (mut first, _) = fake.welcome(SESSION).await;
        let (header, _) = first.request().await;
        // No stat follows.
        first.reply(header.xid, 1, 0, None).await;
        let (header, _) = first.request().await;
        first.reply(header.xid, 1, -99_999, None).await;
        let (header, _) = first.request().await;
        first.reply(header.xid + 5, 1, 0, None).await;
        let (mut second, _) = fake.welcome(SESSION).await;
        let (header, _) = second.request().await;
        let code = ErrorCode::NoNode.code();
        second.reply(header.xid, 1, code, None).await;
        second
    };
    let asking = async {
        let (client, _events) = connect(&target).await.unwrap();
        for _ in 0..2 {
            let failure = client.exists("/a", false).await.unwrap_err();
            assert!(matches!(failure, Failure::Unreadable(_)), "{failure:?}");
        }
        assert_eq!(client.exists("/a", false).await, Ok(None));
        client
    };
    let (_second, _client) = tokio::join!(serving, asking);
}

#[test]
fn paths_go_out_with_the_chroot_and_come_back_without() {
    let client = |chroot: &str| Client {
        jobs: mpsc::channel(1).0,
        clock: Runtime::real().clock,
        chroot: chroot.to_owned(),
        timeout: Duration::from_secs(1),
        session: 1,
        server: String::new(),
    };
    let plain = client("");
    assert_eq!(
        (plain.full("/a"), plain.own("/a")),
        ("/a".into(), "/a".into())
    );
    let inside = client("/k");
    assert_eq!(
        (inside.full("/"), inside.full("/a")),
        ("/k".into(), "/k/a".into())
    );
    assert_eq!(
        (inside.own("/k"), inside.own("/k/a")),
        ("/".into(), "/a".into())
    );
    assert_eq!(inside.own("/kk/a"), "/kk/a");
    assert_eq!(inside.at_root().full("/a"), "/a");
}
