//! A listener for clients, and how many connections it takes.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ottla_net::LogLimit;
use ottla_net::tls::{self, Tls};
use ottla_runtime::net::Listener;
use ottla_runtime::{Service, Shutdown, TaskKind};
use parking_lot::Mutex;

use crate::clients::auth;
use crate::clients::serve::{Origin, Stream, serve};
use crate::server::Server;

/// How long a listener rests when the system has no more connections to give.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// The connections of a listener, counted.
#[derive(Default)]
struct Counted {
    all: u64,
    by_address: BTreeMap<IpAddr, u64>,
}

/// A listener at work.
pub(crate) struct Accept {
    pub(crate) server: Arc<Server>,
    pub(crate) listener: Listener,
    /// On a port that speaks TLS.
    tls: Option<Tls>,
    counted: Arc<Mutex<Counted>>,
    complaints: Arc<LogLimit>,
}

/// A connection's place, until it ends.
struct Place {
    counted: Arc<Mutex<Counted>>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counted = self.counted.lock();
        counted.all -= 1;
        if let Some(count) = counted.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counted.by_address.remove(&self.address);
            }
        }
    }
}

/// A handshake of TLS, counted until it has ended, be it because nobody waits for it any more.
struct Handshake<'a>(&'a Server);

impl<'a> Handshake<'a> {
    async fn shake<T>(
        server: &'a Server,
        shaking: impl Future<Output = Result<T, tls::Error>>,
    ) -> io::Result<T> {
        server.meters.handshakes_begun.add(1);
        let _handshake = Handshake(server);
        let shaken = shaking.await;
        shaken.map_err(|error| {
            server.meters.handshakes_failed.add(1);
            match error {
                // Whoever only looks whether the port is open concerns nobody.
                tls::Error::Io(error) => error,
                error => io::Error::new(io::ErrorKind::InvalidData, error),
            }
        })
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        self.0.meters.handshakes_ended.add(1);
    }
}

impl Accept {
    pub(crate) fn new(server: &Arc<Server>, listener: Listener, tls: Option<Tls>) -> Self {
        Accept {
            server: Arc::clone(server),
            listener,
            tls,
            counted: Arc::default(),
            complaints: Arc::new(LogLimit::new(server.runtime.clock.clone())),
        }
    }

    /// A place for a connection, or why there is none.
    fn admit(&self, address: IpAddr) -> Result<Place, String> {
        let limits = &self.server.config.limits;
        let mut counted = self.counted.lock();
        if let Some(most) = limits.connections_max
            && counted.all >= most
        {
            return Err(format!("{most} connections are open already (maxCnxns)"));
        }
        let of_address = counted.by_address.entry(address).or_default();
        if let Some(most) = limits.connections_per_ip_max
            && *of_address >= most
        {
            return Err(format!(
                "{most} connections from {address} are open already (maxClientCnxns)"
            ));
        }
        *of_address += 1;
        counted.all += 1;
        let counted = Arc::clone(&self.counted);
        Ok(Place { counted, address })
    }

    fn take(&self, stream: ottla_runtime::net::Stream, peer: SocketAddr) {
        let place = match self.admit(peer.ip().to_canonical()) {
            Ok(place) => place,
            Err(reason) => {
                if self
                    .server
                    .meters
                    .connections_rejected
                    .next()
                    .is_multiple_of(1_000)
                {
                    tracing::warn!(%peer, reason, "a connection is refused");
                }
                return;
            }
        };
        let (server, tls) = (Arc::clone(&self.server), self.tls.clone());
        if tls.is_none() {
            let meters = &server.meters;
            match peer.ip().to_canonical().is_loopback() {
                true => meters.plaintext_local.add(1),
                false => meters.plaintext_remote.add(1),
            }
        }
        let serving = async move {
            let mut origin = Origin {
                peer,
                secure: tls.is_some(),
                identities: Vec::new(),
            };
            let stream: Stream = match tls {
                None => Box::new(stream),
                Some(tls) => {
                    let secured = Handshake::shake(&server, tls.accept(stream, peer)).await?;
                    if let Some(certificate) = secured.peer_certificates().first() {
                        origin.identities = auth::of_certificate(&server, certificate);
                    }
                    Box::new(secured)
                }
            };
            let served = Box::pin(serve(server, stream, origin)).await;
            drop(place);
            served
        };
        let tasks = &self.server.runtime.tasks;
        let shutdown = tasks.shutdown().clone();
        let complaints = Arc::clone(&self.complaints);
        tasks.spawn(TaskKind::Connection, "a client", async move {
            let served = tokio::select! {
                biased;
                () = shutdown.announced() => Ok(()),
                served = serving => served,
            };
            if let Err(error) = &served {
                complain(&complaints, peer, error);
            }
            served
        });
    }
}

/// Says why a connection was closed, if what came is to blame: whoever set the client up wants to
/// know. One that has just gone away is none of that.
fn complain(complaints: &LogLimit, peer: SocketAddr, error: &io::Error) {
    if error.kind() == io::ErrorKind::InvalidData
        && let Some(suppressed) = complaints.pass()
    {
        tracing::warn!(%peer, %error, suppressed, "a client's connection is closed");
    }
}

impl Service for Accept {
    async fn run(self, shutdown: Shutdown) -> Result<(), String> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.take(stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "a client cannot be accepted");
                    self.server.runtime.clock.sleep(EXHAUSTED).await;
                }
            }
        }
    }
}
