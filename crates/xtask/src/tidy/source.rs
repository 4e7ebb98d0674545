//! Just enough of Rust's syntax: code without its comments and strings, line by line.

/// One line of a source file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    /// The code, with comments left out and the insides of strings blanked.
    pub(super) code: String,
    /// What comments say on this line.
    pub(super) comment: String,
    /// Whether it belongs to an item under `#[cfg(test)]`.
    pub(super) in_test: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Code,
    LineComment,
    /// How deep: block comments nest.
    BlockComment(usize),
    Text,
    /// How many `#` close it.
    RawText(usize),
}

/// Takes a file apart.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut lines = vec![Line {
        number: 1,
        ..Line::default()
    }];
    let mut state = State::Code;
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    let is = |at: usize, what: char| chars.get(at) == Some(&what);
    while let Some(&char) = chars.get(at) {
        let mut taken = 1;
        let number = lines.len();
        let Some(line) = lines.last_mut() else { break };
        if char == '\n' {
            if state == State::LineComment {
                state = State::Code;
            }
            lines.push(Line {
                number: number + 1,
                ..Line::default()
            });
            at += 1;
            continue;
        }
        match state {
            State::Code if char == '/' && is(at + 1, '/') => {
                (state, taken) = (State::LineComment, 2);
            }
            State::Code if char == '/' && is(at + 1, '*') => {
                (state, taken) = (State::BlockComment(1), 2);
            }
            State::Code if char == '"' => {
                line.code.push('"');
                state = State::Text;
            }
            State::Code
                if char == 'r' && !follows_name(&chars, at) && raw(&chars, at).is_some() =>
            {
                let hashes = raw(&chars, at).unwrap_or(0);
                line.code.push('"');
                (state, taken) = (State::RawText(hashes), hashes + 2);
            }
            State::Code if char == '\'' => {
                taken = char_literal(&chars, at);
                line.code.push(if taken > 1 { ' ' } else { '\'' });
            }
            State::Code => line.code.push(char),
            State::LineComment => line.comment.push(char),
            State::BlockComment(depth) if char == '*' && is(at + 1, '/') => {
                taken = 2;
                state = if depth == 1 {
                    State::Code
                } else {
                    State::BlockComment(depth - 1)
                };
            }
            State::BlockComment(depth) if char == '/' && is(at + 1, '*') => {
                (state, taken) = (State::BlockComment(depth + 1), 2);
            }
            State::BlockComment(_) => line.comment.push(char),
            // A backslash at the end of a line leaves the line break to the branch above.
            State::Text if char == '\\' && !is(at + 1, '\n') => taken = 2,
            State::Text if char == '"' => {
                line.code.push('"');
                state = State::Code;
            }
            State::RawText(hashes)
                if char == '"' && (1..=hashes).all(|offset| is(at + offset, '#')) =>
            {
                line.code.push('"');
                (state, taken) = (State::Code, 1 + hashes);
            }
            State::Text | State::RawText(_) => {}
        }
        at += taken;
    }
    mark_tests(&mut lines);
    lines
}

fn follows_name(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| chars.get(before));
    before.is_some_and(|char| (char.is_alphanumeric() && *char != 'b') || *char == '_')
}

/// The number of `#` when a raw string starts here.
fn raw(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars
        .get(at + 1..)?
        .iter()
        .take_while(|char| **char == '#')
        .count();
    (chars.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

/// How many characters a character literal takes here; 1 when it is a lifetime.
fn char_literal(chars: &[char], at: usize) -> usize {
    if chars.get(at + 1) == Some(&'\\') {
        let rest = chars.get(at + 3..).unwrap_or_default();
        rest.iter()
            .position(|char| *char == '\'')
            .map_or(1, |end| end + 4)
    } else if chars.get(at + 2) == Some(&'\'') {
        3
    } else {
        1
    }
}

/// Marks the items under `#[cfg(test)]`, from the attribute to the closing brace or semicolon.
fn mark_tests(lines: &mut [Line]) {
    let mut depth: Option<usize> = None;
    for line in lines {
        if depth.is_none() && line.code.contains("#[cfg(test)]") {
            depth = Some(0);
        }
        let Some(mut open) = depth else { continue };
        line.in_test = true;
        let mut ended = false;
        for char in line.code.chars() {
            match char {
                '{' => open += 1,
                '}' => {
                    open = open.saturating_sub(1);
                    ended |= open == 0;
                }
                ';' => ended |= open == 0,
                _ => {}
            }
        }
        depth = (!ended).then_some(open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        lines(text).into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        assert_eq!(code("a(); // todo!()"), ["a(); "]);
        assert_eq!(code("a(\"todo!() \\\" x\"); b"), ["a(\"\"); b"]);
        assert_eq!(code("a /* x /* y */ z */ b"), ["a  b"]);
        assert_eq!(code("let a = r#\"x \" y\"#; b"), ["let a = \"\"; b"]);
        assert_eq!(code("let a = br\"x\"; b"), ["let a = b\"\"; b"]);
        assert_eq!(code("'\"' 'a '\\'' b"), ["  'a   b"]);
    }

    #[test]
    fn comments_are_kept_apart() {
        assert_eq!(lines("a // why\nb")[0].comment, " why");
        assert_eq!(lines("a // why\nb")[1].number, 2);
    }

    #[test]
    fn strings_go_on_over_lines() {
        assert_eq!(code("a(\"x\ny\\\nz\"); b"), ["a(\"", "", "\"); b"]);
    }

    #[test]
    fn items_under_cfg_test_are_marked() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n\
                    #[cfg(test)]\nmod tests;\nfn d() {}";
        let marked: Vec<usize> = lines(text)
            .iter()
            .filter(|line| line.in_test)
            .map(|line| line.number)
            .collect();
        assert_eq!(marked, [2, 3, 4, 5, 7, 8]);
    }
}
