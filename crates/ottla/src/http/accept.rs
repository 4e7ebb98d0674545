//! axum's listener over the runtime's door to the network, with limits: the HTTP port must not
//! become the way to use up a node's file descriptors.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use ottla_runtime::Clock;
use ottla_runtime::net::{Listener, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Probes and scrapers are few; more connections than this are closed at once.
const CONNECTIONS_MAX: usize = 256;
/// A peer that sends nothing for so long is closed. Scrapers that keep their connection open
/// longer than this simply open another one.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Accepts within the limits.
pub(super) struct Accept {
    listener: Listener,
    clock: Clock,
    places: Arc<Semaphore>,
}

/// A connection that holds its place and ends when its peer falls silent.
pub(super) struct Limited {
    stream: Stream,
    clock: Clock,
    silence: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// How many requests are in work that take longer than a peer may be silent.
    working: Arc<AtomicUsize>,
    _place: OwnedSemaphorePermit,
}

/// Who is at the other end of a request's connection.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    working: Arc<AtomicUsize>,
}

impl Peer {
    /// As long as it is held, the peer may be silent.
    pub(super) fn work(&self) -> Working {
        self.working.fetch_add(1, Ordering::Relaxed);
        Working(Arc::clone(&self.working))
    }
}

impl Connected<IncomingStream<'_, Accept>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Accept>) -> Self {
        Peer {
            address: *stream.remote_addr(),
            working: Arc::clone(&stream.io().working),
        }
    }
}

/// A request is in work.
pub(super) struct Working(Arc<AtomicUsize>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Accept {
    pub(super) fn new(listener: Listener, clock: Clock) -> Self {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Accept {
            listener,
            clock,
            places,
        }
    }
}

impl axum::serve::Listener for Accept {
    type Io = Limited;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Limited, SocketAddr) {
        loop {
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                // Out of file descriptors, or a peer that went away: it passes.
                Err(error) => {
                    tracing::warn!(%error, "an HTTP connection could not be accepted");
                    self.clock.sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                tracing::debug!(%peer, "closed an HTTP connection: {CONNECTIONS_MAX} are open");
                continue;
            };
            return (Limited::new(stream, self.clock.clone(), place), peer);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Limited {
    fn new(stream: Stream, clock: Clock, place: OwnedSemaphorePermit) -> Self {
        let silence = silence(&clock);
        Limited {
            stream,
            clock,
            silence,
            working: Arc::default(),
            _place: place,
        }
    }
}

fn silence(clock: &Clock) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let clock = clock.clone();
    Box::pin(async move { clock.sleep(SILENCE_MAX).await })
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            self.silence = silence(&self.clock);
            return Poll::Ready(read);
        }
        loop {
            ready!(self.silence.as_mut().poll(cx));
            if self.working.load(Ordering::Relaxed) == 0 {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.silence = silence(&self.clock);
        }
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if matches!(written, Poll::Ready(Ok(_))) {
            // Whoever takes a long answer is not silent.
            self.silence = silence(&self.clock);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
