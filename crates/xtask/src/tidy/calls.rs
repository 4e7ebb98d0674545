//! Calls that go around the `runtime` crate, the only door to time, randomness, tasks, disk and
//! sockets: with them a cluster could not be run from a seed.

use std::path::Path;

use super::Finding;
use super::files::{contains_word, is_test};
use super::layers::is_dev;
use super::source::{self, Line};

/// A path that is banned, and what to use instead.
const BANNED: [(&str, &str); 18] = [
    ("std::fs", "ottla_runtime's disk"),
    ("tokio::fs", "ottla_runtime's disk"),
    ("std::net::TcpStream", "ottla_runtime's network"),
    ("std::net::TcpListener", "ottla_runtime's network"),
    ("std::net::UdpSocket", "ottla_runtime's network"),
    ("std::net::ToSocketAddrs", "ottla_runtime's network"),
    ("tokio::net", "ottla_runtime's network"),
    ("tokio::spawn", "ottla_runtime's tasks"),
    ("tokio::task::spawn", "ottla_runtime's tasks"),
    ("tokio::task::spawn_blocking", "ottla_runtime's tasks"),
    ("std::thread::spawn", "ottla_runtime's tasks"),
    ("std::thread::sleep", "ottla_runtime's clock"),
    ("tokio::time", "ottla_runtime's clock"),
    ("SystemTime::now", "ottla_runtime's clock"),
    ("Instant::now", "ottla_runtime's clock"),
    ("rand::rng", "ottla_runtime's randomness"),
    ("OsRng", "ottla_runtime's randomness"),
    ("SysRng", "ottla_runtime's randomness"),
];

/// The binary and its commands read configuration files before anything is simulated.
const MAY_READ_FILES: [&str; 2] = ["ottla", "cli"];

/// Checks one file.
pub(super) fn check(crate_name: &str, path: &Path, text: &str) -> Vec<Finding> {
    let has_folder = |name: &str| path.components().any(|part| part.as_os_str() == name);
    let named_build = path.file_name().is_some_and(|name| name == "build.rs");
    let is_build_script = named_build || (has_folder("build") && !has_folder("src"));
    let is_bench = has_folder("benches");
    if crate_name == "runtime" || is_dev(crate_name) || is_test(path) || is_build_script || is_bench
    {
        return Vec::new();
    }
    let lines: Vec<Line> = source::lines(text)
        .into_iter()
        .filter(|line| !line.in_test)
        .collect();
    let mut findings = Vec::new();
    let mut note = |line: usize, code: &str| {
        for (banned, instead) in BANNED {
            let excused = banned == "std::fs" && MAY_READ_FILES.contains(&crate_name);
            if !excused && contains_word(code, banned) {
                let what = format!("{banned} goes around the runtime crate: use {instead}");
                findings.push(Finding {
                    path: path.to_path_buf(),
                    line,
                    what,
                });
            }
        }
    };
    for line in &lines {
        note(line.number, &line.code);
    }
    // `use tokio::{net, time}` names neither path in one piece.
    for (line, import) in grouped_imports(&lines) {
        for path in flattened(&import) {
            note(line, &path);
        }
    }
    findings.extend(unfair_selects(&lines).map(|line| {
        Finding {
            path: path.to_path_buf(),
            line,
            what:
                "tokio::select! draws its order from a source of its own: begin it with `biased;`, \
               what must not starve first"
                    .to_owned(),
        }
    }));
    findings
}

/// Every `select!` whose first line of code is not `biased;`.
fn unfair_selects(lines: &[Line]) -> impl Iterator<Item = usize> {
    let is_unfair = |(at, line): (usize, &Line)| {
        let opens = contains_word(&line.code, "select") && line.code.contains("select! {");
        let first = lines[at + 1..]
            .iter()
            .map(|l| l.code.trim())
            .find(|c| !c.is_empty());
        (opens && first != Some("biased;")).then_some(line.number)
    };
    lines.iter().enumerate().filter_map(is_unfair)
}

