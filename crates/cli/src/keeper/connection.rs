//! The flags of every command that speaks to a keeper: where it is, who asks, and over what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ottla_model::{ClientAuth, Secret, StoreFile, StoreFormat, TlsOptions, TlsVersion};
use ottla_net::tls::Tls;
use ottla_runtime::Runtime;

use super::servers::{DEFAULT_SERVERS, Servers};
use crate::{Error, moment};

/// How long a session outlives its connection when nothing is said.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT_MS: u64 = 10_000;

/// Flags of every command that connects to a keeper's port for clients.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Keeper")]
pub(super) struct ConnectionArgs {
    /// The servers, and a chroot if there is one: zk-0:2181,zk-1:2181/kafka [default:
    /// 127.0.0.1:2181] [env: OTTLA_KEEPER_SERVERS, ZK_CONNECT]
    #[arg(short = 'S', long, global = true, value_name = "HOST:PORT,…[/CHROOT]")]
    pub server: Option<String>,
    /// Who asks, such as digest:alice:secret; may be repeated [env: OTTLA_KEEPER_AUTH]
    #[arg(short, long, global = true, value_name = "SCHEME:CREDENTIALS")]
    pub auth: Vec<String>,
    /// How long the session outlives its connection [default: 30s]
    #[arg(long, global = true, value_parser = moment::duration, value_name = "TIME")]
    pub session_timeout: Option<Duration>,
    /// Connect to the port for TLS; needs --tls-ca
    #[arg(long, global = true)]
    pub tls: bool,
    /// The certificates that are trusted: a PEM or PKCS#12 file; means --tls [env: OTTLA_TLS_CA]
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Own certificate and key in one PEM or PKCS#12 file, for servers that ask for one [env:
    /// OTTLA_TLS_KEY_STORE]
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_key_store: Option<PathBuf>,
    /// A file whose first line is the password of these files [env: OTTLA_TLS_PASSWORD_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_password_file: Option<PathBuf>,
    /// Do not compare the server's name with its certificate
    #[arg(long, global = true)]
    pub tls_any_name: bool,
}

/// An identity to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) scheme: String,
    pub(crate) secret: Secret,
}

impl Credentials {
    /// Reads `SCHEME:CREDENTIALS`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some((scheme, secret)) if !scheme.is_empty() && !secret.is_empty() => Ok(Credentials {
                scheme: scheme.to_owned(),
                secret: Secret::new(secret),
            }),
            // What was written may be a password, and is not repeated.
            _ => Err(Error::Usage(
                "--auth is no SCHEME:CREDENTIALS: write digest:USER:PASSWORD, such as \
                 digest:alice:secret"
                    .to_owned(),
            )),
        }
    }
}

impl Credentials {
    /// What a packet proves.
    pub(crate) fn of_packet(packet: &ottla_jute::AuthPacket) -> Option<Self> {
        let secret = std::str::from_utf8(packet.auth.as_deref()?).ok()?;
        Some(Credentials {
            scheme: packet.scheme.clone()?,
            secret: Secret::new(secret),
        })
    }
}

/// [`ConnectionArgs`] with the environment and the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) servers: Servers,
    pub(crate) auth: Vec<Credentials>,
    pub(crate) session_timeout: Duration,
    /// `None` in the clear.
    pub(crate) tls: Option<TlsOptions>,
}

impl ConnectionArgs {
    /// Fills in what the environment and the defaults say.
    pub(crate) fn resolve(&self, env: &BTreeMap<String, String>) -> Result<Target, Error> {
        let variable = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let servers = self.server.as_ref();
        let servers = servers
            .or_else(|| variable("OTTLA_KEEPER_SERVERS"))
            .or_else(|| variable("ZK_CONNECT"))
            .map_or(DEFAULT_SERVERS, String::as_str);
        let mut auth: Vec<&str> = self.auth.iter().map(String::as_str).collect();
        if auth.is_empty() {
            let of_environment = variable("OTTLA_KEEPER_AUTH").map(String::as_str);
            auth.extend(of_environment.into_iter().flat_map(str::lines));
        }
        let auth = auth.into_iter().map(str::trim).filter(|a| !a.is_empty());
        Ok(Target {
            servers: Servers::parse(servers)?,
            auth: auth.map(Credentials::parse).collect::<Result<_, _>>()?,
            session_timeout: self.session_timeout.unwrap_or(SESSION_TIMEOUT),
            tls: self.tls_options(env)?,
        })
    }

