//! The door to the network: TCP of the machine, or turmoil's inside a simulation.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Listens and connects.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    simulated: bool,
}

/// Accepts connections.
pub struct Listener(Listening);

enum Listening {
    Real(tokio::net::TcpListener),
    #[cfg(feature = "sim")]
    Simulated(turmoil::net::TcpListener),
}

/// One TCP connection. `TCP_NODELAY` is set: the protocol's own batching is enough.
pub struct Stream(Connected);

enum Connected {
    Real(tokio::net::TcpStream),
    #[cfg(feature = "sim")]
    Simulated(turmoil::net::TcpStream),
}

/// The pending connections that the kernel keeps for a listener.
const BACKLOG: u32 = 1024;

impl Network {
    pub(crate) fn real() -> Self {
        Network { simulated: false }
    }

    #[cfg(feature = "sim")]
    pub(crate) fn simulated() -> Self {
        Network { simulated: true }
    }

    /// Listens on `host:port`. An empty host means all interfaces.
    pub async fn listen(&self, host: &str, port: u16) -> io::Result<Listener> {
        #[cfg(feature = "sim")]
        if self.simulated {
            let listener = turmoil::net::TcpListener::bind(("0.0.0.0", port)).await?;
            return Ok(Listener(Listening::Simulated(listener)));
        }
        // `::` takes IPv4 as well where the machine has IPv6.
        let hosts: &[&str] = if host.is_empty() {
            &["::", "0.0.0.0"]
        } else {
            &[host]
        };
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for host in hosts {
            for address in tokio::net::lookup_host((*host, port)).await? {
                match bind(address) {
                    Ok(listener) => return Ok(Listener(Listening::Real(listener))),
                    Err(error) => failed = error,
                }
            }
        }
        Err(failed)
    }

    /// The addresses that a name has now, each once and in the resolver's order.
    pub async fn resolve(&self, host: &str, limit: Duration) -> io::Result<Vec<IpAddr>> {
        #[cfg(feature = "sim")]
        if self.simulated {
            return Ok(vec![turmoil::lookup(host)]);
        }
        let looking_up = tokio::net::lookup_host((host, 0));
        let Ok(found) = tokio::time::timeout(limit, looking_up).await else {
            return Err(io::ErrorKind::TimedOut.into());
        };
        let mut addresses = Vec::new();
        for address in found? {
            if !addresses.contains(&address.ip()) {
                addresses.push(address.ip());
            }
        }
        Ok(addresses)
    }

    /// Connects to `host:port`, resolving the name anew each time; tries each of its addresses.
    pub async fn connect(&self, host: &str, port: u16, limit: Duration) -> io::Result<Stream> {
        let connecting = async {
            #[cfg(feature = "sim")]
            if self.simulated {
                let stream = turmoil::net::TcpStream::connect((host, port)).await?;
                return Ok(Stream(Connected::Simulated(stream)));
            }
            let stream = tokio::net::TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            Ok(Stream(Connected::Real(stream)))
        };
        match tokio::time::timeout(limit, connecting).await {
            Ok(result) => result,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Whether this is a simulated network.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.simulated
    }
}

fn bind(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    // A restarted node takes its port back at once, although old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Listener {
    /// The next connection and its peer's address.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match &self.0 {
            Listening::Real(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                keep_alive(&stream)?;
                Ok((Stream(Connected::Real(stream)), peer))
            }
            #[cfg(feature = "sim")]
            Listening::Simulated(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream(Connected::Simulated(stream)), peer))
            }
        }
    }

    /// Where it listens; tells the port that was chosen for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Listening::Real(listener) => listener.local_addr(),
            #[cfg(feature = "sim")]
            Listening::Simulated(listener) => listener.local_addr(),
        }
    }
}

/// Half-open connections (the peer's machine is gone) end after about two minutes.
fn keep_alive(stream: &tokio::net::TcpStream) -> io::Result<()> {
    let probes = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    socket2::SockRef::from(stream).set_tcp_keepalive(&probes)
}

/// Passes a poll to whichever stream it is.
macro_rules! poll_stream {
    ($self:ident, $method:ident ( $($arg:expr),* )) => {
        match &mut $self.get_mut().0 {
            Connected::Real(stream) => Pin::new(stream).$method($($arg),*),
            #[cfg(feature = "sim")]
            Connected::Simulated(stream) => Pin::new(stream).$method($($arg),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        poll_stream!(self, poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        poll_stream!(self, poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_stream!(self, poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Connected::Real(stream) => stream.is_write_vectored(),
            #[cfg(feature = "sim")]
            Connected::Simulated(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_stream!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_stream!(self, poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn bytes_cross_a_real_connection() {
        let network = Network::real();
        let listener = network.listen("127.0.0.1", 0).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let limit = Duration::from_secs(5);
        let (client, accepted) =
            tokio::join!(network.connect("127.0.0.1", port, limit), listener.accept());
        let (mut client, (mut server, _)) = (client.unwrap(), accepted.unwrap());
        client.write_all(b"ping").await.unwrap();
        let mut buf = [0; 4];
        server.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"ping");
    }
}
