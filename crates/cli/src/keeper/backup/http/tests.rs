//! Answers of a server that is a task of the test.

use ottla_runtime::Runtime;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

fn head() -> Head {
    Head {
        method: Method::GET,
        target: "/commands/x".to_owned(),
        host: "h".to_owned(),
        authorization: "ip".to_owned(),
    }
}

fn over(stream: impl Duplex + 'static) -> Exchange {
    Exchange {
        stream: Box::new(stream),
        clock: Runtime::real().clock.clone(),
    }
}

/// A connection to somebody who is asked, says this, and ends it.
fn exchange(says: &[u8]) -> Exchange {
    let (near, mut far) = duplex(1 << 20);
    let says = says.to_vec();
    tokio::spawn(async move {
        read_through(&mut far, b"\r\n\r\n").await;
        far.write_all(&says).await.unwrap();
        far.shutdown().await.unwrap();
        let mut sink = Vec::new();
        let _ = far.read_to_end(&mut sink).await;
    });
    over(near)
}

async fn get(says: &[u8]) -> Result<(u16, Vec<u8>), String> {
    let mut answer = exchange(says).get(&head(), LIMIT).await?;
    let body = answer.text(1_000).await?;
    Ok((answer.status, body))
}

#[tokio::test]
async fn bodies_of_every_framing_are_read_to_their_end() {
    for says in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nhello",
    ] {
        let (status, body) = get(says.as_bytes()).await.unwrap();
        assert_eq!((status, &body[..]), (200, &b"hello"[..]), "{says}");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_an_error() {
    for says in [
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello",
        "HTTP/1.1 20",
        "SSH-2.0-x\r\n\r\n",
        "",
    ] {
        assert!(get(says.as_bytes()).await.is_err(), "{says}");
    }
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2_000));
    assert!(get(long.as_bytes()).await.unwrap_err().contains("too long"));
}

#[tokio::test]
async fn a_body_that_is_not_wanted_is_not_sent() {
    let says = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    let sending = exchange(says).begin(&head(), LIMIT).await.unwrap();
    assert!(!sending.is_wanted());
    let mut answer = sending.end(LIMIT).await.unwrap();
    assert_eq!(answer.status, 403);
    assert_eq!(answer.text(10).await.unwrap(), b"no");
}

fn post() -> Head {
    Head {
        method: Method::POST,
        ..head()
    }
}

/// Reads up to the end of what is given.
async fn read_through(far: &mut DuplexStream, end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.push(far.read_u8().await.unwrap());
    }
    read
}

#[tokio::test]
async fn a_body_waits_until_it_is_wanted_and_arrives_whole() {
    let (near, mut far) = duplex(1 << 20);
    let serving = tokio::spawn(async move {
        let asked = read_through(&mut far, b"\r\n\r\n").await;
        let early = tokio::time::timeout(Duration::from_millis(50), far.read_u8()).await;
        assert!(early.is_err(), "it was not asked for the body");
        let says = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        far.write_all(says).await.unwrap();
        let body = read_through(&mut far, b"0\r\n\r\n").await;
        far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        (asked, body)
    });
    let mut sending = over(near).begin(&post(), LIMIT).await.unwrap();
    for piece in [&b"first"[..], &[b'x'; 0x12]] {
        assert!(sending.is_wanted());
        sending
            .piece(Bytes::from_static(piece), LIMIT)
            .await
            .unwrap();
    }
    assert_eq!(sending.end(LIMIT).await.unwrap().status, 200);
    let (asked, body) = serving.await.unwrap();
    let asked = String::from_utf8(asked).unwrap().to_lowercase();
    assert!(
        asked.starts_with("post /commands/x http/1.1\r\n"),
        "{asked}"
    );
    for line in [
        "host: h",
        "authorization: ip",
        "connection: close",
        "content-type: application/octet-stream",
        "transfer-encoding: chunked",
        "expect: 100-continue",
    ] {
        assert!(asked.contains(&format!("\r\n{line}\r\n")), "{asked}");
    }
    let pieces = format!("5\r\nfirst\r\n12\r\n{}\r\n0\r\n\r\n", "x".repeat(0x12));
    assert_eq!(String::from_utf8(body).unwrap(), pieces);
}

/// As a server refuses that has read enough: it takes no more, and says why a moment later.
#[tokio::test]
async fn a_refusal_amid_the_body_is_told() {
    for reads in [1, 1_000_000] {
        let (answers, mut says) = duplex(4_096);
        let (asks, mut hears) = duplex(4_096);
        tokio::spawn(async move {
            read_through(&mut hears, b"\r\n\r\n").await;
            says.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await
                .unwrap();
            let mut some = vec![0; reads];
            hears.read_exact(&mut some).await.unwrap();
            drop(hears);
            // The other side has all the time to see that writing fails.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            says.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 7\r\n\r\nno more")
                .await
                .unwrap();
        });
        let exchange = over(tokio::io::join(answers, asks));
        let mut sending = exchange.begin(&post(), LIMIT).await.unwrap();
        let mut sent = 0;
        while sending.is_wanted() {
            assert!(sent < 1_000, "there is no end");
            let piece = Bytes::from(vec![b'x'; 64 << 10]);
            sending.piece(piece, LIMIT).await.unwrap();
            sent += 1;
        }
        let mut answer = sending.end(LIMIT).await.unwrap();
        assert_eq!(answer.status, 400);
        assert_eq!(answer.text(10).await.unwrap(), b"no more");
    }
}

#[tokio::test]
async fn a_body_that_is_given_up_has_no_end() {
    let (near, mut far) = duplex(1 << 20);
    let mut sending = over(near).begin(&post(), Duration::ZERO).await.unwrap();
    // A piece is written once the next one comes.
    for _ in 0..4 {
        let piece = Bytes::from_static(b"part");
        sending.piece(piece, LIMIT).await.unwrap();
    }
    drop(sending);
    let mut all = Vec::new();
    far.read_to_end(&mut all).await.unwrap();
    let all = all.escape_ascii().to_string();
    assert!(all.contains(r"4\r\npart\r\n"), "{all}");
    assert!(!all.contains(r"\r\n0\r\n"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_silent_is_not_waited_for() {
    let (near, far) = duplex(4_096);
    let late = over(near).get(&head(), LIMIT).await;
    assert!(late.is_err_and(|reason| reason.contains("in time")));
    drop(far);
    // One who says nothing of the body gets it, but not for ever.
    let (near, _far) = duplex(4_096);
    let mut sending = over(near).begin(&post(), LIMIT).await.unwrap();
    let late = loop {
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        if let Err(late) = sending.piece(piece, LIMIT).await {
            break late;
        }
    };
    assert!(late.contains("takes no more"), "{late}");
    let (near, mut far) = duplex(4_096);
    let serving = tokio::spawn(async move {
        read_through(&mut far, b"\r\n\r\n").await;
        let says = b"HTTP/1.1 200 OK\r\n\r\nhel";
        far.write_all(says).await.unwrap();
        far
    });
    let mut answer = over(near).get(&head(), LIMIT).await.unwrap();
    let _far = serving.await.unwrap();
    assert_eq!(answer.next().await.unwrap().unwrap(), &b"hel"[..]);
    assert!(answer.next().await.unwrap_err().contains("in time"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a server says, there is an end.
    #[test]
    fn any_bytes_are_an_answer_or_an_error(
        chunked in any::<bool>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let head: &[u8] = if chunked {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        } else {
            b""
        };
        let says = [head, &bytes].concat();
        runtime.block_on(async {
            if let Ok((_, body)) = get(&says).await {
                assert!(body.len() <= bytes.len());
            }
        });
    }
}
