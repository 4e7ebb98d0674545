//! Bytes of a connection whose other end may stop listening before it has spoken.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::keeper::client::Duplex;

/// A stream on which a failed write is no failure: a server that refuses a body answers and ends the
/// connection, and what is to be told is its answer, not that writing has failed. Reading says how
/// such a connection ended.
pub(super) struct Stream {
    inner: Box<dyn Duplex>,
    is_deaf: bool,
}

impl Stream {
    pub(super) fn new(inner: Box<dyn Duplex>) -> Self {
        Stream {
            inner,
            is_deaf: false,
        }
    }

    /// Lets go on to write, unless that has failed; from then on nothing is written.
    fn write<T>(
        &mut self,
        write: impl FnOnce(Pin<&mut dyn Duplex>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.is_deaf {
            return Poll::Pending;
        }
        match write(Pin::new(&mut *self.inner)) {
            Poll::Ready(Err(_)) => {
                self.is_deaf = true;
                // Whoever waits is woken by what can be read: an answer, or the end.
                Poll::Pending
            }
            polled => polled,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(|inner| inner.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(|inner| inner.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|inner| inner.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_shutdown(context)
    }
}
