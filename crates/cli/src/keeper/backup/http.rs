//! One HTTP request to AdminServer on one connection, by hyper's client.

mod link;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt as _, Either, Empty};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, ext};
use ottla_runtime::{Clock, Runtime};
use tokio::sync::Notify;

use self::link::{Event, LATE, Link, Sent, root};
use crate::keeper::client::{Duplex, dial};
use crate::keeper::servers::Server;

/// A server that does not say by then whether it wants a body gets it.
const EXPECT_LIMIT: Duration = Duration::from_secs(5);
/// So many pieces of a body wait until the connection takes them.
const PIECES: usize = 1;

/// What a request begins with.
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) host: String,
    pub(super) authorization: String,
}

impl Head {
    fn request(&self, body: Sent) -> Result<Request<Sent>, String> {
        let authorization = HeaderValue::from_bytes(self.authorization.as_bytes());
        let mut authorization =
            authorization.map_err(|error| format!("what --auth gives: {error}"))?;
        authorization.set_sensitive(true);
        Request::builder()
            .method(self.method.clone())
            .uri(&self.target)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONNECTION, "close")
            .body(body)
            .map_err(|error| format!("{} cannot be asked for: {error}", self.target))
    }
}

/// A connection.
pub(super) struct Exchange {
    stream: Box<dyn Duplex>,
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
            clock: runtime.clock.clone(),
        })
    }

    /// Asks. Each piece of the answer may take so long.
    pub(super) async fn get(self, head: &Head, limit: Duration) -> Result<Answer, String> {
        let request = head.request(Either::Left(Empty::new()))?;
        let mut link = Link::ask(self.stream, self.clock, request).await?;
        let response = link.answer(limit).await?;
        Answer::new(link, response, limit)
    }

    /// Begins to send a body, unless the server does not want it.
    pub(super) async fn begin(self, head: &Head, limit: Duration) -> Result<Sending, String> {
        let (pieces, body) = Channel::new(PIECES);
        let mut request = head.request(Either::Right(body))?;
        let headers = request.headers_mut();
        let kind = HeaderValue::from_static("application/octet-stream");
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
        let wanted = Arc::new(Notify::new());
        let wants = Arc::clone(&wanted);
        ext::on_informational(&mut request, move |told| {
            if told.status() == StatusCode::CONTINUE {
                wants.notify_one();
            }
        });
        let mut link = Link::ask(self.stream, self.clock, request).await?;
        let limit = EXPECT_LIMIT.min(limit);
        let early = match link.until(wanted.notified(), limit).await? {
            Event::Answer(response) => Some(response),
            Event::Done(()) | Event::Late => None,
        };
        Ok(Sending {
            link,
            pieces: Some(pieces).filter(|_| early.is_none()),
            early,
        })
    }
}

/// A body on its way out. One that is dropped ends the connection without the mark of a body's end,
/// so that no server takes a part for the whole.
pub(super) struct Sending {
    link: Link,
    /// None once the server does not want the body, or its rest.
    pieces: Option<Sender<Bytes>>,
    /// What the server has answered before it got the whole body.
    early: Option<Response<Incoming>>,
}

impl Sending {
    /// Whether the server wants the body, or its rest.
    pub(super) fn is_wanted(&self) -> bool {
        self.pieces.is_some()
    }

    /// Sends a piece, which may take so long.
    pub(super) async fn piece(&mut self, piece: Bytes, limit: Duration) -> Result<(), String> {
        let Some(pieces) = &mut self.pieces else {
            return Ok(());
        };
        match self.link.until(pieces.send_data(piece), limit).await? {
            Event::Done(Ok(())) => Ok(()),
            Event::Done(Err(_)) => {
                // Nobody takes it any more; the answer says why.
                self.pieces = None;
                Ok(())
            }
            Event::Answer(response) => {
                self.pieces = None;
                self.early = Some(response);
                Ok(())
            }
            Event::Late => Err("it takes no more of the body; try again".to_owned()),
        }
    }

    /// Ends the body, and takes the answer.
    pub(super) async fn end(mut self, limit: Duration) -> Result<Answer, String> {
        self.pieces = None;
        let response = match self.early.take() {
            Some(response) => response,
            None => self.link.answer(limit).await?,
        };
        Answer::new(self.link, response, limit)
    }
}

/// An answer, whose body is read piece by piece.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    body: Incoming,
    link: Link,
    limit: Duration,
}

impl Answer {
    fn new(link: Link, response: Response<Incoming>, limit: Duration) -> Result<Self, String> {
        let (parts, body) = response.into_parts();
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
            link,
            limit,
        };
        match answer.header("transfer-encoding") {
            Some(coding) if !coding.eq_ignore_ascii_case("chunked") => {
                Err(format!("its transfer coding {coding} is not known"))
            }
            _ => Ok(answer),
        }
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next piece of the body; none at its end. A body that was cut off is an error.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            let reading = self.link.during(self.body.frame(), self.limit);
            let Some(frame) = reading.await else {
                return Err(LATE.to_owned());
            };
            let frame = frame.transpose();
            let Some(frame) =
                frame.map_err(|error| format!("its answer broke off: {}", root(&error)))?
            else {
                return Ok(None);
            };
            // What is no data stands behind a body, and says nothing that is asked for.
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
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
