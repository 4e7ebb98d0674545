//! Lines of input, and the records that they are.

use std::io::{self, BufRead, Read as _};

use bytes::Bytes;

/// The longest line in bytes. Kafka's default takes records of 1 MiB; this leaves room for topics
/// that take more, and keeps a file without newlines from filling the memory.
pub(super) const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// How a line is cut into a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LineFormat {
    /// What ends the key, at least one byte; without it a line is a value.
    pub(super) key_separator: Option<Vec<u8>>,
    /// The key of lines that have none of their own.
    pub(super) key: Option<Bytes>,
    /// A key or a value of just this text is null.
    pub(super) null_marker: Option<String>,
}

/// Key and value of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
}

impl LineFormat {
    /// Cuts a line, which has no newline at its end.
    pub(super) fn cut(&self, line: Vec<u8>) -> Result<Line, String> {
        let line = Bytes::from(line);
        let Some(separator) = &self.key_separator else {
            return Ok(Line {
                key: self.key.clone(),
                value: self.or_null(line),
            });
        };
        let at = line
            .windows(separator.len().max(1))
            .position(|window| window == separator.as_slice())
            .ok_or_else(|| {
                let separator = separator.escape_ascii();
                format!("there is no key separator \"{separator}\"")
            })?;
        Ok(Line {
            key: self.or_null(line.slice(..at)),
            value: self.or_null(line.slice(at + separator.len()..)),
        })
    }

    fn or_null(&self, bytes: Bytes) -> Option<Bytes> {
        let is_null = self
            .null_marker
            .as_ref()
            .is_some_and(|marker| bytes == marker.as_bytes());
        (!is_null).then_some(bytes)
    }
}

/// Reads the next line without its newline; `None` at the end. The last line needs no newline.
pub(super) fn read_line(input: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input
        .take(MAX_LINE_BYTES + 1)
        .read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 > MAX_LINE_BYTES {
        let reason = format!("the line is longer than {MAX_LINE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Option<Bytes> {
        Some(Bytes::from_static(text.as_bytes()))
    }

    fn cut(format: &LineFormat, line: &str) -> Result<Line, String> {
        format.cut(line.as_bytes().to_vec())
    }

    #[test]
    fn a_line_is_a_value_unless_there_is_a_separator() {
        let plain = LineFormat::default();
        let line = cut(&plain, "a:b").unwrap();
        assert_eq!((line.key, line.value), (None, bytes("a:b")));

        let keyed = LineFormat {
            key_separator: Some(b"::".to_vec()),
            ..LineFormat::default()
        };
        let line = cut(&keyed, "k::v::w").unwrap();
        assert_eq!((line.key, line.value), (bytes("k"), bytes("v::w")));
        let line = cut(&keyed, "::").unwrap();
        assert_eq!((line.key, line.value), (bytes(""), bytes("")));
        assert_eq!(
            cut(&keyed, "no key"),
            Err("there is no key separator \"::\"".to_owned())
        );
    }

    #[test]
    fn the_null_marker_stands_for_null_keys_and_values() {
        let format = LineFormat {
            key_separator: Some(b"\t".to_vec()),
            key: None,
            null_marker: Some("NULL".to_owned()),
        };
        let line = cut(&format, "k\tNULL").unwrap();
        assert_eq!((line.key, line.value), (bytes("k"), None));
        let line = cut(&format, "NULL\tNULLs").unwrap();
        assert_eq!((line.key, line.value), (None, bytes("NULLs")));
    }

    #[test]
    fn one_key_serves_all_lines() {
        let format = LineFormat {
            key: bytes("k"),
            ..LineFormat::default()
        };
        assert_eq!(cut(&format, "v").unwrap().key, bytes("k"));
    }

    #[test]
    fn lines_keep_all_their_bytes_but_the_newline() {
        let mut input: &[u8] = b"one\n\ntwo\r\nthr\xffee";
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut input).unwrap() {
            lines.push(line);
        }
        let expected: [&[u8]; 4] = [b"one", b"", b"two\r", b"thr\xffee"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut input = io::BufReader::new(io::repeat(b'x'));
        let error = read_line(&mut input).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
