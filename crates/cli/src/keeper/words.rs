//! Lines of a shell, cut into words.

/// A line's words. Words are separated by blanks; quotes keep blanks in a word, and a backslash
/// takes the next character as it is, but in single quotes. A `#` at the start of a word begins a
/// comment.
pub(crate) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = line.chars();
    // The word that is being read: an empty one in quotes is one, too.
    let mut word: Option<String> = None;
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '#' if word.is_none() => break,
            '\'' | '"' => quoted(c, &mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("a backslash stands at the end; write \\\\ for one".to_owned()),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads up to the closing quote.
fn quoted(quote: char, chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), String> {
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next() {
                Some(c @ ('"' | '\\')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => break,
            },
            c => word.push(c),
        }
    }
    Err(format!("a quote {quote} is not closed"))
}

/// The end of a line that is being completed: what precedes the last word, cut into words, and where
/// the last word begins. None inside of quotes, where nothing is completed.
pub(crate) fn last_word(line: &str) -> Option<(Vec<String>, usize)> {
    let start = line.rfind(char::is_whitespace).map_or(0, |at| {
        let blank = line[at..].chars().next().map_or(1, char::len_utf8);
        at + blank
    });
    let before = split(&line[..start]).ok()?;
    let is_plain = !line[start..].contains(['\'', '"', '\\']);
    is_plain.then_some((before, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_a_shell_does() {
        let cases: [(&str, &[&str]); 9] = [
            ("", &[]),
            ("  ls   /a ", &["ls", "/a"]),
            ("set /a 'two words'", &["set", "/a", "two words"]),
            (r#"set /a "a \"b\" \n""#, &["set", "/a", r#"a "b" \n"#]),
            (r"set /a a\ b\\", &["set", "/a", r"a b\"]),
            ("set /a ''", &["set", "/a", ""]),
            ("set /a x'y'\"z\"", &["set", "/a", "xyz"]),
            ("ls / # all", &["ls", "/"]),
            ("get /a#b", &["get", "/a#b"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        for line in ["set 'a", "set \"a", "set \"a\\", "set a\\"] {
            assert!(split(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_last_word_is_what_is_completed() {
        let last = |line| last_word(line).map(|(before, at)| (before.join(" "), at));
        assert_eq!(last("ls /a"), Some(("ls".into(), 3)));
        assert_eq!(last("ls "), Some(("ls".into(), 3)));
        assert_eq!(last(""), Some((String::new(), 0)));
        assert_eq!(last("l"), Some((String::new(), 0)));
        assert_eq!(last("set '/a b"), None);
        assert_eq!(last("ls '/a"), None);
    }
}
