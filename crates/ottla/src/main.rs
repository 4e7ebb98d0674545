//! The `ottla` command.

mod operator;

use std::collections::BTreeMap;
use std::process::ExitCode;

use ottla::late_config::Late;
use ottla_cli::{Action, Cli, ServerArgs, ServerStart};

/// Gives pages back that a burst needed, and keeps small and large requests apart: with the C library's
/// allocator 200 busy connections kept ten times as much memory as with this one.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match Cli::of_process(std::env::args_os()).action() {
        Ok(Action::Server(args)) => server(&args),
        Ok(Action::Command(command, global)) => ottla_cli::main(command, &global),
        Ok(Action::Operator(command, global)) => operator::main(&command, &global),
        Err(usage) => usage.exit(),
    }
}

/// Exit status 2 for arguments that cannot be read, 1 for a node that cannot start or go on.
fn server(args: &ServerArgs) -> ExitCode {
    let start = match args.resolve(&std::env::vars().collect::<BTreeMap<_, _>>()) {
        Ok(start) => start,
        Err(error) => {
            report(&error);
            return error.exit().into();
        }
    };
    match serve(&start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error with its causes, each said once: many messages end with their cause already.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn serve(start: &ServerStart) -> anyhow::Result<()> {
    let log_levels = ottla::server::start_log(start.log_format, &start.log_filter)?;
    let late_file = match ottla::late_config::wait(start)? {
        Late::NotAsked => None,
        Late::Read(path, text) => Some((path, text)),
        Late::Stopped => return Ok(()),
    };
    let loaded = ottla::server::configure(start, late_file)?;
    let threads = usize::try_from(loaded.config.broker.num_network_threads).unwrap_or(1);
    let tokio = tokio::runtime::Builder::new_multi_thread()
        // More threads than processors only take turns.
        .worker_threads(threads.clamp(1, ottla_runtime::system::processors()))
        .thread_name("ottla")
        .enable_all()
        .build()?;
    tokio.block_on(ottla::server::run(start, loaded, log_levels))
}

#[expect(
    clippy::print_stderr,
    reason = "this is the program's last word to a person"
)]
fn report(error: &dyn std::fmt::Display) {
    eprintln!("ottla: {error}");
}
