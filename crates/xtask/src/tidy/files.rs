//! What a file may be called, how long it may be, and what may not be left in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::source::{self, Line};
use super::{Finding, relative};

/// Without tests. A file that outgrows this is usually two ideas.
const LINES_MAX: usize = 800;

/// Names that say nothing of what is inside.
const VAGUE: [&str; 7] = [
    "types", "utils", "util", "helpers", "helper", "common", "misc",
];

/// Macros that stand for something unfinished.
const STUBS: [(&str, &str); 3] = [
    ("todo!", "write it, or leave the whole path out"),
    (
        "unimplemented!",
        "write it, or answer with an error that says so",
    ),
    ("dbg!", "remove it, or use `tracing`"),
];

/// Words in comments that stand for something unfinished.
const MARKERS: [&str; 3] = ["FIXME", "TODO", "XXX"];

/// Whether the file holds nothing but tests.
pub(super) fn is_test(path: &Path) -> bool {
    let in_folder = path.components().any(|part| part.as_os_str() == "tests");
    in_folder || path.file_name().is_some_and(|name| name == "tests.rs")
}

/// Whether a program wrote it.
fn is_generated(text: &str) -> bool {
    text.lines().take(3).any(|line| line.contains("@generated"))
}

/// Checks one file.
pub(super) fn check(crate_name: &str, path: &Path, text: &str) -> Vec<Finding> {
    let lines = source::lines(text);
    let at = |line: usize, what: String| Finding {
        path: path.to_path_buf(),
        line,
        what,
    };
    let mut findings = Vec::new();
    if let Some(name) = vague_name(path) {
        findings.push(at(
            1,
            format!("`{name}` says nothing of what is inside: name its purpose"),
        ));
    }
    let length = lines.iter().filter(|line| !line.in_test).count();
    if length > LINES_MAX && !is_test(path) && !is_generated(text) {
        let what = format!("{length} lines without tests, more than {LINES_MAX}: split it");
        findings.push(at(LINES_MAX, what));
    }
    for (index, line) in lines.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| lines.get(before));
        // This program names the words that it looks for.
        if crate_name != "xtask" {
            findings.extend(leftover(line).map(|what| at(line.number, what)));
        }
        findings.extend(without_reason(line, before, text).map(|what| at(line.number, what)));
    }
    findings
}

fn vague_name(path: &Path) -> Option<&str> {
    let parts = path.iter().filter_map(|part| part.to_str());
    parts
        .map(|part| part.trim_end_matches(".rs"))
        .find(|part| VAGUE.contains(part))
}

fn leftover(line: &Line) -> Option<String> {
    let stub = STUBS
        .iter()
        .find(|(stub, _)| contains_word(&line.code, stub));
    if let Some((stub, instead)) = stub {
        return Some(format!("leftover {stub}: {instead}"));
    }
    let marker = MARKERS
        .iter()
        .find(|marker| contains_word(&line.comment, marker))?;
    Some(format!(
        "leftover {marker}: do it now, or write it down where work is planned"
    ))
}

/// Attributes that need a reason, in themselves or in a comment next to them.
fn without_reason(line: &Line, before: Option<&Line>, text: &str) -> Option<String> {
    let explained = |line: &Line| {
        let said = line.comment.trim_start_matches(['/', '!', ' ']);
        said.len() > 10
    };
    if explained(line) || before.is_some_and(|before| before.code.is_empty() && explained(before)) {
        return None;
    }
    let code = line.code.trim_start();
    if code.starts_with("#[ignore") && !code.contains('=') {
        return Some("a test is ignored without a reason: say why, or mend it".into());
    }
    // The reason may stand on a later line of the attribute.
    let rest = || {
        text.lines()
            .skip(line.number - 1)
            .take(12)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let attribute = || rest().split(")]").next().unwrap_or_default().to_owned();
    if code.starts_with("#![allow") && !attribute().contains("reason =") {
        return Some("#![allow] without `reason = \"…\"`: give it, or mend what it hides".into());
    }
    None
}

/// Whether the word is there and is not the end of a longer one.
pub(super) fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + word.len()..].chars().next();
        let part = |char: Option<char>| char.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let ends_in_name = word.ends_with(|c: char| c.is_alphanumeric());
        !(part(before) || ends_in_name && part(behind))
    })
}

