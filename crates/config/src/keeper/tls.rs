//! `ssl.*` for clients and `ssl.quorum.*` between servers: the same properties twice.

use ottla_model::{ClientAuth, Secret, StoreFile, StoreFormat, TlsOptions, TlsVersion};

use crate::declare::declare_properties;
use crate::property::{
    Bounds::{Any, AtLeast, OneOf},
    Effect::Works,
};

/// The names that a keystore's or truststore's type takes.
const STORE_TYPES: &[&str] = &["PEM", "PKCS12", "JKS", "pem", "pkcs12", "jks"];

/// The versions that are there; older ones are refused by name.
const PROTOCOLS: &[&str] = &["TLSv1.3", "TLSv1.2"];

/// Declares one of the two families, and how it is read.
macro_rules! tls_properties {
    ($Struct:ident, $TABLE:ident, $prefix:literal) => {
        declare_properties! {
            #[doc = concat!("`", $prefix, "*`, as it stands in its sources.")]
            pub(crate) struct $Struct { table $TABLE }

            KeeperTls {
                key_store_location: Option<String>, concat!($prefix, "keyStore.location"),
                    Any, None, Restart, Works;
                    "The file with the own key and certificates. It is read again when it changes, without a restart."
                key_store_password: Option<Secret>, concat!($prefix, "keyStore.password"),
                    Any, None, Restart, Works;
                    "Its password."
                key_store_password_path: Option<String>, concat!($prefix, "keyStore.passwordPath"),
                    Any, None, Restart, Works;
                    "The file whose first line is its password; it counts before the password itself."
                key_store_type: Option<String>, concat!($prefix, "keyStore.type"),
                    OneOf(STORE_TYPES), None, Restart, Works;
                    "Its format; unset, the end of its name tells it: .pem, .p12, .pfx, .jks. JKS is refused with the command that converts it."
                trust_store_location: Option<String>, concat!($prefix, "trustStore.location"),
                    Any, None, Restart, Works;
                    "The file with the certificates of those who are trusted. It is read again when it changes."
                trust_store_password: Option<Secret>, concat!($prefix, "trustStore.password"),
                    Any, None, Restart, Works;
                    "Its password."
                trust_store_password_path: Option<String>, concat!($prefix, "trustStore.passwordPath"),
                    Any, None, Restart, Works;
                    "The file whose first line is its password; it counts before the password itself."
                trust_store_type: Option<String>, concat!($prefix, "trustStore.type"),
                    OneOf(STORE_TYPES), None, Restart, Works;
                    "Its format, as that of the keystore."
                protocol: String = "TLSv1.3", concat!($prefix, "protocol"),
                    OneOf(PROTOCOLS), None, Restart, Works;
                    "The newest version of TLS, if enabledProtocols is unset."
                enabled_protocols: Option<Vec<String>>, concat!($prefix, "enabledProtocols"),
                    OneOf(PROTOCOLS), None, Restart, Works;
                    "The versions of TLS, separated by commas."
                cipher_suites: Vec<String> = "", concat!($prefix, "ciphersuites"),
                    Any, None, Restart, Works;
                    "The cipher suites by their IANA names, separated by commas; empty is all that are safe."
                client_auth: String = "need", concat!($prefix, "clientAuth"),
                    OneOf(&["none", "want", "need"]), None, Restart, Works;
                    "Whether whoever connects is asked for a certificate, and whether it must have one."
                hostname_verification: bool = "true", concat!($prefix, "hostnameVerification"),
                    Any, None, Restart, Works;
                    "Whether a server that is connected to must have a certificate for its host name."
                client_hostname_verification: bool = "false", concat!($prefix, "clientHostnameVerification"),
                    Any, None, Restart, Works;
                    "Whether whoever connects must have a certificate for the address that it comes from; it needs hostnameVerification. ZooKeeper has it on between servers, but not while its fips-mode is on, as it is by default."
                handshake_timeout_ms: i32 = "5000", concat!($prefix, "handshakeDetectionTimeoutMillis"),
                    AtLeast(1), Ms, Restart, Works;
                    "How long a handshake may take."
            }
        }

        impl $Struct {
            /// What is set, unless there is no keystore.
            ///
            /// # Errors
            /// The property and what is wrong with it.
            pub(crate) fn build(self) -> Result<Option<TlsOptions>, (String, String)> {
                let Some(path) = self.key_store_location else {
                    return Ok(None);
                };
                let key_store = store(
                    $prefix,
                    "keyStore",
                    path,
                    self.key_store_type,
                    self.key_store_password,
                    self.key_store_password_path,
                )?;
                let client_auth = match self.client_auth.as_str() {
                    "none" => ClientAuth::None,
                    "want" => ClientAuth::Want,
                    _ => ClientAuth::Need,
                };
                let trust_store = match self.trust_store_location {
                    Some(path) => Some(store(
                        $prefix,
                        "trustStore",
                        path,
                        self.trust_store_type,
                        self.trust_store_password,
                        self.trust_store_password_path,
                    )?),
                    None => None,
                };
                Ok(Some(TlsOptions {
                    key_store: Some(key_store),
                    trust_store,
                    versions: versions(&self.protocol, self.enabled_protocols),
                    cipher_suites: self.cipher_suites,
                    client_auth,
                    hostname_verification: self.hostname_verification,
                    client_hostname_verification: self.hostname_verification
                        && self.client_hostname_verification,
                    handshake_timeout_ms: u64::try_from(self.handshake_timeout_ms).unwrap_or(1),
                }))
            }
        }
    };
}

