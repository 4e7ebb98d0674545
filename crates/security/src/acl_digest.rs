//! The ids of ZooKeeper's scheme `digest`: `user:BASE64(hash(user:password))`, as the class
//! `DigestAuthenticationProvider` makes them.

use base64ct::{Base64, Encoding};
use ottla_model::DigestAlgorithm;
use sha1::Digest;

/// The id of whoever gives these credentials, `user:password` in UTF-8.
///
/// Bytes that are no UTF-8 count as the replacement character, and credentials without a colon are a
/// user without a password: ZooKeeper takes both, so this has no error.
#[must_use]
pub fn digest_id(algorithm: DigestAlgorithm, credentials: &[u8]) -> String {
    let text = String::from_utf8_lossy(credentials);
    let user = text.split(':').next().unwrap_or_default();
    let hash = match algorithm {
        DigestAlgorithm::Sha1 => sha1::Sha1::digest(text.as_bytes()).to_vec(),
        DigestAlgorithm::Sha256 => sha2::Sha256::digest(text.as_bytes()).to_vec(),
        DigestAlgorithm::Sha384 => sha2::Sha384::digest(text.as_bytes()).to_vec(),
        DigestAlgorithm::Sha512 => sha2::Sha512::digest(text.as_bytes()).to_vec(),
    };
    format!("{user}:{}", Base64::encode_string(&hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `DigestAuthenticationProvider.generateDigest` and `MessageDigest` of OpenJDK 17 give.
    #[test]
    fn ids_are_those_that_zookeeper_makes() {
        let ids = [
            (
                DigestAlgorithm::Sha1,
                "super:admin",
                "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=",
            ),
            (
                DigestAlgorithm::Sha1,
                "alone",
                "alone:GwXWN/BAnMmbTdC1Aj5CHFLZt2Q=",
            ),
            (
                DigestAlgorithm::Sha256,
                "bob:a:b",
                "bob:csXVL0bO75IKssVDSC7A/xqs6VrZoUcO0SVECTioPFM=",
            ),
            (
                DigestAlgorithm::Sha512,
                "jürgen:pässword",
                "jürgen:tGrf2Fj/emnfYXt2zS8ffLrKnYYHptYzAQvjiCvqyAokwHehRtoO1mCsLTybpV30iotk0w7995aT41luL2PK9w==",
            ),
        ];
        let nobody = "gU4717PZ9I3uf+e44tBg+786rNCE/pPwHLFmqCy/wfrEtN1LYTzZ3ccol/zNbXxQ";
        let id = digest_id(DigestAlgorithm::Sha384, b":x");
        assert_eq!(id, format!(":{nobody}"));
        for (algorithm, credentials, id) in ids {
            assert_eq!(digest_id(algorithm, credentials.as_bytes()), id);
        }
    }
}
