//! A connection that hyper speaks on, which moves only while somebody waits for it.
//!
//! No task of its own: who gives up drops the connection with everything that is on its way.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::channel::Channel;
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ottla_runtime::Clock;

use super::stream::Stream;
use crate::keeper::client::Duplex;

pub(super) const LATE: &str = "it does not answer in time; wait longer with --timeout";

/// What is sent: nothing, or what comes piece by piece.
pub(super) type Sent = Either<Empty<Bytes>, Channel<Bytes>>;

/// What happened first.
pub(super) enum Event<T> {
    Answer(Response<Incoming>),
    Done(T),
    Late,
}

/// A connection on which one request was asked.
pub(super) struct Link {
    /// None once it has ended.
    connection: Option<BoxFuture<'static, hyper::Result<()>>>,
    /// None once there is an answer.
    answering: Option<BoxFuture<'static, hyper::Result<Response<Incoming>>>>,
    clock: Clock,
}

impl Link {
    pub(super) async fn ask(
        stream: Box<dyn Duplex>,
        clock: Clock,
        request: Request<Sent>,
    ) -> Result<Self, String> {
        let shaking = http1::handshake(TokioIo::new(Stream::new(stream)));
        let (mut sender, connection) = shaking.await.map_err(|error| told(&error))?;
        let answering = async move { sender.send_request(request).await };
        Ok(Link {
            connection: Some(Box::pin(connection)),
            answering: Some(Box::pin(answering)),
            clock,
        })
    }

    /// Works on the connection while this is awaited; none if it takes longer.
    pub(super) async fn during<T>(
        &mut self,
        work: impl Future<Output = T>,
        limit: Duration,
    ) -> Option<T> {
        let mut work = pin!(work);
        let connection = &mut self.connection;
        let both = poll_fn(|context| {
            if let Some(moving) = connection
                && moving.as_mut().poll(context).is_ready()
            {
                // What waits for it hears why it ended.
                *connection = None;
            }
            work.as_mut().poll(context)
        });
        self.clock.timeout(limit, both).await
    }

    /// Works on the connection until there is an answer, or this is done.
    pub(super) async fn until<T>(
        &mut self,
        work: impl Future<Output = T>,
        limit: Duration,
    ) -> Result<Event<T>, String> {
        let mut answering = self.answering.take();
        let mut work = pin!(work);
        let first = poll_fn(|context| {
            if let Some(answer) = &mut answering
                && let Poll::Ready(answer) = answer.as_mut().poll(context)
            {
                answering = None;
                return Poll::Ready(answer.map(Event::Answer));
            }
            work.as_mut()
                .poll(context)
                .map(|done| Ok(Event::Done(done)))
        });
        let first = self.during(first, limit).await;
        self.answering = answering;
        match first {
            Some(event) => event.map_err(|error| told(&error)),
            None => Ok(Event::Late),
        }
    }

    /// The answer to what was asked.
    pub(super) async fn answer(&mut self, limit: Duration) -> Result<Response<Incoming>, String> {
        match self.until(pending::<Infallible>(), limit).await? {
            Event::Answer(response) => Ok(response),
            Event::Done(never) => match never {},
            Event::Late => Err(LATE.to_owned()),
        }
    }
}

/// Why there is no answer.
fn told(error: &hyper::Error) -> String {
    if error.is_parse() {
        "it does not speak HTTP".to_owned()
    } else if error.is_incomplete_message() {
        "it ended the connection without an answer".to_owned()
    } else {
        format!("the connection broke: {}", root(error))
    }
}

/// What is behind an error.
pub(super) fn root(error: &hyper::Error) -> String {
    let source = error.source();
    source.map_or_else(|| error.to_string(), ToString::to_string)
}