tls_properties!(ClientTlsProperties, CLIENT_TLS_PROPERTIES, "ssl.");
tls_properties!(QuorumTlsProperties, QUORUM_TLS_PROPERTIES, "ssl.quorum.");

fn versions(protocol: &str, enabled: Option<Vec<String>>) -> Vec<TlsVersion> {
    let enabled = enabled.filter(|names| !names.is_empty());
    let is_enabled = |name: &str| match &enabled {
        Some(names) => names.iter().any(|known| known == name),
        None => name == "TLSv1.2" || protocol == name,
    };
    let all = [("TLSv1.2", TlsVersion::V1_2), ("TLSv1.3", TlsVersion::V1_3)];
    all.into_iter()
        .filter(|(name, _)| is_enabled(name))
        .map(|(_, version)| version)
        .collect()
}

fn store(
    prefix: &str,
    which: &str,
    path: String,
    kind: Option<String>,
    password: Option<Secret>,
    password_path: Option<String>,
) -> Result<StoreFile, (String, String)> {
    let kind = kind.map(|kind| kind.to_ascii_uppercase());
    let format = match kind.as_deref() {
        Some("PEM") => Some(StoreFormat::Pem),
        Some("PKCS12") => Some(StoreFormat::Pkcs12),
        Some("JKS") => Some(StoreFormat::Jks),
        _ => format_of_name(&path),
    };
    match format {
        Some(format) => Ok(StoreFile {
            path: path.into(),
            format,
            password,
            password_path: password_path.map(Into::into),
        }),
        None => Err((
            format!("{prefix}{which}.location = {path}"),
            format!(
                "its name does not tell its format; let it end in .pem or .p12, or set \
                 {prefix}{which}.type to PEM or PKCS12"
            ),
        )),
    }
}

fn format_of_name(path: &str) -> Option<StoreFormat> {
    let name = path.to_ascii_lowercase();
    let formats = [
        (".pem", StoreFormat::Pem),
        (".p12", StoreFormat::Pkcs12),
        (".pfx", StoreFormat::Pkcs12),
        (".pkcs12", StoreFormat::Pkcs12),
        (".jks", StoreFormat::Jks),
    ];
    formats
        .into_iter()
        .find(|(end, _)| name.ends_with(end))
        .map(|(_, format)| format)
}
