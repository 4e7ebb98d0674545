//! Escapes in texts of the command line, where a tab or a newline is hard to type.

/// Reads what stands behind a backslash.
pub(crate) fn escape(chars: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match chars.next() {
        Some('n') => Ok(b'\n'),
        Some('r') => Ok(b'\r'),
        Some('t') => Ok(b'\t'),
        Some('0') => Ok(0),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let digit = |c: Option<char>| c.and_then(|c| c.to_digit(16));
            let (high, low) = (digit(chars.next()), digit(chars.next()));
            high.zip(low)
                .and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
                .ok_or_else(|| "\\x needs two hexadecimal digits, such as \\x1f".to_owned())
        }
        Some(c) => Err(format!(
            "\\{c} is no escape; there are \\n \\r \\t \\0 \\\\ and \\xHH"
        )),
        None => Err("a backslash stands at the end; write \\\\ for one".to_owned()),
    }
}

/// Reads a text with escapes and no fields, such as a delimiter.
pub(crate) fn escaped(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => bytes.push(escape(&mut chars)?),
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn escapes_stand_for_their_bytes() {
        assert_eq!(escaped("a\\tb"), Ok(b"a\tb".to_vec()));
        assert_eq!(escaped(r"\r\n\0\\\x1f"), Ok(b"\r\n\0\\\x1f".to_vec()));
        assert_eq!(escaped("ä:"), Ok("ä:".as_bytes().to_vec()));
    }

    #[test]
    fn unknown_escapes_are_named() {
        assert_eq!(
            escaped(r"\q"),
            Err(r"\q is no escape; there are \n \r \t \0 \\ and \xHH".to_owned())
        );
        assert!(escaped("\\").is_err());
        assert!(escaped(r"\x1").is_err());
        assert!(escaped(r"\xzz").is_err());
    }
}
