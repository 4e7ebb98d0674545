//! Turns `schema/**/*.schema` into Rust: one module per message, and the registry of APIs.

mod arbitrary;
mod generate;
mod parse;
mod registry;
mod schema;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    println!("cargo::rerun-if-changed=schema");
    println!("cargo::rerun-if-changed=build");
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").map_err(|e| e.to_string())?);
    let out = PathBuf::from(std::env::var("OUT_DIR").map_err(|e| e.to_string())?);
    let mut files = Vec::new();
    collect(&root.join("schema"), &mut files)?;
    files.sort();
    let mut schema = schema::Schema::default();
    for file in &files {
        let text = read(file)?;
        let shown = file.strip_prefix(&root).unwrap_or(file);
        parse::parse(shown, &text, &mut schema).map_err(|e| e.to_string())?;
    }
    schema.apis.sort_by_key(|api| api.key);
    schema.messages.sort_by(|a, b| a.name.cmp(&b.name));
    write(&out.join("messages.rs"), &generate::messages(&schema)?)?;
    write(&out.join("registry.rs"), &registry::registry(&schema)?)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let error = |e: std::io::Error| format!("{}: {e}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "schema")
        {
            files.push(path);
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))
}
