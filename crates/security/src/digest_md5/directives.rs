//! `name=value,name="value"`: the messages of DIGEST-MD5.

use super::{SaslError, TOKEN_BYTES_MAX};

/// The most directives of a message; RFC 2831 has a dozen.
const DIRECTIVES_MAX: usize = 64;

/// The directives of one message, in its order. Names are compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Directives(Vec<(String, Vec<u8>)>);

fn malformed(reason: impl Into<String>) -> SaslError {
    SaslError::Malformed {
        reason: reason.into(),
    }
}

impl Directives {
    /// Reads a message.
    pub(super) fn parse(token: &[u8]) -> Result<Self, SaslError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(malformed(format!(
                "it has {} bytes, and {TOKEN_BYTES_MAX} are the most",
                token.len()
            )));
        }
        let mut found = Vec::new();
        let mut rest = token.trim_ascii();
        while !rest.is_empty() {
            // An empty element of a list is allowed.
            if let Some(tail) = rest.strip_prefix(b",") {
                rest = tail.trim_ascii_start();
                continue;
            }
            let at = rest.iter().position(|&byte| byte == b'=');
            let (name, value) = at
                .and_then(|at| rest.split_at_checked(at))
                .ok_or_else(|| malformed("a directive has no value"))?;
            let name = std::str::from_utf8(name.trim_ascii())
                .ok()
                .filter(|name| !name.is_empty() && name.bytes().all(is_token))
                .ok_or_else(|| malformed("a directive has no proper name"))?;
            let (value, tail) = value_of(value.get(1..).unwrap_or_default().trim_ascii_start())?;
            if found.len() == DIRECTIVES_MAX {
                return Err(malformed("it has too many directives"));
            }
            found.push((name.to_ascii_lowercase(), value));
            rest = tail.trim_ascii_start();
            if !rest.is_empty() && !rest.starts_with(b",") {
                return Err(malformed("two directives have no comma between them"));
            }
        }
        Ok(Directives(found))
    }

    /// The value of a directive that comes once at most.
    pub(super) fn once(&self, name: &'static str) -> Result<Option<&[u8]>, SaslError> {
        let mut values = self.0.iter().filter(|(known, _)| known == name);
        let first = values.next();
        match values.next() {
            Some(_) => Err(malformed(format!("{name} comes twice"))),
            None => Ok(first.map(|(_, value)| value.as_slice())),
        }
    }

    /// The value of a directive that comes exactly once.
    pub(super) fn needed(&self, name: &'static str) -> Result<&[u8], SaslError> {
        self.once(name)?
            .ok_or_else(|| malformed(format!("{name} is missing")))
    }

    /// The first value of a directive that may come several times.
    pub(super) fn first(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value)
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte)
}

/// One value, quoted or not, and what stands behind it.
fn value_of(text: &[u8]) -> Result<(Vec<u8>, &[u8]), SaslError> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|&byte| byte == b',');
        let (value, rest) = text.split_at(end.unwrap_or(text.len()));
        let value = value.trim_ascii_end();
        if value.is_empty() || !value.iter().copied().all(is_token) {
            return Err(malformed("a value that is not quoted is no token"));
        }
        return Ok((value.to_vec(), rest));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((value, quoted.get(at + 1..).unwrap_or_default())),
            b'\\' => value.extend(bytes.next().map(|(_, &escaped)| escaped)),
            _ => value.push(byte),
        }
    }
    Err(malformed("a quoted value has no end"))
}

/// A value in quotes.
pub(super) fn quoted(value: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blanks_empty_elements_and_cases_make_no_difference() {
        let parsed = Directives::parse(b" Realm = \"a\\\"b\" ,, nc=00000001 , ").unwrap();
        assert_eq!(parsed.needed("realm").unwrap(), b"a\"b");
        assert_eq!(parsed.needed("nc").unwrap(), b"00000001");
        assert_eq!(parsed.once("qop").unwrap(), None);
        assert!(parsed.needed("qop").is_err());
    }

    #[test]
    fn what_is_no_list_of_directives_is_refused() {
        let bad: &[&[u8]] = &[
            b"x",
            b"=x",
            b"a=\"b",
            b"a=\"b\"c",
            b"a=b c",
            b"a=",
            b"a b=c",
            b"\xff=c",
        ];
        for token in bad {
            assert!(Directives::parse(token).is_err(), "{token:?}");
        }
        let twice = Directives::parse(b"a=b,a=c").unwrap();
        assert!(twice.once("a").is_err());
        assert_eq!(twice.first("a"), Some(&b"b"[..]));
        assert!(Directives::parse(&b"a=b,".repeat(DIRECTIVES_MAX)).is_ok());
        assert!(Directives::parse(&b"a=b,".repeat(DIRECTIVES_MAX + 1)).is_err());
        assert!(Directives::parse(&[b','; TOKEN_BYTES_MAX + 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_directives_or_an_error(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Directives::parse(&noise);
        }

        #[test]
        fn any_value_survives_its_quotes(value in prop::collection::vec(any::<u8>(), 0..50)) {
            let mut token = b"a=".to_vec();
            token.extend(quoted(&value));
            let parsed = Directives::parse(&token).unwrap();
            prop_assert_eq!(parsed.needed("a").unwrap(), &value[..]);
        }
    }
}
