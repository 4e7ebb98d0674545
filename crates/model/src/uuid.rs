//! Kafka's form of UUIDs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// 16 bytes that name a topic, a log directory or a cluster, printed as URL-safe base64 without
/// padding, as Kafka does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Uuid(pub [u8; 16]);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Uuid {
    /// "No id": all zeros.
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// Makes a version 4 UUID of 16 random bytes, or `None` when its text would begin with `-`,
    /// which Kafka avoids because command lines would take it for a flag. Try again with others.
    #[must_use]
    pub fn from_random(mut bytes: [u8; 16]) -> Option<Self> {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let id = Uuid(bytes);
        (!id.to_string().starts_with('-')).then_some(id)
    }

    /// Draws random bytes until they make one; every 64th time they do not.
    #[must_use]
    pub fn drawn(mut draw: impl FnMut() -> [u8; 16]) -> Self {
        loop {
            if let Some(id) = Uuid::from_random(draw()) {
                return id;
            }
        }
    }

    /// Whether this is [`Uuid::ZERO`].
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Uuid::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        // 128 bits are 21 sextets and 2 bits; the last character carries these 2 bits on top.
        let mut text = [0u8; 22];
        for (i, slot) in text.iter_mut().enumerate() {
            let sextet = if i < 21 {
                (value >> (122 - 6 * i)) & 63
            } else {
                (value & 3) << 4
            };
            *slot = ALPHABET[sextet as usize];
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// The text is not 22 characters of URL-safe base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an id: 22 characters of URL-safe base64 are expected")]
pub struct InvalidId(String);

impl FromStr for Uuid {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let bad = || InvalidId(text.to_owned());
        if text.len() != 22 {
            return Err(bad());
        }
        let mut value = 0u128;
        for (i, b) in text.bytes().enumerate() {
            let sextet = ALPHABET.iter().position(|&a| a == b).ok_or_else(bad)? as u128;
            value = if i < 21 {
                (value << 6) | sextet
            } else {
                (value << 2) | (sextet >> 4)
            };
        }
        Ok(Uuid(value.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_parse_as_kafka_does() {
        // A pair from Kafka's documentation of `kafka-storage random-uuid`.
        let id: Uuid = "4L6g3nShT-eMCtK--X86sw".parse().unwrap();
        assert_eq!(id.to_string(), "4L6g3nShT-eMCtK--X86sw");
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert!("short".parse::<Uuid>().is_err());
        let id = Uuid::from_random([0xab; 16]).unwrap();
        assert_eq!(id.to_string().parse::<Uuid>().unwrap(), id);
    }

    #[test]
    fn an_id_that_looks_like_a_flag_is_drawn_again() {
        // 62, which stands for `-`, in the first six bits.
        let mut draws = [[0xf8; 16], [0xab; 16]].into_iter();
        assert_eq!(Uuid::from_random([0xf8; 16]), None);
        let id = Uuid::drawn(|| draws.next().unwrap());
        assert_eq!(Some(id), Uuid::from_random([0xab; 16]));
        assert_eq!(draws.next(), None);
    }
}
