//! As much of HTTP/1.1 (RFC 9112) as AdminServer needs: one request on one connection.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use ottla_runtime::{Clock, Runtime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::keeper::client::{Duplex, dial};
use crate::keeper::servers::Server;

/// The lines before a body are no longer than this.
const HEAD_BYTES_MAX: usize = 64 << 10;
const READ_BYTES: usize = 64 << 10;
/// A server that does not say by then whether it wants a body gets it.
const EXPECT_LIMIT: Duration = Duration::from_secs(5);
const LINE_END: &[u8] = b"\r\n";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What a request begins with.
pub(super) struct Head {
    pub(super) method: &'static str,
    pub(super) target: String,
    pub(super) host: String,
    pub(super) authorization: String,
}

impl Head {
    fn text(&self, more: &str) -> String {
        let Head {
            method,
            target,
            host,
            authorization,
        } = self;
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n\
             Connection: close\r\n{more}\r\n"
        )
    }
}

/// A connection.
pub(super) struct Exchange {
    stream: Box<dyn Duplex>,
    buffer: BytesMut,
    clock: Clock,
}

impl Exchange {
    pub(super) async fn connect(
        runtime: &Runtime,
        server: &Server,
        limit: Duration,
    ) -> Result<Self, String> {
        Ok(Exchange {
            stream: dial(runtime, server, None, limit).await?,
            buffer: BytesMut::new(),
            clock: runtime.clock.clone(),
        })
    }

    /// Asks. Each piece of the answer may take so long.
    pub(super) async fn get(mut self, head: &Head, limit: Duration) -> Result<Answer, String> {
        self.send(head.text("").as_bytes()).await?;
        let lines = self.head(limit).await?;
        Answer::new(self, &lines, limit)
    }

    /// Begins to send a body, unless the server does not want it.
    pub(super) async fn begin(mut self, head: &Head, limit: Duration) -> Result<Sending, String> {
        let more = "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\
                    Expect: 100-continue\r\n";
        self.send(head.text(more).as_bytes()).await?;
        let clock = self.clock.clone();
        let early = match clock
            .timeout(EXPECT_LIMIT.min(limit), self.head(limit))
            .await
        {
            Some(lines) => Some(lines?).filter(|lines| lines.status != CONTINUE),
            None => None,
        };
        Ok(Sending {
            exchange: self,
            early,
        })
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let sent = self.stream.write_all(bytes).await;
        sent.map_err(|error| format!("the connection broke: {error}"))?;
        let flushed = self.stream.flush().await;
        flushed.map_err(|error| format!("the connection broke: {error}"))
    }

    /// Reads more; false at the end.
    async fn fill(&mut self, limit: Duration) -> Result<bool, String> {
        self.buffer.reserve(READ_BYTES);
        let clock = self.clock.clone();
        let reading = self.stream.read_buf(&mut self.buffer);
        match clock.timeout(limit, reading).await {
            Some(Ok(count)) => Ok(count > 0),
            Some(Err(error)) => Err(format!("the connection broke: {error}")),
            None => Err("it does not answer in time; wait longer with --timeout".to_owned()),
        }
    }

    /// The lines before a body.
    async fn head(&mut self, limit: Duration) -> Result<Lines, String> {
        loop {
            if let Some(at) = find(&self.buffer, HEAD_END) {
                let head = self.buffer.split_to(at + HEAD_END.len());
                return Lines::parse(&head);
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err("it does not speak HTTP".to_owned());
            }
            if !self.fill(limit).await? {
                return Err("it ended the connection without an answer".to_owned());
            }
        }
    }
}

const CONTINUE: u16 = 100;

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A body on its way out.
pub(super) struct Sending {
    exchange: Exchange,
    /// What the server has answered before it got the body.
    early: Option<Lines>,
}

impl Sending {
    /// Whether the server wants the body.
    pub(super) fn is_wanted(&self) -> bool {
        self.early.is_none()
    }

    /// Sends a piece.
    pub(super) async fn piece(&mut self, piece: &[u8]) -> Result<(), String> {
        if piece.is_empty() {
            return Ok(());
        }
        let length = format!("{:x}\r\n", piece.len());
        self.exchange.send(length.as_bytes()).await?;
        self.exchange.send(piece).await?;
        self.exchange.send(LINE_END).await
    }

