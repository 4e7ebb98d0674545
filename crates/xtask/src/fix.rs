//! `cargo xtask fix`: the only command that writes into the tree.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ottla_testkit::{Profile, node_binary};

use crate::workspace::{cargo, root, succeeds};

/// Documents that the binary itself writes: where to, and the arguments that print them.
const GENERATED: [(&str, &[&str]); 1] =
    [("docs/configuration-reference.md", &["config", "reference"])];

pub(crate) fn run() -> Result<bool> {
    let mut clippy = cargo(&["clippy", "--workspace", "--all-targets"]);
    clippy.args(["--fix", "--allow-dirty", "--allow-staged"]);
    let fixed = succeeds(&mut clippy)?;
    let mut formatted = succeeds(&mut cargo(&["fmt", "--all"]))?;
    let stand_in = "third_party/base2histogram/Cargo.toml";
    formatted &= succeeds(&mut cargo(&["fmt", "--manifest-path", stand_in]))?;
    write_documents()?;
    let deployed = crate::deploy::write()?;
    Ok(fixed && formatted && deployed)
}

fn write_documents() -> Result<()> {
    let binary = node_binary(Profile::Dev)?;
    for (path, arguments) in GENERATED {
        let output = Command::new(&binary)
            .args(arguments)
            .output()
            .context("cannot run ottla")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "ottla {} failed: {said}",
            arguments.join(" ")
        );
        let path = root().join(path);
        if fs::read(&path).is_ok_and(|old| old == output.stdout) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, output.stdout)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}
