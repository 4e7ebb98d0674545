//! Files with keys and certificates: PEM, and PKCS#12.
//!
//! ```text
//! -----BEGIN PRIVATE KEY-----    also RSA, EC and ENCRYPTED ones
//! -----BEGIN CERTIFICATE-----    the own one, then those that lead to the root
//! ```
//!
//! As ZooKeeper's `PEMFileLoader` and `PKCS12FileLoader` read them: one file has the key and its
//! chain, another one those who are trusted.

use ottla_model::{Secret, StoreFormat};
use p12_keystore::{KeyStore, Pkcs12Archive, Pkcs12ImportPolicy};
use rustls_pki_types::pem::{self, PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Error;

/// The longest file with keys. A machine's whole collection of roots has a fifth of it.
pub const STORE_BYTES_MAX: usize = 1 << 20;

/// A private key and the certificates that prove whose it is.
#[derive(Debug)]
pub struct OwnKeys {
    /// The key.
    pub key: PrivateKeyDer<'static>,
    /// The own certificate first, then those that lead towards the root.
    pub chain: Vec<CertificateDer<'static>>,
}

/// Reads a file with a private key and its certificates.
///
/// # Errors
/// What is wrong with the file.
pub fn own_keys(
    format: StoreFormat,
    bytes: &[u8],
    password: Option<&Secret>,
) -> Result<OwnKeys, Error> {
    check_length(bytes)?;
    let keys = match format {
        StoreFormat::Pem => own_pem(bytes, password)?,
        StoreFormat::Pkcs12 => own_pkcs12(bytes, password)?,
        StoreFormat::Jks => return Err(Error::Jks),
    };
    match keys.chain.is_empty() {
        true => Err(Error::NoCertificate),
        false => Ok(keys),
    }
}

/// Reads a file with the certificates of those who are trusted, at least one.
///
/// # Errors
/// What is wrong with the file.
pub fn trusted(
    format: StoreFormat,
    bytes: &[u8],
    password: Option<&Secret>,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    check_length(bytes)?;
    let certificates = match format {
        StoreFormat::Pem => pem_certificates(bytes)?,
        StoreFormat::Pkcs12 => trusted_pkcs12(bytes, password)?,
        StoreFormat::Jks => return Err(Error::Jks),
    };
    match certificates.is_empty() {
        true => Err(Error::NoCertificate),
        false => Ok(certificates),
    }
}

fn check_length(bytes: &[u8]) -> Result<(), Error> {
    match bytes.len() > STORE_BYTES_MAX {
        true => Err(Error::TooLong {
            bytes: bytes.len(),
            bytes_max: STORE_BYTES_MAX,
        }),
        false => Ok(()),
    }
}

fn damaged(error: &pem::Error) -> Error {
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a section begins wrongly".to_owned(),
        pem::Error::Base64Decode(reason) => reason.clone(),
        other => other.to_string(),
    };
    Error::Pem { reason }
}

/// Whoever writes the file in place can be caught in the middle of a line that begins or ends a
/// section, which would pass for a remark between the sections.
fn check_lines(bytes: &[u8]) -> Result<(), Error> {
    for line in bytes.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        let is_whole = (line.starts_with(b"-----BEGIN ") || line.starts_with(b"-----END "))
            && line.ends_with(b"-----");
        if line.starts_with(b"-") && !is_whole {
            let reason = "a line that begins or ends a section is not whole".to_owned();
            return Err(Error::Pem { reason });
        }
    }
    Ok(())
}

fn own_pem(bytes: &[u8], password: Option<&Secret>) -> Result<OwnKeys, Error> {
    let chain = pem_certificates(bytes)?;
    let mut plain: Option<PrivateKeyDer<'static>> = None;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        let (kind, der) = section.map_err(|error| damaged(&error))?;
        if let Some(key) = PrivateKeyDer::from_pem(kind, der)
            && plain.replace(key).is_some()
        {
            let reason = "there is more than one private key".to_owned();
            return Err(Error::Pem { reason });
        }
    }
    let key = match plain {
        Some(key) => key,
        None => encrypted_key(bytes, password)?.ok_or(Error::NoPrivateKey)?,
    };
    Ok(OwnKeys { key, chain })
}

fn pem_certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    check_lines(bytes)?;
    CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| damaged(&error))
}

const ENCRYPTED_BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// The key of a section `ENCRYPTED PRIVATE KEY` (RFC 5958), if there is one.
fn encrypted_key(
    bytes: &[u8],
    password: Option<&Secret>,
) -> Result<Option<PrivateKeyDer<'static>>, Error> {
    use base64ct::{Base64, Encoding};
    use pkcs8::EncryptedPrivateKeyInfoRef;

    let text = String::from_utf8_lossy(bytes);
    let Some((_, rest)) = text.split_once(ENCRYPTED_BEGIN) else {
        return Ok(None);
    };
    let (body, _) = rest.split_once(ENCRYPTED_END).ok_or_else(|| Error::Pem {
        reason: "the encrypted private key has no end".to_owned(),
    })?;
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = Base64::decode_vec(&body).map_err(|error| Error::Pem {
        reason: error.to_string(),
    })?;
    let refused = |reason: &str| Error::EncryptedKey {
        reason: reason.to_owned(),
    };
    let password = password.ok_or_else(|| refused("no password is set"))?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der.as_slice())
        .map_err(|error| refused(&error.to_string()))?;
    let opened = encrypted
        .decrypt(password.expose())
        .map_err(|_| refused("the password is wrong, or its encryption is not PBES2 with AES"))?;
    let key = PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec());
    Ok(Some(key.into()))
}

fn refused_pkcs12(error: &p12_keystore::error::Error) -> Error {
    Error::Pkcs12 {
        reason: error.to_string(),
    }
}

fn exposed(password: Option<&Secret>) -> &str {
    password.map_or("", Secret::expose)
}

/// Java's JKS files say so in their first four bytes.
fn refuse_jks(bytes: &[u8]) -> Result<(), Error> {
    match bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) {
        true => Err(Error::Jks),
        false => Ok(()),
    }
}

fn own_pkcs12(bytes: &[u8], password: Option<&Secret>) -> Result<OwnKeys, Error> {
    refuse_jks(bytes)?;
    let store = KeyStore::from_pkcs12(bytes, exposed(password), Pkcs12ImportPolicy::Relaxed)
        .map_err(|error| refused_pkcs12(&error))?;
    let (_, keys) = store.private_key_chain().ok_or(Error::NoPrivateKey)?;
    let key = PrivatePkcs8KeyDer::from(keys.key().as_der().to_vec());
    let chain = keys.certs().iter().map(|one| one.as_der().to_vec().into());
    Ok(OwnKeys {
        key: key.into(),
        chain: chain.collect(),
    })
}

/// Java marks trusted certificates, OpenSSL does not; but only the certificate of a private key has
/// the number of that key.
fn trusted_pkcs12(
    bytes: &[u8],
    password: Option<&Secret>,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    refuse_jks(bytes)?;
    let archive = Pkcs12Archive::from_pkcs12(bytes, exposed(password))
        .map_err(|error| refused_pkcs12(&error))?;
    Ok(archive
        .certs
        .iter()
        .filter(|bag| bag.trusted || bag.local_key_id.is_none())
        .map(|bag| bag.cert.as_der().to_vec().into())
        .collect())
}

#[cfg(test)]
mod tests;