    fn tls_options(&self, env: &BTreeMap<String, String>) -> Result<Option<TlsOptions>, Error> {
        let path = |flag: &Option<PathBuf>, name: &str| {
            let of_environment = || {
                let value = env.get(name).filter(|value| !value.is_empty());
                value.map(PathBuf::from)
            };
            flag.clone().or_else(of_environment)
        };
        if !self.tls && self.tls_ca.is_none() {
            if self.tls_key_store.is_some() || self.tls_any_name {
                return Err(Error::Usage(
                    "--tls-key-store and --tls-any-name mean nothing without --tls".to_owned(),
                ));
            }
            return Ok(None);
        }
        let Some(ca) = path(&self.tls_ca, "OTTLA_TLS_CA") else {
            return Err(Error::Usage(
                "--tls needs --tls-ca FILE: the certificates that are trusted".to_owned(),
            ));
        };
        let password_path = path(&self.tls_password_file, "OTTLA_TLS_PASSWORD_FILE");
        let store = |path: PathBuf| StoreFile {
            format: format_of(&path),
            path,
            password: None,
            password_path: password_path.clone(),
        };
        Ok(Some(TlsOptions {
            key_store: path(&self.tls_key_store, "OTTLA_TLS_KEY_STORE").map(store),
            trust_store: Some(store(ca)),
            versions: vec![TlsVersion::V1_2, TlsVersion::V1_3],
            cipher_suites: Vec::new(),
            client_auth: ClientAuth::None,
            hostname_verification: !self.tls_any_name,
            client_hostname_verification: false,
            handshake_timeout_ms: HANDSHAKE_TIMEOUT_MS,
        }))
    }
}

/// The format of a file with keys, by its name.
fn format_of(path: &Path) -> StoreFormat {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "p12" | "pfx" | "pkcs12" => StoreFormat::Pkcs12,
        "jks" => StoreFormat::Jks,
        _ => StoreFormat::Pem,
    }
}

impl Target {
    /// Reads the keys, where there are some.
    pub(crate) async fn load_tls(&self, runtime: &Runtime) -> Result<Option<Tls>, Error> {
        let Some(options) = self.tls.clone() else {
            return Ok(None);
        };
        match Tls::load(runtime, options).await {
            Ok(tls) => Ok(Some(tls)),
            Err(error) => Err(Error::Failed {
                action: "preparing TLS".to_owned(),
                reason: error.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_default() {
        let mut args = ConnectionArgs::default();
        let servers = |args: &ConnectionArgs, pairs: &[(&str, &str)]| {
            args.resolve(&env(pairs)).unwrap().servers.text()
        };
        assert_eq!(servers(&args, &[]), "127.0.0.1:2181");
        assert_eq!(servers(&args, &[("ZK_CONNECT", "b")]), "b:2181");
        let both = [("ZK_CONNECT", "b"), ("OTTLA_KEEPER_SERVERS", "a:1")];
        assert_eq!(servers(&args, &both), "a:1");
        args.server = Some("c".to_owned());
        assert_eq!(servers(&args, &both), "c:2181");
    }

    #[test]
    fn credentials_come_one_a_line_from_the_environment_and_are_not_told() {
        let two = env(&[("OTTLA_KEEPER_AUTH", "digest:a:b:c\nip:x\n")]);
        let target = ConnectionArgs::default().resolve(&two).unwrap();
        let told: Vec<_> = target
            .auth
            .iter()
            .map(|c| (c.scheme.as_str(), c.secret.expose()))
            .collect();
        assert_eq!(told, [("digest", "a:b:c"), ("ip", "x")]);
        assert!(!format!("{target:?}").contains("a:b:c"));
        let wrong = ConnectionArgs {
            auth: vec!["secretword".to_owned()],
            ..ConnectionArgs::default()
        };
        let refused = wrong.resolve(&env(&[])).unwrap_err().to_string();
        assert!(!refused.contains("secretword"), "{refused}");
        assert!(refused.contains("digest:USER:PASSWORD"), "{refused}");
    }

    #[test]
    fn tls_needs_somebody_to_trust() {
        let mut args = ConnectionArgs {
            tls: true,
            ..ConnectionArgs::default()
        };
        let refused = args.resolve(&env(&[])).unwrap_err().to_string();
        assert!(refused.contains("--tls-ca FILE"), "{refused}");
        let of_environment = env(&[("OTTLA_TLS_CA", "ca.p12")]);
        let tls = args.resolve(&of_environment).unwrap().tls.unwrap();
        assert_eq!(tls.trust_store.unwrap().format, StoreFormat::Pkcs12);
        assert!(tls.hostname_verification);
        args.tls = false;
        assert_eq!(args.resolve(&of_environment).unwrap().tls, None);
        args.tls_any_name = true;
        assert!(args.resolve(&env(&[])).is_err());
    }
}
