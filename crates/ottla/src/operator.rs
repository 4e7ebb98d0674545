//! `ottla operator`: hands the arguments to the operator, and prints what it says.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use ottla_cli::{Exit, GlobalArgs, OperatorCommand, OutputFormat, RenderArgs};
use ottla_operator::offline::{self, Format};
use ottla_operator::render::Settings;

/// Runs a command as the whole of a process.
pub(crate) fn main(command: &OperatorCommand, global: &GlobalArgs) -> ExitCode {
    match run(command, global) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            super::report(&super::chain(&error));
            Exit::Failed.into()
        }
    }
}

fn run(command: &OperatorCommand, global: &GlobalArgs) -> Result<()> {
    let format = match global.output {
        Some(OutputFormat::Json) => Format::Json,
        _ => Format::Yaml,
    };
    match command {
        OperatorCommand::Render(args) => render(args, format),
        OperatorCommand::Crds => print(&offline::crds(format)?),
    }
}

fn render(args: &RenderArgs, format: Format) -> Result<()> {
    let text = if args.file == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.context("standard input cannot be read")?;
        text
    } else {
        let read = std::fs::read_to_string(&args.file);
        read.with_context(|| format!("{} cannot be read", args.file))?
    };
    let pods = args
        .pods
        .resolve(&std::env::vars().collect::<BTreeMap<_, _>>());
    let settings = Settings {
        image: pods.image,
        image_pull_policy: pods.image_pull_policy,
        cluster_domain: pods.cluster_domain,
    };
    let rendered = offline::render(&text, &settings, &args.namespace, format)
        .with_context(|| args.file.clone())?;
    for warning in &rendered.warnings {
        super::report(&format!("note: {warning}"));
    }
    print(&rendered.text)
}

/// A reader that has seen enough is no failure.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("standard output cannot be written"),
    }
}
