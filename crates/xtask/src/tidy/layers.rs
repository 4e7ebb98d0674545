//! Who may import whom. The table is that of ARCHITECTURE.md, rooms still to come included.
//!
//! A crate imports from the layers below its own, and from its own layer only what is listed.

use std::fs;
use std::path::Path;

use anyhow::Result;
use cargo_metadata::{DependencyKind, Metadata};

use super::{Finding, relative};

/// Name, layer, and what it may import of its own layer.
const LAYERS: [(&str, u8, &[&str]); 29] = [
    ("model", 0, &[]),
    ("runtime", 0, &[]),
    ("config", 0, &["model"]),
    ("wire", 1, &[]),
    ("record", 1, &[]),
    ("jute", 1, &[]),
    ("security", 1, &[]),
    ("metadata", 2, &[]),
    ("placement", 2, &[]),
    ("replica", 2, &[]),
    ("group", 2, &[]),
    ("txn", 2, &[]),
    ("share", 2, &[]),
    ("znode", 2, &[]),
    ("log", 3, &[]),
    ("tier", 3, &["log"]),
    ("raft", 3, &["log"]),
    ("net", 3, &[]),
    ("client", 3, &[]),
    ("controller", 4, &[]),
    ("broker", 4, &[]),
    ("keeper", 4, &[]),
    ("ottla", 5, &["cli", "operator", "console"]),
    ("operator", 5, &[]),
    ("console", 5, &[]),
    ("cli", 5, &[]),
    ("testkit", DEV, &[]),
    ("sim", DEV, &[]),
    ("xtask", DEV, &[]),
];

/// Development crates import what they like, and nobody imports them but for tests.
const DEV: u8 = u8::MAX;

/// Imports that the layers alone would allow.
const NEVER: [(&str, &str, &str); 11] = [
    (
        "cli",
        "broker",
        "it reaches a cluster only through `client`",
    ),
    (
        "cli",
        "controller",
        "it reaches a cluster only through `client`",
    ),
    (
        "cli",
        "keeper",
        "it reaches a cluster only through `client`",
    ),
    ("cli", "log", "it reaches a cluster only through `client`"),
    (
        "operator",
        "broker",
        "it reaches a cluster only through `client`",
    ),
    (
        "operator",
        "controller",
        "it reaches a cluster only through `client`",
    ),
    (
        "operator",
        "keeper",
        "it reaches a cluster only through `client`",
    ),
    (
        "console",
        "broker",
        "it reaches a cluster only through `client`",
    ),
    (
        "console",
        "controller",
        "it reaches a cluster only through `client`",
    ),
    (
        "console",
        "keeper",
        "it reaches a cluster only through `client`",
    ),
    ("broker", "controller", "it holds a channel to it instead"),
];

/// What crates of layers 1 and 2 do without: they are pure.
const IMPURE: [&str; 8] = [
    "tokio",
    "tokio-util",
    "socket2",
    "rustix",
    "tempfile",
    "rand",
    "getrandom",
    "axum",
];

/// The crate's name without the project's.
pub(super) fn short_name(package: &str) -> &str {
    package.strip_prefix("ottla-").unwrap_or(package)
}

/// Whether the crate is for development only.
pub(super) fn is_dev(name: &str) -> bool {
    row(name).is_some_and(|(_, layer, _)| *layer == DEV)
}

fn row(name: &str) -> Option<&'static (&'static str, u8, &'static [&'static str])> {
    LAYERS.iter().find(|(row, ..)| *row == name)
}

