//! Who a certificate says that its owner is, as ZooKeeper's scheme `x509` names them: the subject in
//! the manner of RFC 2253, exactly as Java's `X500Principal.getName()` writes it
//! (`X509AuthenticationProvider.getClientId`).
//!
//! ```text
//! CN=zk1,OU=Eng,O=Acme\, Inc.,C=DE            the last of the name comes first
//! 1.2.840.113549.1.9.1=#160f626f62…,CN=bob    what RFC 2253 has no word for, as its bytes
//! ```

use std::fmt::Write as _;

use crate::Error;
use crate::der::{
    CONTEXT_0, INTEGER, OBJECT_IDENTIFIER, Reader, SEQUENCE, SET, Value, object_identifier,
};

/// The words that RFC 2253 has for kinds of attributes.
const WORDS: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// Kinds of strings that Java writes as text: UTF8, Printable, T61, IA5, General and BMP.
const TEXTS: &[u8] = &[0x0c, 0x13, 0x14, 0x16, 0x1b, 0x1e];

/// The most characters of a name: a certificate must not make the server remember a book.
const NAME_LEN_MAX: usize = 4096;

/// The subject of a certificate.
///
/// # Errors
/// [`Error::Certificate`] for bytes that are none.
pub fn subject(certificate: &[u8]) -> Result<String, Error> {
    let refused = |reason| Error::Certificate { reason };
    let name = find_subject(certificate).ok_or_else(|| refused("it has no subject"))?;
    let name = of_name(name).ok_or_else(|| refused("its subject is no name"))?;
    match name.len() > NAME_LEN_MAX {
        true => Err(refused("its subject is too long")),
        false => Ok(name),
    }
}

/// The subject's bytes: `Name` in RFC 5280, section 4.1.
fn find_subject(certificate: &[u8]) -> Option<&[u8]> {
    let outer = Reader::new(certificate).tagged(SEQUENCE)?;
    let mut fields = Reader::new(Reader::new(outer.content).tagged(SEQUENCE)?.content);
    // The version is left out in certificates of version 1.
    let _version = fields.tagged(CONTEXT_0);
    fields.tagged(INTEGER)?;
    let _signature = fields.tagged(SEQUENCE)?;
    let _issuer = fields.tagged(SEQUENCE)?;
    let _validity = fields.tagged(SEQUENCE)?;
    fields.tagged(SEQUENCE).map(|subject| subject.encoded)
}

/// The text of a `Name`.
fn of_name(name: &[u8]) -> Option<String> {
    let mut sets = Reader::new(Reader::new(name).tagged(SEQUENCE)?.content);
    let mut parts = Vec::new();
    while !sets.is_empty() {
        let mut attributes = Reader::new(sets.tagged(SET)?.content);
        let mut texts = Vec::new();
        while !attributes.is_empty() {
            texts.push(attribute(attributes.tagged(SEQUENCE)?)?);
        }
        parts.push(texts.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn attribute(pair: Value<'_>) -> Option<String> {
    let mut pair = Reader::new(pair.content);
    let kind = object_identifier(pair.tagged(OBJECT_IDENTIFIER)?.content)?;
    let value = pair.any()?;
    let word = WORDS.iter().find(|(number, _)| *number == kind);
    Some(match word {
        Some((_, word)) if TEXTS.contains(&value.tag) => {
            // Java reads every kind of text as UTF-8, even those that are not.
            let text = String::from_utf8_lossy(value.content);
            format!("{word}={}", escaped(&text))
        }
        Some((_, word)) => format!("{word}={}", in_hex(value.encoded)),
        None => format!("{kind}={}", in_hex(value.encoded)),
    })
}

fn in_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(1 + 2 * bytes.len());
    text.push('#');
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn escaped(text: &str) -> String {
    let is_blank = |c: char| c == ' ' || c == '\r';
    let lead = text.len() - text.trim_start_matches(is_blank).len();
    let trail = text.trim_end_matches(is_blank).len();
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '\0' => out.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            _ if at < lead || at >= trail => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
