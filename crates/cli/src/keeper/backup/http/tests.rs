//! Answers of a server that is a task of the test.

use ottla_runtime::Runtime;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

fn head() -> Head {
    Head {
        method: "GET",
        target: "/commands/x".to_owned(),
        host: "h".to_owned(),
        authorization: "ip".to_owned(),
    }
}

/// A connection to somebody who says this and ends it.
fn exchange(says: &[u8]) -> Exchange {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let says = says.to_vec();
    tokio::spawn(async move {
        // What fits into the pipe needs no reader.
        far.write_all(&says).await.unwrap();
        far.shutdown().await.unwrap();
        let mut sink = Vec::new();
        let _ = far.read_to_end(&mut sink).await;
    });
    Exchange {
        stream: Box::new(near),
        buffer: BytesMut::new(),
        clock: Runtime::real().clock.clone(),
    }
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
    let says = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut sending = exchange(says).begin(&head(), LIMIT).await.unwrap();
    assert!(sending.is_wanted());
    sending.piece(b"body").await.unwrap();
    assert_eq!(sending.end(LIMIT).await.unwrap().status, 200);
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
