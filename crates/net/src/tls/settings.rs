//! From files and options to what rustls wants.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ottla_model::{ClientAuth, StoreFile, TlsOptions, TlsVersion};
use ottla_runtime::Clock;
use ottla_security::keys;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::Error;
use super::store::Files;
use super::verify::AnyName;

/// What handshakes are made with.
pub(super) struct Settings {
    /// For connections that are taken; none without own keys.
    pub(super) server: Option<Arc<ServerConfig>>,
    /// For connections that are made; none when nobody is trusted.
    pub(super) client: Option<Arc<ClientConfig>>,
    /// Cipher suites that were asked for and are not offered.
    pub(super) suites_left_out: Vec<String>,
}

/// Certificates are valid or not by the node's own clock.
struct NodeTime(Clock);

impl fmt::Debug for NodeTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeTime")
    }
}

impl TimeProvider for NodeTime {
    fn current_time(&self) -> Option<UnixTime> {
        let now_ms = u64::try_from(self.0.now_ms()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(now_ms)))
    }
}

/// What both sides share.
struct Common {
    provider: Arc<CryptoProvider>,
    time: Arc<NodeTime>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl Settings {
    pub(super) fn of(files: &Files, options: &TlsOptions, clock: &Clock) -> Result<Self, Error> {
        let (provider, suites_left_out) = provider(options)?;
        let common = Common {
            provider,
            time: Arc::new(NodeTime(clock.clone())),
            versions: versions(options),
        };
        let roots = match (&options.trust_store, &files.trust) {
            (Some(store), Some(contents)) => {
                let found =
                    keys::trusted(store.format, &contents.bytes, contents.password.as_ref());
                let certificates = found.map_err(|source| refused_store(store, source))?;
                Some(Arc::new(roots(certificates, store)?))
            }
            _ => None,
        };
        let own = match (&options.key_store, &files.keys) {
            (Some(store), Some(contents)) => {
                let found =
                    keys::own_keys(store.format, &contents.bytes, contents.password.as_ref());
                Some((store, found.map_err(|source| refused_store(store, source))?))
            }
            _ => None,
        };
        let server = match &own {
            Some((store, own)) => Some(server(&common, options, store, own, roots.as_ref())?),
            None => None,
        };
        let client = match roots {
            Some(roots) => Some(client(&common, options, own, roots)?),
            None => None,
        };
        Ok(Settings {
            server,
            client,
            suites_left_out,
        })
    }
}

fn refused_store(store: &StoreFile, source: ottla_security::Error) -> Error {
    Error::Store {
        path: store.path.clone(),
        source,
    }
}

fn versions(options: &TlsOptions) -> Vec<&'static SupportedProtocolVersion> {
    let known = [
        (TlsVersion::V1_3, &rustls::version::TLS13),
        (TlsVersion::V1_2, &rustls::version::TLS12),
    ];
    known
        .into_iter()
        .filter(|(version, _)| options.versions.contains(version))
        .map(|(_, version)| version)
        .collect()
}

/// The cryptography, with the cipher suites that were asked for.
fn provider(options: &TlsOptions) -> Result<(Arc<CryptoProvider>, Vec<String>), Error> {
    let mut provider = aws_lc_rs::default_provider();
    if options.cipher_suites.is_empty() {
        return Ok((Arc::new(provider), Vec::new()));
    }
    let mut left_out = Vec::new();
    let mut suites = Vec::new();
    for wanted in &options.cipher_suites {
        // rustls writes TLS13_… for what IANA calls TLS_….
        let known = provider.cipher_suites.iter().find(|suite| {
            let name = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
            name == *wanted
        });
        match known {
            Some(suite) => suites.push(*suite),
            None => left_out.push(wanted.clone()),
        }
    }
    if suites.is_empty() {
        let reason = format!(
            "none of the cipher suites {} is offered; leave them out for all that are safe",
            options.cipher_suites.join(", ")
        );
        return Err(Error::Options { reason });
    }
    provider.cipher_suites = suites;
    Ok((Arc::new(provider), left_out))
}

fn roots(
    certificates: Vec<rustls::pki_types::CertificateDer<'static>>,
    store: &StoreFile,
) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| Error::Trust {
            path: store.path.clone(),
            reason: error.to_string(),
        })?;
    }
    Ok(roots)
}

fn options_refused(error: &rustls::Error) -> Error {
    Error::Options {
        reason: format!("TLS versions and cipher suites do not fit together: {error}"),
    }
}

fn keys_refused(path: PathBuf) -> impl FnOnce(rustls::Error) -> Error {
    move |error| Error::Keys {
        path,
        reason: error.to_string(),
    }
}

fn server(
    common: &Common,
    options: &TlsOptions,
    store: &StoreFile,
    own: &keys::OwnKeys,
    roots: Option<&Arc<RootCertStore>>,
) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::clone(&common.provider);
    let time = Arc::clone(&common.time);
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), time)
        .with_protocol_versions(&common.versions)
        .map_err(|error| options_refused(&error))?;
    let builder = match (options.client_auth, roots) {
        (ClientAuth::None, _) => builder.with_no_client_auth(),
        (_, None) => {
            let reason = "clients are to be asked for certificates, and there is no truststore to \
                          judge them by";
            return Err(Error::Options {
                reason: reason.to_owned(),
            });
        }
        (wanted, Some(roots)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider);
            let verifier = match wanted {
                ClientAuth::Want => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            let verifier = verifier.build().map_err(|error| Error::Options {
                reason: format!("clients' certificates cannot be judged: {error}"),
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(own.chain.clone(), own.key.clone_key())
        .map_err(keys_refused(store.path.clone()))?;
    Ok(Arc::new(config))
}

fn client(
    common: &Common,
    options: &TlsOptions,
    own: Option<(&StoreFile, keys::OwnKeys)>,
    roots: Arc<RootCertStore>,
) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::clone(&common.provider);
    let time = Arc::clone(&common.time);
    let builder = ClientConfig::builder_with_details(Arc::clone(&provider), time)
        .with_protocol_versions(&common.versions)
        .map_err(|error| options_refused(&error))?;
    let builder = if options.hostname_verification {
        builder.with_root_certificates(roots)
    } else {
        let verifier = Arc::new(AnyName::new(roots, provider));
        builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
    };
    let config = match own {
        Some((store, own)) => builder
            .with_client_auth_cert(own.chain, own.key)
            .map_err(keys_refused(store.path.clone()))?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}