    /// Ends the body, and takes the answer.
    pub(super) async fn end(mut self, limit: Duration) -> Result<Answer, String> {
        if let Some(lines) = self.early.take() {
            return Answer::new(self.exchange, &lines, limit);
        }
        // A connection that was ended may hold an answer.
        let _ = self.exchange.send(b"0\r\n\r\n").await;
        loop {
            let lines = self.exchange.head(limit).await?;
            if lines.status != CONTINUE {
                return Answer::new(self.exchange, &lines, limit);
            }
        }
    }
}

/// The lines of an answer before its body.
#[derive(Debug, PartialEq, Eq)]
struct Lines {
    status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Lines {
    fn parse(head: &[u8]) -> Result<Self, String> {
        let wrong = || "it does not speak HTTP".to_owned();
        let text = std::str::from_utf8(head).map_err(|_| wrong())?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let mut words = first.split(' ');
        let version = words.next().unwrap_or_default();
        let status = words.next().and_then(|status| status.parse().ok());
        let status = status.filter(|_| version.starts_with("HTTP/1."));
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Ok(Lines {
            status: status.ok_or_else(wrong)?,
            headers: headers.collect(),
        })
    }
}

/// An answer, whose body is read piece by piece.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    exchange: Exchange,
    length: Length,
    limit: Duration,
}

/// How much of a body is to come.
#[derive(Debug, PartialEq, Eq)]
enum Length {
    Known(u64),
    /// So much of this piece, and more pieces.
    Chunked(u64),
    UntilEnd,
    Over,
}

impl Answer {
    fn new(exchange: Exchange, lines: &Lines, limit: Duration) -> Result<Self, String> {
        let mut answer = Answer {
            status: lines.status,
            headers: lines.headers.clone(),
            exchange,
            length: Length::UntilEnd,
            limit,
        };
        let chunked = answer.header("transfer-encoding");
        let length = answer.header("content-length");
        answer.length = match (chunked, length) {
            (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Length::Chunked(0),
            (Some(coding), _) => return Err(format!("its transfer coding {coding} is not known")),
            (None, Some(length)) => match length.parse() {
                Ok(length) => Length::Known(length),
                Err(_) => return Err(format!("{length:?} is no length of a body")),
            },
            (None, None) => Length::UntilEnd,
        };
        Ok(answer)
    }

    /// The value of a header, whose name is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The next piece of the body; none at its end. A body that was cut off is an error.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, String> {
        if self.length == Length::Chunked(0) {
            self.length = match self.chunk_size().await? {
                0 => Length::Over,
                size => Length::Chunked(size),
            };
        }
        let wanted = match self.length {
            Length::Over | Length::Known(0) => return Ok(None),
            Length::Known(left) | Length::Chunked(left) => left,
            Length::UntilEnd => u64::MAX,
        };
        if self.exchange.buffer.is_empty() && !self.exchange.fill(self.limit).await? {
            return match self.length {
                Length::UntilEnd => Ok(None),
                _ => Err("the connection ended before the answer did".to_owned()),
            };
        }
        let here = self.exchange.buffer.len();
        let count = usize::try_from(wanted).unwrap_or(usize::MAX).min(here);
        let piece = self.exchange.buffer.split_to(count).freeze();
        match &mut self.length {
            Length::Known(left) => *left -= count as u64,
            Length::Chunked(left) => {
                *left -= count as u64;
                if *left == 0 {
                    self.line().await?;
                }
            }
            Length::UntilEnd | Length::Over => {}
        }
        Ok(Some(piece))
    }

    async fn line(&mut self) -> Result<Bytes, String> {
        loop {
            if let Some(at) = find(&self.exchange.buffer, LINE_END) {
                let line = self.exchange.buffer.split_to(at).freeze();
                self.exchange.buffer.advance(LINE_END.len());
                return Ok(line);
            }
            if self.exchange.buffer.len() > HEAD_BYTES_MAX {
                return Err("its answer is no HTTP".to_owned());
            }
            if !self.exchange.fill(self.limit).await? {
                return Err("the connection ended before the answer did".to_owned());
            }
        }
    }

    async fn chunk_size(&mut self) -> Result<u64, String> {
        let line = self.line().await?;
        let text = String::from_utf8_lossy(&line);
        let digits = text.split(';').next().unwrap_or_default().trim();
        u64::from_str_radix(digits, 16).map_err(|_| "its answer is no HTTP".to_owned())
    }

    /// The whole body, which is short.
    pub(super) async fn text(&mut self, bytes_max: usize) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        while let Some(piece) = self.next().await? {
            if text.len() + piece.len() > bytes_max {
                return Err("its answer is too long".to_owned());
            }
            text.extend_from_slice(&piece);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
