//! One of several operators works; the others wait for it to be gone. The lease is an object at the
//! API server (`coordination.k8s.io/v1` Lease).

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::ObjectMeta;
use kube::{Api, Client};
use ottla_runtime::{Instant, Runtime};

use crate::context::posting;
use crate::error::{Asked, Error};

/// How long a lease holds without being renewed.
const LEASE: Duration = Duration::from_secs(15);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(4);
/// After so long without a renewal the work ends, before somebody else can begin.
const GIVE_UP: Duration = Duration::from_secs(11);
/// How often one who waits looks.
const LOOK: Duration = Duration::from_secs(2);
const NAME: &str = "ottla-operator";

/// A candidate.
pub(crate) struct Election {
    api: Api<Lease>,
    runtime: Runtime,
    identity: String,
}

/// The lease of somebody else, and since when it has looked the same from here: clocks of different
/// machines are not compared.
struct Seen {
    version: Option<String>,
    holder: Option<String>,
    at: Instant,
}

impl Election {
    pub(crate) fn new(client: Client, runtime: Runtime, namespace: &str, identity: String) -> Self {
        Election {
            api: Api::namespaced(client, namespace),
            runtime,
            identity,
        }
    }

    /// Waits until this one leads.
    pub(crate) async fn win(&self) {
        let mut seen: Option<Seen> = None;
        loop {
            match self.attempt(&mut seen).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!("the lease cannot be had: {error}"),
            }
            self.runtime.clock.sleep(LOOK).await;
        }
    }

    /// Renews the lease until that does not work any more.
    pub(crate) async fn keep(&self) -> Error {
        let mut renewed = self.runtime.clock.instant();
        loop {
            self.runtime.clock.sleep(RENEW).await;
            let attempt = self.runtime.clock.timeout(RENEW, self.renew()).await;
            let failed = match attempt {
                Some(Ok(true)) => {
                    renewed = self.runtime.clock.instant();
                    continue;
                }
                Some(Ok(false)) => {
                    return Error::Start("somebody else has the lease now".to_owned());
                }
                Some(Err(error)) => error.to_string(),
                None => "the API server does not answer".to_owned(),
            };
            let since = self.runtime.clock.instant().duration_since(renewed);
            tracing::warn!(
                "the lease was not renewed for {} s: {failed}",
                since.as_secs()
            );
            if since > GIVE_UP {
                return Error::Start(format!(
                    "the lease could not be renewed for {} s ({failed}); another operator may take over",
                    since.as_secs()
                ));
            }
        }
    }

    /// Gives the lease away, so that nobody has to wait for its end.
    pub(crate) async fn resign(&self) {
        let given: Result<(), Error> = async {
            let lease = self
                .api
                .get(NAME)
                .await
                .when(|| format!("asking for Lease {NAME}"))?;
            if holder(&lease) == Some(self.identity.as_str()) {
                let mut lease = lease;
                if let Some(spec) = &mut lease.spec {
                    spec.holder_identity = None;
                }
                let replaced = self.api.replace(NAME, &posting(), &lease).await;
                replaced.when(|| format!("giving Lease {NAME} away"))?;
            }
            Ok(())
        }
        .await;
        if let Err(error) = given {
            tracing::debug!("the lease stays until its end: {error}");
        }
    }

    async fn attempt(&self, seen: &mut Option<Seen>) -> Result<bool, Error> {
        let asked = || format!("asking for Lease {NAME}");
        let Some(lease) = self.api.get_opt(NAME).await.when(asked)? else {
            return self.create().await;
        };
        let version = lease.metadata.resource_version.clone();
        let held_by = holder(&lease).map(str::to_owned);
        let now = self.runtime.clock.instant();
        let same = seen
            .as_ref()
            .filter(|seen| seen.version == version && seen.holder == held_by);
        let since = same.map_or(Duration::ZERO, |seen| now.duration_since(seen.at));
        if same.is_none() {
            *seen = Some(Seen {
                version,
                holder: held_by.clone(),
                at: now,
            });
        }
        let is_free = held_by
            .as_ref()
            .is_none_or(|holder| *holder == self.identity);
        if !is_free && since < LEASE {
            return Ok(false);
        }
        self.take(lease).await
    }

    async fn create(&self) -> Result<bool, Error> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(self.spec(0)),
        };
        self.won(self.api.create(&posting(), &lease).await)
    }

    /// Takes a lease over. The version in it makes sure that nobody else was faster.
    async fn take(&self, mut lease: Lease) -> Result<bool, Error> {
        let transitions = lease.spec.as_ref().and_then(|spec| spec.lease_transitions);
        lease.spec = Some(self.spec(transitions.unwrap_or(0).saturating_add(1)));
        self.won(self.api.replace(NAME, &posting(), &lease).await)
    }

    async fn renew(&self) -> Result<bool, Error> {
        let lease = self
            .api
            .get(NAME)
            .await
            .when(|| format!("asking for Lease {NAME}"))?;
        if holder(&lease) != Some(self.identity.as_str()) {
            return Ok(false);
        }
        let mut lease = lease;
        if let Some(spec) = &mut lease.spec {
            spec.renew_time = Some(MicroTime(self.now()));
        }
        self.won(self.api.replace(NAME, &posting(), &lease).await)
    }

    fn won(&self, written: Result<Lease, kube::Error>) -> Result<bool, Error> {
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error).when(|| format!("writing Lease {NAME}")),
        }
    }

    fn spec(&self, transitions: i32) -> LeaseSpec {
        let now = MicroTime(self.now());
        LeaseSpec {
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    fn now(&self) -> Timestamp {
        let now = self.runtime.clock.now_ms();
        Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease
        .spec
        .as_ref()?
        .holder_identity
        .as_deref()
        .filter(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests;
