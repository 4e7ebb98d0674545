//! What can be wrong with keys, with a login file, and with what a client says about itself.

/// Why something that says who somebody is cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file has no private key.
    #[error("there is no private key in it; a key and its certificates belong in one file")]
    NoPrivateKey,
    /// The file has no certificate.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// The PEM text is damaged or cut off.
    #[error("it is no whole PEM file: {reason}")]
    Pem {
        /// What is wrong with it.
        reason: String,
    },
    /// The private key is encrypted, and does not open.
    #[error("its private key is encrypted and does not open: {reason}")]
    EncryptedKey {
        /// Why.
        reason: String,
    },
    /// The PKCS#12 file does not open.
    #[error("it does not open as PKCS#12: {reason}; is it whole, and is the password right?")]
    Pkcs12 {
        /// Why.
        reason: String,
    },
    /// The file is in Java's own format.
    #[error(
        "it is a JKS keystore, which only Java reads; convert it with keytool -importkeystore \
         -srckeystore OLD.jks -destkeystore NEW.p12 -deststoretype PKCS12"
    )]
    Jks,
    /// The file is longer than any keystore is.
    #[error("it has {bytes} bytes, and a file with keys has no more than {bytes_max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest.
        bytes_max: usize,
    },
    /// Bytes that are no certificate.
    #[error("it is no X.509 certificate: {reason}")]
    Certificate {
        /// What is wrong with it.
        reason: &'static str,
    },
}
