//! The syntax of Java's `.properties` files.
//!
//! ```text
//! # a comment      ! another one
//! key=value        key: value       key value
//! long.key = one, \
//!            two                    (leading blanks of the next line are dropped)
//! escapes \t \n \r \f \u00e9 \\ \: \=
//! ```

/// One entry of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The line on which it begins, from 1.
    pub(crate) line: usize,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) line: usize,
    pub(crate) reason: String,
}

/// Reads a whole file; entries come in the file's order, repeated keys included.
pub(crate) fn parse(text: &str) -> (Vec<Entry>, Vec<BadLine>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut entries = Vec::new();
    let mut bad_lines = Vec::new();
    for (line, logical) in logical_lines(text) {
        match parse_entry(&logical) {
            Ok((key, value)) => entries.push(Entry { line, key, value }),
            Err(reason) => bad_lines.push(BadLine { line, reason }),
        }
    }
    (entries, bad_lines)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Joins continued lines, and leaves out comments and empty lines. The escapes stay.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut pending: Option<(usize, String)> = None;
    for (index, natural) in natural_lines(text).into_iter().enumerate() {
        let content = natural.trim_start_matches(is_blank);
        let (start, mut joined) = match pending.take() {
            Some(continued) => continued,
            None if content.is_empty() || content.starts_with(['#', '!']) => continue,
            None => (index + 1, String::new()),
        };
        // An odd number of backslashes at the end continues the line; an even one is itself.
        let backslashes = content.chars().rev().take_while(|&c| c == '\\').count();
        if backslashes % 2 == 1 {
            joined.push_str(content.strip_suffix('\\').unwrap_or(content));
            pending = Some((start, joined));
        } else {
            joined.push_str(content);
            lines.push((start, joined));
        }
    }
    lines.extend(pending);
    lines
}

/// Splits at `\n`, `\r` and `\r\n`.
fn natural_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\n', '\r']) {
        let (line, tail) = rest.split_at(end);
        lines.push(line);
        rest = tail
            .strip_prefix("\r\n")
            .or_else(|| tail.strip_prefix(['\n', '\r']))
            .unwrap_or(tail);
    }
    lines.push(rest);
    lines
}

fn parse_entry(line: &str) -> Result<(String, String), String> {
    let mut escaped = false;
    let mut key_end = line.len();
    for (at, c) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == '=' || c == ':' || is_blank(c) {
            key_end = at;
            break;
        }
    }
    let (key, rest) = line.split_at(key_end);
    let rest = rest.trim_start_matches(is_blank);
    let value = rest
        .strip_prefix(['=', ':'])
        .unwrap_or(rest)
        .trim_start_matches(is_blank);
    Ok((unescape(key)?, unescape(value)?))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = Utf16Text::default();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                let unit = u16::from_str_radix(&digits, 16)
                    .ok()
                    .filter(|_| digits.len() == 4 && !digits.starts_with('+'))
                    .ok_or_else(|| {
                        format!("\\u{digits} is not \\u with four hexadecimal digits")
                    })?;
                out.push_unit(unit);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out.finish()
}

/// Collects text in which `\u` escapes may come as the two halves of a surrogate pair, as Java
/// writes characters beyond the basic plane.
#[derive(Default)]
struct Utf16Text {
    units: Vec<u16>,
}

impl Utf16Text {
    fn push(&mut self, c: char) {
        let mut buffer = [0; 2];
        self.units.extend_from_slice(c.encode_utf16(&mut buffer));
    }

    fn push_unit(&mut self, unit: u16) {
        self.units.push(unit);
    }

    fn finish(self) -> Result<String, String> {
        String::from_utf16(&self.units)
            .map_err(|_| "a \\u escape is half of a surrogate pair, without the other".to_owned())
    }
}

#[cfg(test)]
mod tests;
