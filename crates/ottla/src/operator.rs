//! `ottla operator`: runs the operator, hands the arguments to the operator, and prints what it says.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use ottla_cli::{
    Exit, GlobalArgs, OperatorArgs, OperatorCommand, OutputFormat, PodSettings, RenderArgs,
};
use ottla_operator::offline::{self, Format};
use ottla_operator::render::Settings;
use ottla_operator::{Metrics, Options};
use ottla_runtime::Runtime;

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
        OperatorCommand::Run(args) => operate(args),
        OperatorCommand::Render(args) => render(args, format),
        OperatorCommand::Crds => print(&offline::crds(format)?),
    }
}

/// Runs the operator until it is told to stop.
fn operate(args: &OperatorArgs) -> Result<()> {
    let env = std::env::vars().collect::<BTreeMap<_, _>>();
    let start = args.resolve(&env)?;
    ottla::server::start_log(start.log_format, &start.log_filter)?;
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(ottla_runtime::system::processors().clamp(1, 4))
        .thread_name("ottla-operator")
        .enable_all()
        .build()?;
    tokio.block_on(async {
        let runtime = Runtime::real();
        let stop = ottla::server::stop_signal()?;
        let metrics = Arc::new(Metrics::new());
        ottla::http::operator::serve(&runtime, start.port, &metrics).await?;
        let options = Options {
            namespaces: start.watch_namespaces,
            own_namespace: start.namespace.unwrap_or_else(|| "default".to_owned()),
            identity: start
                .identity
                .unwrap_or_else(ottla_runtime::system::hostname),
            leader_election: start.leader_election,
            settings: settings(start.pods),
        };
        let working = ottla_operator::run(options, runtime.clone(), metrics);
        let mut working = std::pin::pin!(working);
        tokio::select! {
            biased;
            () = stop => {
                tracing::info!("stopping");
                runtime.shutdown().announce();
                working.await?;
            }
            ended = &mut working => ended?,
        }
        runtime.tasks.stop().await;
        Ok(())
    })
}

fn settings(pods: PodSettings) -> Settings {
    Settings {
        image: pods.image,
        image_pull_policy: pods.image_pull_policy,
        cluster_domain: pods.cluster_domain,
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
    let rendered = offline::render(&text, &settings(pods), &args.namespace, format)
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
