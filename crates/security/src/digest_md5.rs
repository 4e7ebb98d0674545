//! SASL's mechanism DIGEST-MD5 (RFC 2831), as ZooKeeper's servers and clients speak it: quality of
//! protection `auth`, realm and host `zk-sasl-md5`, service `zookeeper`.
//!
//! ```text
//! client                                                     server
//!   (nothing) ─────────────────────────────────────────────────▶
//!   ◀────── realm="zk-sasl-md5",nonce="…",qop="auth",charset=utf-8,algorithm=md5-sess
//!   username="bob",realm=…,nonce=…,cnonce=…,nc=00000001,digest-uri=…,response=HEX ─▶
//!   ◀────────────────────────────────────────────────────── rspauth=HEX
//! ```
//!
//! The password does not cross the wire, and both sides show that they know it. MD5 is old; whoever
//! listens can try passwords offline, so this belongs inside of TLS. ZooKeeper has nothing newer but
//! Kerberos.

mod client;
mod directives;
mod server;

use std::fmt::Write as _;

use md5::{Digest, Md5};

pub use client::DigestMd5Client;
pub use server::{DigestMd5Server, ServerStep, Users};

/// The realm and the host of ZooKeeper's servers (`ZooKeeperSaslServer`).
pub const ZOOKEEPER_REALM: &str = "zk-sasl-md5";
/// The service of ZooKeeper's servers.
pub const ZOOKEEPER_SERVICE: &str = "zookeeper";

/// The longest message that is looked at: RFC 2831 has no longer ones.
pub const TOKEN_BYTES_MAX: usize = 4096;

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// What came is not what the exchange is at.
    #[error("{what} came out of turn")]
    OutOfTurn {
        /// What came.
        what: &'static str,
    },
    /// The message is not in RFC 2831's syntax, or lacks something.
    #[error("the message is no DIGEST-MD5: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The other side wants what is not offered.
    #[error("{name}={value} is not supported")]
    Unsupported {
        /// The directive.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// The answer belongs to another question.
    #[error("{name} is not what was sent: the answer belongs to another exchange")]
    Mismatch {
        /// The directive.
        name: &'static str,
    },
    /// The user is unknown, or the password is wrong. Which of them is not told.
    #[error("{user} is unknown, or the password is wrong")]
    Denied {
        /// Whom the client claims to be.
        user: String,
    },
    /// The server does not know the password.
    #[error("the server did not show that it knows the password")]
    ServerUnproved,
}

/// What both sides compute a proof from.
struct Proof<'a> {
    user: &'a [u8],
    realm: &'a [u8],
    password: &'a [u8],
    nonce: &'a [u8],
    cnonce: &'a [u8],
    count: &'a [u8],
    qop: &'a [u8],
    uri: &'a [u8],
    authzid: Option<&'a [u8]>,
}

impl Proof<'_> {
    /// What the client shows (`response`).
    fn of_client(&self) -> String {
        self.digest(b"AUTHENTICATE:")
    }

    /// What the server shows (`rspauth`).
    fn of_server(&self) -> String {
        self.digest(b":")
    }

    /// RFC 2831, section 2.1.2.1.
    fn digest(&self, before_uri: &[u8]) -> String {
        let secret = Md5::new()
            .chain_update(self.user)
            .chain_update(b":")
            .chain_update(self.realm)
            .chain_update(b":")
            .chain_update(self.password)
            .finalize();
        let mut first = Md5::new()
            .chain_update(secret)
            .chain_update(b":")
            .chain_update(self.nonce)
            .chain_update(b":")
            .chain_update(self.cnonce);
        if let Some(authzid) = self.authzid {
            first.update(b":");
            first.update(authzid);
        }
        let second = Md5::new()
            .chain_update(before_uri)
            .chain_update(self.uri)
            .finalize();
        let mut all = Md5::new();
        all.update(in_hex(&first.finalize()));
        for part in [self.nonce, self.count, self.cnonce, self.qop] {
            all.update(b":");
            all.update(part);
        }
        all.update(b":");
        all.update(in_hex(&second));
        in_hex(&all.finalize())
    }
}

fn in_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Compares without telling by its time where the difference is.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let difference = |sum, (a, b): (&u8, &u8)| sum | (a ^ b);
    one.len() == other.len() && one.iter().zip(other).fold(0, difference) == 0
}

/// A text as RFC 2831 wants it hashed when `charset=utf-8`: in ISO 8859-1 if all its characters are
/// there, and else in UTF-8.
fn hashed_text(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect::<Option<Vec<u8>>>()
        .unwrap_or_else(|| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests;
