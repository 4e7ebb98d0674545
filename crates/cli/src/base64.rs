//! Base64 (RFC 4648, with padding) for bytes that are no text.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| chunk.get(index).copied().unwrap_or(0);
        let bits = u32::from_be_bytes([0, at(0), at(1), at(2)]);
        for place in 0..4 {
            if place <= chunk.len() {
                let index = (bits >> (18 - 6 * place)) & 63;
                text.push(char::from(ALPHABET[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// Decodes a text; blanks and line ends in it mean nothing, and padding may be left out.
pub(crate) fn decode(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut padding = false;
    for (at, letter) in text.iter().enumerate() {
        match letter {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'=' => {
                padding = true;
                continue;
            }
            _ => {}
        }
        let value = ALPHABET.iter().position(|known| known == letter);
        let value = value.filter(|_| !padding);
        let value = value.ok_or_else(|| format!("byte {at} does not belong there"))?;
        bits = (bits << 6) | u32::try_from(value).unwrap_or(0);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    // Six bits alone are no byte, and bits that are left over are zero.
    if count == 6 || bits != 0 {
        return Err("it is cut off".to_owned());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn the_rfcs_own_examples_hold() {
        let expected = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in expected {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()), Ok(bytes.as_bytes().to_vec()));
        }
        assert_eq!(encode(&[0xff, 0x00, 0xfe]), "/wD+");
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        assert_eq!(decode(b"/w\nD+ "), Ok(vec![0xff, 0x00, 0xfe]));
        assert_eq!(decode(b"Zg"), Ok(b"f".to_vec()));
        for wrong in ["Z", "Zg==Zg==", "Z-==", "Zh==", "ZgZ"] {
            assert!(decode(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
