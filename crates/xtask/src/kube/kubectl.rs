//! `kubectl`, with its answers as values.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::finished::{finished, output};

/// One question to the API server; waiting for something is done in [`super::space`].
const LIMIT: Duration = Duration::from_secs(60);

/// How to reach a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl {
    /// The file of `KUBECONFIG`.
    pub(crate) config: PathBuf,
    /// Where programs are looked for.
    pub(crate) path: OsString,
}

impl Kubectl {
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        // `Command` looks for a bare name in its own PATH variable, if that is set.
        let mut command = Command::new("kubectl");
        command
            .env("PATH", &self.path)
            .env("KUBECONFIG", &self.config)
            .args(arguments);
        command
    }

    /// What it prints; its complaint is the error.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_within(arguments, LIMIT)
    }

    pub(crate) fn run_within(&self, arguments: &[&str], limit: Duration) -> Result<String> {
        output(&mut self.command(arguments), b"", limit)
    }

    /// With something on its standard input.
    pub(crate) fn feed(&self, arguments: &[&str], input: &str) -> Result<String> {
        output(&mut self.command(arguments), input.as_bytes(), LIMIT)
    }

    /// What it prints, or its complaint: for reports, where either is of use.
    pub(crate) fn say(&self, arguments: &[&str]) -> String {
        match finished(&mut self.command(arguments), b"", LIMIT) {
            Ok(done) => format!("{}{}", done.stdout, done.stderr),
            Err(error) => format!("{error:#}\n"),
        }
    }

    /// An answer in JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.run(&[arguments, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).context("kubectl's answer is no JSON")
    }

    /// The items of a list.
    pub(crate) fn items(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        match self.json(arguments)?["items"].take() {
            Value::Array(items) => Ok(items),
            other => anyhow::bail!("kubectl {arguments:?} gives no list but {other}"),
        }
    }

    /// Whether Kubernetes says that a node is well.
    pub(crate) fn is_node_ready(&self, name: &str) -> Result<bool> {
        let node = self.json(&["get", "node", name])?;
        let conditions = node["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        Ok(conditions.any(|c| c["type"] == "Ready" && c["status"] == "True"))
    }

    /// The resources in a file of manifests.
    pub(crate) fn manifests(&self, file: &std::path::Path) -> Result<Vec<Value>> {
        let file = file.to_string_lossy();
        let arguments = ["create", "--dry-run=client", "-o", "json", "-f", &*file];
        let mut found = resources(&self.run(&arguments)?)?;
        // kubectl fills in where they would go, unless a manifest says so itself.
        for metadata in found
            .iter_mut()
            .filter_map(|r| r["metadata"].as_object_mut())
        {
            if metadata.get("namespace").is_some_and(|n| n == "default") {
                metadata.remove("namespace");
            }
        }
        Ok(found)
    }
}

/// JSON objects, one after the other, and those in lists among them.
fn resources(text: &str) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let mut value = value.context("kubectl's answer is no JSON")?;
        match value["items"].take() {
            Value::Array(items) => found.extend(items),
            _ => {
                if let Some(fields) = value.as_object_mut() {
                    fields.remove("items");
                }
                found.push(value);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_found_alone_and_in_lists() {
        let text = r#"{"kind":"Service"} {"kind":"List","items":[{"kind":"Pod"},{"kind":"Job"}]}"#;
        let found = resources(text).unwrap();
        let kinds: Vec<_> = found.iter().map(|r| r["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["Service", "Pod", "Job"]);
        assert_eq!(found[0], serde_json::json!({"kind": "Service"}));
    }
}
