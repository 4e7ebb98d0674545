//! Guesses who is there when the first bytes of a connection are no length of a Kafka request.

use std::fmt;

/// What the first four bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    /// The ClientHello of TLS (RFC 8446, 5.1): a record of type 22, version 3.x.
    Tls,
    /// The method of an HTTP request.
    Http,
    /// Letters and the like, which spell this.
    Text([u8; 4]),
    /// Nothing that is known.
    Nothing,
}

const HTTP_METHODS: [&[u8; 4]; 9] = [
    b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"PATC", b"CONN", b"PRI ",
];

impl Guess {
    pub(crate) fn of(bytes: [u8; 4]) -> Self {
        match bytes {
            [0x16, 0x03, 0..=4, _] => Guess::Tls,
            _ if HTTP_METHODS.contains(&&bytes) => Guess::Http,
            _ if bytes.iter().all(|b| matches!(b, b' '..=b'~')) => Guess::Text(bytes),
            _ => Guess::Nothing,
        }
    }
}

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Guess::Tls => f.write_str(
                "the client speaks TLS, but this listener does not; set security.protocol to \
                 PLAINTEXT in the client, or use a port with TLS",
            ),
            Guess::Http => f.write_str(
                "the client speaks HTTP, but this port speaks Kafka's protocol; health and \
                 metrics are on the HTTP port",
            ),
            Guess::Text(bytes) => write!(
                f,
                "the client does not speak Kafka's protocol; its first bytes are the text {:?}",
                String::from_utf8_lossy(bytes)
            ),
            Guess::Nothing => f.write_str("the client does not speak Kafka's protocol"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_told_apart() {
        assert_eq!(Guess::of([0x16, 3, 1, 2]), Guess::Tls);
        assert_eq!(Guess::of(*b"GET "), Guess::Http);
        assert_eq!(Guess::of(*b"SSH-"), Guess::Text(*b"SSH-"));
        assert_eq!(Guess::of([0xff; 4]), Guess::Nothing);
        assert_eq!(Guess::of([0x7f, 0xff, 0xff, 0xff]), Guess::Nothing);
    }
}
