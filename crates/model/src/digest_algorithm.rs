//! Which hash stands in the ids of ZooKeeper's scheme `digest`.

/// The hash in `user:BASE64(hash(user:password))`
/// (`zookeeper.DigestAuthenticationProvider.digestAlg`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// `SHA1`, ZooKeeper's default.
    #[default]
    Sha1,
    /// `SHA-256`
    Sha256,
    /// `SHA-384`
    Sha384,
    /// `SHA-512`
    Sha512,
}

impl DigestAlgorithm {
    /// The names that [`DigestAlgorithm::parse`] knows, which are Java's.
    pub const NAMES: &'static [&'static str] = &["SHA1", "SHA-1", "SHA-256", "SHA-384", "SHA-512"];

    /// The algorithm that Java calls so.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "SHA1" | "SHA-1" => Some(DigestAlgorithm::Sha1),
            "SHA-256" => Some(DigestAlgorithm::Sha256),
            "SHA-384" => Some(DigestAlgorithm::Sha384),
            "SHA-512" => Some(DigestAlgorithm::Sha512),
            _ => None,
        }
    }
}