/// Why `from` may not import `to`, if so.
fn objection(from: &str, to: &str, kind: DependencyKind) -> Option<String> {
    let Some((_, layer, same)) = row(from) else {
        return Some(format!(
            "crate {from} has no layer: add it to the table of `xtask tidy`"
        ));
    };
    if *layer == DEV {
        return None;
    }
    let Some((_, of_import, _)) = row(to) else {
        // Not ours: only purity is asked for.
        let impure = (1..=2).contains(layer) && IMPURE.contains(&to);
        return (impure && kind == DependencyKind::Normal).then(|| {
            format!(
                "{from} is pure and may not use {to}: take time, randomness and bytes as arguments"
            )
        });
    };
    match kind {
        DependencyKind::Normal if *of_import == DEV => Some(format!(
            "{from} may not depend on {to}, which is for development only"
        )),
        DependencyKind::Normal if (1..=2).contains(layer) && to == "runtime" => Some(format!(
            "{from} is pure and may not import runtime: take its values as arguments"
        )),
        DependencyKind::Normal => NEVER
            .iter()
            .find(|(who, whom, _)| (*who, *whom) == (from, to))
            .map(|(_, _, why)| format!("{from} may not import {to}: {why}"))
            .or_else(|| {
                let allowed = of_import < layer || (of_import == layer && same.contains(&to));
                (!allowed).then(|| {
                    format!(
                        "{from} (layer {layer}) may not import {to} (layer {of_import}): \
                         move what is needed down, or pass it in"
                    )
                })
            }),
        DependencyKind::Development if *of_import != DEV && of_import > layer => Some(format!(
            "the tests of {from} may not reach up to {to}: put them there"
        )),
        _ => None,
    }
}

/// Checks every dependency of every crate of ours.
pub(super) fn check(metadata: &Metadata) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = package.manifest_path.as_std_path();
        for dependency in &package.dependencies {
            let (from, to) = (short_name(&package.name), short_name(&dependency.name));
            if let Some(what) = objection(from, to, dependency.kind) {
                let line = line_of(manifest, &dependency.name)?;
                findings.push(Finding {
                    path: relative(manifest),
                    line,
                    what,
                });
            }
        }
    }
    Ok(findings)
}

/// The manifest's line that names the dependency.
fn line_of(manifest: &Path, dependency: &str) -> Result<usize> {
    let text = fs::read_to_string(manifest)?;
    Ok(text
        .lines()
        .position(|line| line.trim_start().starts_with(dependency))
        .map_or(1, |n| n + 1))
}

#[cfg(test)]
mod tests {
    use DependencyKind::{Development, Normal};

    use super::*;

    #[test]
    fn imports_go_down_and_sideways_only_as_listed() {
        assert_eq!(objection("broker", "log", Normal), None);
        assert_eq!(objection("config", "model", Normal), None);
        assert_eq!(objection("record", "model", Normal), None);
        assert_eq!(objection("ottla", "cli", Normal), None);
        assert!(objection("model", "runtime", Normal).is_some());
        assert!(objection("wire", "record", Normal).is_some());
        assert!(objection("log", "broker", Normal).is_some());
        assert!(objection("broker", "controller", Normal).is_some());
        assert!(objection("cli", "broker", Normal).is_some());
    }

    #[test]
    fn pure_crates_stay_pure_but_for_their_tests() {
        assert!(objection("wire", "tokio", Normal).is_some());
        assert!(objection("group", "runtime", Normal).is_some());
        assert_eq!(objection("wire", "tokio", Development), None);
        assert_eq!(objection("log", "tokio", Normal), None);
    }

    #[test]
    fn tests_may_look_sideways_but_not_up() {
        assert_eq!(objection("wire", "record", Development), None);
        assert_eq!(objection("wire", "testkit", Development), None);
        assert!(objection("wire", "broker", Development).is_some());
    }

    #[test]
    fn development_crates_are_free_and_nobody_depends_on_them() {
        assert_eq!(objection("xtask", "broker", Normal), None);
        assert!(objection("broker", "testkit", Normal).is_some());
    }

    #[test]
    fn a_crate_without_a_layer_is_named() {
        assert!(objection("misc", "model", Normal).is_some_and(|what| what.contains("no layer")));
    }
}
