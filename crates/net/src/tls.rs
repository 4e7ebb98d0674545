//! TLS on top of a connection: for a port that clients connect to, and for connections between
//! nodes.
//!
//! ```text
//! keystore, truststore ──read again every few seconds──▶ Tls (the newest good keys)
//!                                                         │
//!  Stream ──accept(peer's address)──▶ Secured ◀──connect(host)── Stream
//! ```
//!
//! A handshake uses the newest keys and certificates that were good; connections that are there stay
//! as they are. A new file that is damaged, half written or does not fit together changes nothing: the
//! log names it, and the old one stays in use. That the files are compared by what is in them, and not
//! by their times, is for those that are links which something else swaps, such as Kubernetes'
//! secrets.
//!
//! What fails in a handshake concerns its connection alone. The library is rustls, its cryptography
//! aws-lc-rs, and nothing else.

mod error;
mod secured;
mod settings;
mod store;
mod verify;

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use ottla_model::TlsOptions;
use ottla_runtime::net::Stream;
use ottla_runtime::{Clock, Disk, Runtime, Shutdown, TaskKind, Tasks};
use parking_lot::Mutex;
use rustls::pki_types::ServerName;

pub use error::Error;
pub use secured::Secured;

use settings::Settings;
use store::Files;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// TLS with the keys that are newest. Clones share them.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    options: TlsOptions,
    clock: Clock,
    disk: Arc<dyn Disk>,
    tasks: Tasks,
    current: ArcSwap<Settings>,
    seen: Mutex<Seen>,
}

/// What the last look at the files showed.
struct Seen {
    /// The files that are in use.
    used: Files,
    /// What was last complained of: the same complaint is not logged again and again.
    complaint: Option<String>,
}

impl Tls {
    /// Reads the keys, and goes on looking for newer ones until the shutdown, or until the last
    /// clone is gone.
    ///
    /// # Errors
    /// A file that cannot be used, or options that no connection could satisfy.
    pub async fn load(runtime: &Runtime, options: TlsOptions) -> Result<Self, Error> {
        let clock = runtime.clock.clone();
        let (disk, options) = (Arc::clone(&runtime.disk), options);
        let reading = {
            let (disk, options, clock) = (Arc::clone(&disk), options.clone(), clock.clone());
            move || {
                let files = Files::read(&disk, &options)?;
                let settings = Settings::of(&files, &options, &clock)?;
                Ok::<_, Error>((files, settings))
            }
        };
        let (used, settings) = runtime.tasks.blocking(reading).await?;
        for name in &settings.suites_left_out {
            tracing::warn!(
                suite = %name,
                "this cipher suite is not offered: it is unknown, or not safe enough"
            );
        }
        let shared = Arc::new(Shared {
            options,
            clock,
            disk,
            tasks: runtime.tasks.clone(),
            current: ArcSwap::from_pointee(settings),
            seen: Mutex::new(Seen {
                used,
                complaint: None,
            }),
        });
        let looking = look(Arc::downgrade(&shared), runtime.shutdown().clone());
        runtime
            .tasks
            .spawn(TaskKind::Housekeeping, "certificates", async move {
                looking.await;
                Ok::<_, std::convert::Infallible>(())
            });
        Ok(Tls(shared))
    }

    /// Looks for newer keys now; tells whether they were taken.
    ///
    /// # Errors
    /// A file that cannot be used: the old keys stay.
    pub async fn reload(&self) -> Result<bool, Error> {
        self.0.reload().await
    }

    /// Takes a connection: the other side begins the handshake. `peer` is where it comes from.
    ///
    /// # Errors
    /// Why the connection is refused; it is closed then.
    pub async fn accept(&self, stream: Stream, peer: SocketAddr) -> Result<Secured, Error> {
        let settings = self.0.current.load_full();
        let server = settings.server.clone().ok_or(Error::NoKeys)?;
        let handshake = tokio_rustls::TlsAcceptor::from(server).accept(stream);
        let stream = self.within_limit(handshake).await?;
        let secured = Secured::new(stream.into());
        if self.0.options.client_hostname_verification
            && let Some(leaf) = secured.peer_certificates().first()
        {
            verify::is_from(leaf, peer.ip())?;
        }
        Ok(secured)
    }

    /// Secures a connection that was made to `host`.
    ///
    /// # Errors
    /// Why the other side is not trusted, or does not take the connection.
    pub async fn connect(&self, stream: Stream, host: &str) -> Result<Secured, Error> {
        let settings = self.0.current.load_full();
        let client = settings.client.clone().ok_or(Error::NoTrust)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::HostName {
            host: host.to_owned(),
        })?;
        let handshake = tokio_rustls::TlsConnector::from(client).connect(name, stream);
        let stream = self.within_limit(handshake).await?;
        Ok(Secured::new(stream.into()))
    }

    async fn within_limit<T>(
        &self,
        handshake: impl Future<Output = std::io::Result<T>>,
    ) -> Result<T, Error> {
        let limit_ms = self.0.options.handshake_timeout_ms;
        let limit = Duration::from_millis(limit_ms);
        match self.0.clock.timeout(limit, handshake).await {
            Some(done) => done.map_err(|error| Error::handshake(&error)),
            None => Err(Error::Timeout { limit_ms }),
        }
    }
}

impl Shared {
    async fn reload(self: &Arc<Self>) -> Result<bool, Error> {
        let this = Arc::clone(self);
        let reading = move || {
            let files = Files::read(&this.disk, &this.options)?;
            if this.seen.lock().used == files {
                return Ok(None);
            }
            let settings = Settings::of(&files, &this.options, &this.clock)?;
            Ok(Some((files, settings)))
        };
        let Some((files, settings)) = self.tasks.blocking(reading).await? else {
            self.seen.lock().complaint = None;
            return Ok(false);
        };
        self.current.store(Arc::new(settings));
        *self.seen.lock() = Seen {
            used: files,
            complaint: None,
        };
        Ok(true)
    }

    /// Looks for newer keys, and logs what came of it.
    async fn look_once(self: &Arc<Self>) {
        match self.reload().await {
            Ok(true) => tracing::info!("new keys and certificates are in use"),
            Ok(false) => {}
            Err(error) => {
                let text = error.to_string();
                let mut seen = self.seen.lock();
                if seen.complaint.as_ref() != Some(&text) {
                    tracing::error!("{text}; the keys and certificates from before stay in use");
                    seen.complaint = Some(text);
                }
            }
        }
    }
}

async fn look(shared: Weak<Shared>, shutdown: Shutdown) {
    loop {
        let Some(clock) = shared.upgrade().map(|shared| shared.clock.clone()) else {
            return;
        };
        tokio::select! {
            biased;
            () = shutdown.announced() => return,
            () = clock.sleep(LOOK_EVERY) => {}
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.look_once().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