/// Every `use` statement with braces, with the line where it starts.
fn grouped_imports(lines: &[Line]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for line in lines {
        let code = line.code.trim();
        let starts = code.split_whitespace().take(2).any(|word| word == "use");
        if open.is_none() && starts {
            let import = code.split_once("use ").map_or("", |(_, import)| import);
            open = Some((line.number, import.to_owned()));
        } else if let Some((_, import)) = &mut open {
            import.push_str(code);
        }
        if code.ends_with(';') {
            found.extend(open.take().filter(|(_, import)| import.contains('{')));
        }
    }
    found
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn flattened(import: &str) -> Vec<String> {
    let import = import.trim().trim_end_matches(';').trim();
    let Some((prefix, rest)) = import.split_once('{') else {
        return vec![import.to_owned()];
    };
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for char in inner.chars() {
        match char {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if char == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(char);
        }
    }
    let paths = parts.iter().filter(|part| !part.trim().is_empty());
    paths
        .flat_map(|part| flattened(&format!("{prefix}{}", part.trim())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(crate_name: &str, path: &str, text: &str) -> Vec<String> {
        check(crate_name, Path::new(path), text)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn banned_calls_are_found_with_their_replacement() {
        let found = found(
            "broker",
            "src/a.rs",
            "fn a() {\n    let t = Instant::now();\n}\n",
        );
        assert_eq!(
            found,
            ["src/a.rs:2: Instant::now goes around the runtime crate: use ottla_runtime's clock"]
        );
    }

    #[test]
    fn banned_imports_are_found_in_groups() {
        let text = "use tokio::{\n    net::TcpStream,\n    sync::mpsc,\n    time::{sleep},\n};\n";
        assert_eq!(found("net", "src/a.rs", text).len(), 2);
        assert_eq!(found("net", "src/a.rs", "use std::{fs, io};\n").len(), 1);
        assert!(found("net", "src/a.rs", "use std::net::{IpAddr, SocketAddr};\n").is_empty());
    }

    #[test]
    fn tests_build_scripts_and_development_crates_may_do_as_they_like() {
        let text = "fn a() { std::fs::read(); }\n";
        assert!(found("log", "crates/log/tests/a.rs", text).is_empty());
        assert!(found("log", "crates/log/build.rs", text).is_empty());
        assert!(found("log", "crates/log/build/main.rs", text).is_empty());
        assert_eq!(found("log", "crates/log/src/build/main.rs", text).len(), 1);
        assert!(found("testkit", "src/a.rs", text).is_empty());
        assert!(found("runtime", "src/a.rs", text).is_empty());
        assert!(
            found(
                "log",
                "src/a.rs",
                &format!("#[cfg(test)]\nmod tests {{\n{text}}}\n")
            )
            .is_empty()
        );
    }

    #[test]
    fn the_binary_may_read_files_but_not_the_clock() {
        assert!(found("cli", "src/a.rs", "std::fs::read(path)\n").is_empty());
        assert_eq!(found("cli", "src/a.rs", "SystemTime::now()\n").len(), 1);
    }

    #[test]
    fn a_select_must_say_its_order() {
        let unfair = "tokio::select! {\n    a = b() => a,\n}\n";
        let fair = "let x = tokio::select! {\n    // First what ends it.\n    biased;\n    a = b() => a,\n};\n";
        assert_eq!(found("net", "src/a.rs", unfair).len(), 1);
        assert!(found("net", "src/a.rs", fair).is_empty());
    }

    #[test]
    fn a_longer_name_is_another_name() {
        assert!(found("log", "src/a.rs", "tokio::timeline(); MyOsRng::new();\n").is_empty());
    }

    #[test]
    fn import_trees_are_flattened() {
        let paths = flattened("a::{b, c::{d, e}, f as g};");
        assert_eq!(paths, ["a::b", "a::c::d", "a::c::e", "a::f as g"]);
    }
}
