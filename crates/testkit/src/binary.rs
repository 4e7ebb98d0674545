//! Finds or builds the node's binary.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How the node is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Unoptimised, with debug assertions.
    Dev,
    /// As people run it.
    Release,
}

/// The path of the binary `ottla`: what `OTTLA_TEST_BINARY` names, or what cargo builds now.
pub fn node_binary(profile: Profile) -> Result<PathBuf> {
    if let Some(path) = env::var_os("OTTLA_TEST_BINARY") {
        return Ok(PathBuf::from(path));
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(workspace)
        .args(["build", "--package", "ottla", "--message-format=json"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo could not build the node: see its messages above");
    }
    executable(&String::from_utf8_lossy(&output.stdout))
        .context("cargo built the package ottla, but names no executable of it")
}

/// The executable in cargo's stream of JSON messages.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "ottla")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"ottla-model"},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"ottla"},"executable":"/t/ottla"}"#,
        );
        assert_eq!(executable(messages), Some(PathBuf::from("/t/ottla")));
        assert_eq!(executable("{}"), None);
    }
}
