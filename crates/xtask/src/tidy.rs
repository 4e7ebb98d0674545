//! `cargo xtask tidy`: what the compiler does not check, but a reader relies on.

mod calls;
mod files;
mod layers;
mod source;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::{metadata, root};

/// Something to mend, at a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Relative to the root of the repository.
    pub(crate) path: PathBuf,
    /// Counted from 1.
    pub(crate) line: usize,
    /// What is wrong, and what to do.
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.what)
    }
}

/// Prints every finding; whether there was none.
pub(crate) fn run() -> Result<bool> {
    let metadata = metadata()?;
    let mut findings = layers::check(&metadata)?;
    let mut count = 0;
    for package in metadata.workspace_packages() {
        let manifest = package.manifest_path.as_std_path();
        let folder = manifest.parent().context("a manifest without a folder")?;
        let name = layers::short_name(&package.name);
        findings.extend(files::check_crate(folder)?);
        for path in rust_files(folder)? {
            let text = fs::read_to_string(&path)?;
            findings.extend(files::check(name, &relative(&path), &text));
            findings.extend(calls::check(name, &relative(&path), &text));
            count += 1;
        }
    }
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    println!("{count} files looked at, {} findings", findings.len());
    Ok(findings.is_empty())
}

/// The path from the root of the repository on.
pub(crate) fn relative(path: &Path) -> PathBuf {
    path.strip_prefix(root()).unwrap_or(path).to_path_buf()
}

/// All Rust files below a folder, in order.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