/// Checks what every crate has: the workspace's lints, and a comment that says what it is.
pub(super) fn check_crate(folder: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let manifest = folder.join("Cargo.toml");
    if !has_workspace_lints(&fs::read_to_string(&manifest)?) {
        let what = "the workspace's lints are off: add `[lints]` with `workspace = true`".into();
        findings.push(Finding {
            path: relative(&manifest),
            line: 1,
            what,
        });
    }
    let roots: Vec<PathBuf> = ["src/lib.rs", "src/main.rs"]
        .map(|root| folder.join(root))
        .into();
    for root in roots.iter().filter(|root| root.exists()) {
        let text = fs::read_to_string(root)?;
        if !text.trim_start().starts_with("//!") {
            let what = "the crate does not say what it is: begin with a `//!` comment".into();
            findings.push(Finding {
                path: relative(root),
                line: 1,
                what,
            });
        }
    }
    Ok(findings)
}

fn has_workspace_lints(manifest: &str) -> bool {
    let behind = manifest
        .lines()
        .skip_while(|line| line.trim() != "[lints]")
        .skip(1);
    behind
        .take_while(|line| !line.starts_with('['))
        .any(|line| line.trim() == "workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check("log", Path::new(path), text)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn leftovers_are_found_in_code_and_in_comments() {
        let text = "fn a() {\n    todo!()\n}\n// FIXME: later\nlet x = dbg!(1);\n";
        let found = found("crates/log/src/a.rs", text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].starts_with("crates/log/src/a.rs:2: leftover todo!"),
            "{found:?}"
        );
        assert!(
            found[1].starts_with("crates/log/src/a.rs:4: leftover FIXME"),
            "{found:?}"
        );
    }

    #[test]
    fn words_in_strings_and_longer_words_are_no_leftovers() {
        assert!(found("a.rs", "let s = \"todo!() FIXME\"; my_todo!();\n").is_empty());
    }

    #[test]
    fn long_files_are_found_and_their_tests_do_not_count() {
        let long = "fn a() {}\n".repeat(801);
        assert!(found("src/a.rs", &long)[0].contains("more than 800"));
        assert!(found("src/a/tests.rs", &long).is_empty());
        let tested = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert!(found("src/a.rs", &tested).is_empty());
        assert!(found("src/a.rs", &format!("// @generated by x\n{long}")).is_empty());
    }

    #[test]
    fn vague_names_are_found() {
        assert_eq!(found("src/utils.rs", "").len(), 1);
        assert_eq!(found("src/helpers/a.rs", "").len(), 1);
        assert!(found("src/commonwealth.rs", "").is_empty());
    }

    #[test]
    fn ignoring_and_allowing_need_a_reason() {
        assert_eq!(found("a.rs", "#[ignore]\nfn a() {}\n").len(), 1);
        assert!(found("a.rs", "#[ignore = \"needs a disk\"]\nfn a() {}\n").is_empty());
        assert_eq!(found("a.rs", "#![allow(dead_code)]\n").len(), 1);
        assert!(found("a.rs", "#![allow(dead_code, reason = \"generated\")]\n").is_empty());
        assert!(
            found(
                "a.rs",
                "#![allow(\n    dead_code,\n    reason = \"x\"\n)]\n"
            )
            .is_empty()
        );
        assert!(
            found(
                "a.rs",
                "// The generator writes all of it.\n#![allow(dead_code)]\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn lints_are_looked_for_in_their_section() {
        assert!(has_workspace_lints(
            "[package]\n[lints]\nworkspace = true\n"
        ));
        assert!(!has_workspace_lints(
            "[package]\n[lints]\n[x]\nworkspace = true\n"
        ));
        assert!(!has_workspace_lints("[package]\n"));
    }
}
