//! What speaks at an address that does not speak Kafka: a question in each of the protocols that
//! people mistake it for.

use std::time::Duration;

use ottla_runtime::Runtime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Tls,
    Http,
    ZooKeeper,
}

/// A ClientHello of TLS 1.2 with two suites that everybody knows (RFC 5246, 7.4.1.2); a server
/// answers with its own hello, or with an alert, and both are records of TLS.
const CLIENT_HELLO: &[u8] = &[
    0x16, 0x03, 0x01, 0x00, 0x2f, // record: handshake, 47 bytes
    0x01, 0x00, 0x00, 0x2b, 0x03, 0x03, // ClientHello, 43 bytes, TLS 1.2
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, // random: nothing secret follows
    17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,   //
    0x00, // no session
    0x00, 0x04, 0xc0, 0x2f, 0x00, 0x2f, // ECDHE-RSA-AES128-GCM, RSA-AES128-CBC
    0x01, 0x00, // no compression
];

const QUESTIONS: [(&[u8], Duration); 3] = [
    (CLIENT_HELLO, Duration::from_secs(1)),
    (b"GET / HTTP/1.0\r\n\r\n", Duration::from_secs(1)),
    (b"ruok", Duration::from_secs(1)),
];

/// Asks until an answer is understood.
pub(super) async fn knock(
    runtime: &Runtime,
    host: &str,
    port: u16,
    limit: Duration,
) -> Option<Speaks> {
    for (question, patience) in QUESTIONS {
        let asking = ask(runtime, host, port, limit, question);
        let answer = runtime.clock.timeout(limit.min(patience), asking).await;
        let understood = answer.flatten().and_then(|answer| understand(&answer));
        if understood.is_some() {
            return understood;
        }
    }
    None
}

async fn ask(
    runtime: &Runtime,
    host: &str,
    port: u16,
    limit: Duration,
    question: &[u8],
) -> Option<Vec<u8>> {
    let mut stream = runtime.network.connect(host, port, limit).await.ok()?;
    stream.write_all(question).await.ok()?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.ok()?;
    Some(answer.to_vec())
}

/// The protocol whose answers begin so.
pub(super) fn understand(answer: &[u8]) -> Option<Speaks> {
    match answer {
        // A handshake, or an alert, of TLS 1.x.
        [0x15 | 0x16, 0x03, ..] => Some(Speaks::Tls),
        [b'H', b'T', b'T', b'P', ..] => Some(Speaks::Http),
        // Without `ruok` among its allowed commands it says so: "ruok is not executed …".
        [b'i', b'm', b'o', b'k', ..] | [b'r', b'u', b'o', b'k', ..] => Some(Speaks::ZooKeeper),
        _ => None,
    }
}
