//! The bytes of a connection: plain TCP, or TLS on top of it.
//!
//! Everything else in this folder sees a [`Duplex`] and does not know which of the two it is.

use std::io;
use std::net::SocketAddr;

use ottla_model::TlsOptions;
use ottla_net::tls::Tls;
use ottla_runtime::Runtime;
use ottla_runtime::net::Stream;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Error;

/// A connection's both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// What a new connection is wrapped in: TLS, or nothing.
#[derive(Clone)]
pub(crate) struct Wrap(Option<Tls>);

impl Wrap {
    /// Reads the keys, if there is TLS between the servers (`sslQuorum`).
    pub(crate) async fn load(runtime: &Runtime, tls: Option<TlsOptions>) -> Result<Self, Error> {
        let Some(options) = tls else {
            return Ok(Wrap(None));
        };
        let tls = Tls::load(runtime, options).await;
        tls.map(|tls| Wrap(Some(tls))).map_err(Error::QuorumTls)
    }

    /// A connection that another server has opened from an address.
    pub(crate) async fn accepted(
        &self,
        stream: Stream,
        from: SocketAddr,
    ) -> io::Result<Box<dyn Duplex>> {
        Ok(match &self.0 {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.accept(stream, from).await.map_err(io::Error::other)?),
        })
    }

    /// A connection that this server has opened to a host.
    pub(crate) async fn connected(
        &self,
        stream: Stream,
        host: &str,
    ) -> io::Result<Box<dyn Duplex>> {
        Ok(match &self.0 {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(stream, host).await.map_err(io::Error::other)?),
        })
    }
}
