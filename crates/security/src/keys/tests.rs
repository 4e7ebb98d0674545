#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::distinguished_name::subject;

// Made by OpenSSL 3.0 and by keytool of OpenJDK 17: the certificate O=Acme,CN=zk1, signed by CN=Test
// CA, in a hundred years of validity; the password is `sesame`.
const SEC1_PEM: &[u8] = include_bytes!("fixtures/sec1.pem");
const ENCRYPTED_PEM: &[u8] = include_bytes!("fixtures/encrypted.pem");
const JAVA_TRUST: &[u8] = include_bytes!("fixtures/java-trust.p12");
const OPENSSL_TRUST: &[u8] = include_bytes!("fixtures/openssl-trust.p12");
const JKS: &[u8] = include_bytes!("fixtures/java.jks");
const KEY_STORES: &[(&str, &[u8])] = &[
    ("openssl", include_bytes!("fixtures/openssl.p12")),
    (
        "openssl -legacy",
        include_bytes!("fixtures/openssl-legacy.p12"),
    ),
    ("java", include_bytes!("fixtures/java.p12")),
    ("java 8", include_bytes!("fixtures/java-legacy.p12")),
];

fn sesame() -> Secret {
    Secret::new("sesame")
}

fn names(chain: &[CertificateDer<'_>]) -> Vec<String> {
    chain.iter().map(|one| subject(one).unwrap()).collect()
}

#[test]
fn keystores_of_java_and_openssl_hold_the_same_key_and_chain() {
    let pem = own_keys(StoreFormat::Pem, SEC1_PEM, None).unwrap();
    assert_eq!(names(&pem.chain), ["CN=zk1,O=Acme", "CN=Test CA"]);
    for (name, bytes) in KEY_STORES {
        let keys = own_keys(StoreFormat::Pkcs12, bytes, Some(&sesame())).unwrap();
        assert_eq!(keys.chain, pem.chain, "{name}");
        assert!(matches!(keys.key, PrivateKeyDer::Pkcs8(_)), "{name}");
    }
}

#[test]
fn an_encrypted_key_opens_with_its_password_only() {
    let open = |password: Option<&Secret>| own_keys(StoreFormat::Pem, ENCRYPTED_PEM, password);
    let keys = open(Some(&sesame())).unwrap();
    assert_eq!(names(&keys.chain), ["CN=zk1,O=Acme", "CN=Test CA"]);
    let (_, plain) = KEY_STORES[0];
    let same = own_keys(StoreFormat::Pkcs12, plain, Some(&sesame())).unwrap();
    let tail = |key: &PrivateKeyDer<'_>| key.secret_der().to_vec();
    assert_eq!(tail(&keys.key), tail(&same.key));
    let wrong = Secret::new("open");
    assert!(matches!(
        open(Some(&wrong)),
        Err(Error::EncryptedKey { .. })
    ));
    assert!(matches!(open(None), Err(Error::EncryptedKey { .. })));
}

#[test]
fn trust_stores_of_java_and_openssl_hold_their_certificates() {
    for bytes in [JAVA_TRUST, OPENSSL_TRUST] {
        let roots = trusted(StoreFormat::Pkcs12, bytes, Some(&sesame())).unwrap();
        assert_eq!(names(&roots), ["CN=Test CA"]);
    }
    let both = trusted(StoreFormat::Pem, SEC1_PEM, None).unwrap();
    assert_eq!(both.len(), 2);
}

#[test]
fn a_wrong_password_and_a_cut_file_are_told_apart_from_a_good_one() {
    for (name, bytes) in KEY_STORES {
        for password in [None, Some(&Secret::new("wrong"))] {
            let refused = own_keys(StoreFormat::Pkcs12, bytes, password);
            assert!(matches!(refused, Err(Error::Pkcs12 { .. })), "{name}");
        }
        let cut = &bytes[..bytes.len() - 1];
        let refused = own_keys(StoreFormat::Pkcs12, cut, Some(&sesame()));
        assert!(matches!(refused, Err(Error::Pkcs12 { .. })), "{name}");
    }
}

#[test]
fn java_own_format_is_refused_with_the_command_that_converts_it() {
    for format in [StoreFormat::Jks, StoreFormat::Pkcs12] {
        let refused = trusted(format, JKS, Some(&sesame())).unwrap_err();
        assert_eq!(refused, Error::Jks);
        assert!(refused.to_string().contains("keytool -importkeystore"));
    }
}

#[test]
fn a_file_that_lacks_something_says_what() {
    let text = std::str::from_utf8(SEC1_PEM).unwrap();
    let at = text.find("-----BEGIN CERTIFICATE").unwrap();
    let (key, certificates) = text.split_at(at);
    let own = |text: &str| own_keys(StoreFormat::Pem, text.as_bytes(), None).unwrap_err();
    assert_eq!(own(certificates), Error::NoPrivateKey);
    assert_eq!(own(key), Error::NoCertificate);
    let roots = trusted(StoreFormat::Pem, b"nothing", None);
    assert_eq!(roots.unwrap_err(), Error::NoCertificate);
    let twice = format!("{key}{text}");
    assert!(matches!(own(&twice), Error::Pem { .. }));
    let long = vec![b' '; STORE_BYTES_MAX + 1];
    let refused = trusted(StoreFormat::Pem, &long, None);
    assert!(matches!(refused, Err(Error::TooLong { .. })));
}

/// Whoever writes the file in place can be caught in the middle of it.
#[test]
fn a_half_written_file_is_no_key_file() {
    let whole = own_keys(StoreFormat::Pem, SEC1_PEM, None).unwrap();
    for len in 0..SEC1_PEM.len() {
        if let Ok(keys) = own_keys(StoreFormat::Pem, &SEC1_PEM[..len], None) {
            // Only at the end of a section is a part of a file a whole one.
            assert_eq!(keys.chain[0], whole.chain[0]);
            assert!(SEC1_PEM[..len].trim_ascii_end().ends_with(b"-----"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_damaged_store_ends_in_keys_or_an_error(which in 0_usize..4, at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = KEY_STORES[which].1.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = own_keys(StoreFormat::Pkcs12, &bytes, Some(&sesame()));
        let _ = trusted(StoreFormat::Pkcs12, &bytes, Some(&sesame()));
    }

    #[test]
    fn a_damaged_pem_file_ends_in_keys_or_an_error(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = SEC1_PEM.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = value;
        let _ = own_keys(StoreFormat::Pem, &bytes, None);
    }
}
