//! The command line of `ottla`, in the shape of kubectl: a noun, a verb, `-o json|yaml`.
//!
//! ```text
//!   Cli ─▶ action ─┬▶ Server(ServerArgs) ─▶ resolve: what the binary starts a node with
//!                  ├▶ Operator ─▶ what the binary hands to the operator
//!                  └▶ Command ─▶ main ─▶ run ─▶ topic | group | config | txn | produce | …
//!                                          │       └──▶ cluster (ottla-client) ─▶ View ─▶ -o
//!                                          ├──▶ keeper: znodes, over a client of its own
//!                                          ├──▶ dump: files, without a cluster
//!                                          └──▶ dev: several nodes, each this program again
//! ```
//!
//! Each command gathers what it knows into a `View`, whose fields are the JSON and YAML; the table
//! for people is made from the same. Results go to standard output, everything else to standard
//! error.
//!
//! Architecture invariant: this crate reaches a cluster only through `ottla-client`, and a keeper
//! only through its ports, as any client does. It never imports the broker, the controller, the
//! keeper or the log; of `ottla-net` it takes TLS alone. Files of a log are read by formats of its
//! own.

mod arguments;
mod base64;
mod bench;
mod broker;
mod cluster;
mod completions;
mod config;
mod confirm;
mod consume;
mod dev;
mod doctor;
mod dump;
mod elections;
mod error;
mod escape;
mod exit;
mod globals;
mod group;
mod inspect;
mod keeper;
mod mirror;
mod moment;
mod moving;
mod operator_arguments;
mod output;
mod planned;
mod produce;
mod progress;
mod quorum;
mod rebalance;
mod server_arguments;
mod size;
mod start_zookeeper;
mod streams;
mod suggest;
mod survey;
mod table;
mod throttle;
mod topic;
mod txn;

use std::collections::BTreeMap;
use std::process::ExitCode;

use ottla_runtime::{Runtime, Shutdown, TaskKind};
use tokio::signal::unix::{SignalKind, signal};

pub use arguments::{Action, Cli, Command};
pub use bench::BenchCommand;
pub use broker::BrokerCommand;
pub use completions::CompletionsArgs;
pub use config::ConfigCommand;
pub use consume::ConsumeArgs;
pub use dev::DevArgs;
pub use doctor::DoctorArgs;
pub use dump::LogCommand;
pub use error::Error;
pub use exit::Exit;
pub use globals::GlobalArgs;
pub use group::GroupCommand;
pub use inspect::ClusterCommand;
pub use keeper::KeeperArgs;
pub use mirror::MirrorArgs;
pub use operator_arguments::{
    OperatorArgs, OperatorCommand, OperatorStart, PodArgs, PodSettings, RenderArgs,
};
pub use output::OutputFormat;
pub use produce::ProduceArgs;
pub use quorum::QuorumCommand;
pub use server_arguments::{LogFormat, ServerArgs, ServerStart};
pub use start_zookeeper::StartZookeeperArgs;
pub use streams::Streams;
pub use topic::TopicCommand;
pub use txn::TxnCommand;

use cluster::Cluster;

/// Runs a command as the whole of a process: its streams, its environment, its signals.
#[must_use]
pub fn main(command: Command, global: &GlobalArgs) -> ExitCode {
    let mut streams = Streams::of_process();
    // A signal must be heard while the main thread waits for a slow reader of our output.
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("ottla")
        .enable_all()
        .build();
    let tokio = match tokio {
        Ok(tokio) => tokio,
        Err(source) => {
            let error = Error::Stream {
                stream: "cannot start the runtime",
                source,
            };
            streams.report(&error);
            return error.exit().into();
        }
    };
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let exit = tokio.block_on(async {
        let runtime = Runtime::real();
        run(command, global, &env, &runtime, &mut streams).await
    });
    // Input may still be waited for in a thread of its own; nobody needs it any more.
    tokio.shutdown_background();
    exit.into()
}

/// Runs a command and reports its error, if any, on `streams.err`.
pub async fn run(
    command: Command,
    global: &GlobalArgs,
    env: &BTreeMap<String, String>,
    runtime: &Runtime,
    streams: &mut Streams,
) -> Exit {
    let done = Box::pin(dispatch(command, global, env, runtime, streams)).await;
    match done {
        Ok(()) => Exit::Ok,
        Err(error) => {
            if !error.is_broken_pipe() && !matches!(error, Error::Interrupted) {
                streams.report(&error);
            }
            error.exit()
        }
    }
}

async fn dispatch(
    command: Command,
    global: &GlobalArgs,
    env: &BTreeMap<String, String>,
    runtime: &Runtime,
    streams: &mut Streams,
) -> Result<(), Error> {
    let globals = global.resolve(env)?;
    // Not the runtime's own shutdown: that ends the client, too, and what was read before a
    // signal is still to be sent.
    let interrupt = Shutdown::new();
    match command {
        Command::Config(command) if command.is_offline() => {
            config::run_offline(globals.output, streams)
        }
        Command::Log(command) => dump::run(&command, &*runtime.disk, globals.output, streams),
        Command::Completions(args) => completions::run(&args, streams),
        Command::Bench(command) => {
            hear_signals(runtime, &interrupt)?;
            let connecting = Cluster::connect(runtime, &globals, false);
            let cluster = until_interrupted(&interrupt, connecting).await?;
            let format = globals.output.unwrap_or_default();
            bench::run(&command, &cluster, runtime, &interrupt, format, streams).await
        }
        Command::Dev(args) => {
            hear_signals(runtime, &interrupt)?;
            dev::run(&args, global, env, runtime, &interrupt, streams).await
        }
        Command::Doctor(args) => {
            hear_signals(runtime, &interrupt)?;
            let examining = doctor::run(&args, &globals, runtime, streams);
            until_interrupted(&interrupt, examining).await
        }
        Command::Keeper(args) => {
            args.confirm(streams)?;
            if !args.hears_signals(streams) {
                hear_signals(runtime, &interrupt)?;
            }
            Box::pin(keeper::run(
                &args, global, &globals, env, runtime, &interrupt, streams,
            ))
            .await
        }
        Command::Mirror(args) => {
            let sides = args.sides(&globals)?;
            hear_signals(runtime, &interrupt)?;
            let format = globals.output.unwrap_or_default();
            mirror::run(&args, &sides, runtime, &interrupt, format, streams).await
        }
        Command::Produce(args) => {
            let plan = args.plan(&globals)?;
            hear_signals(runtime, &interrupt)?;
            let connecting = Cluster::connect(runtime, &globals, true);
            let cluster = until_interrupted(&interrupt, connecting).await?;
            produce::run(plan, &cluster, runtime, &interrupt, streams).await
        }
        Command::Consume(args) => {
            let plan = args.plan(&globals, runtime.clock.now_ms())?;
            hear_signals(runtime, &interrupt)?;
            let connecting = Cluster::connect(runtime, &globals, false);
            let cluster = until_interrupted(&interrupt, connecting).await?;
            consume::run(plan, &cluster, &interrupt, streams).await
        }
        command => {
            // Asked before signals are ours: Ctrl-C at the question just ends the process.
            confirm(&command, streams)?;
            hear_signals(runtime, &interrupt)?;
            let connecting = Cluster::connect(runtime, &globals, false);
            let cluster = until_interrupted(&interrupt, connecting).await?;
            let work = administer(&command, &cluster, &interrupt, globals.output, streams);
            if command.hears_interrupts() {
                work.await
            } else {
                until_interrupted(&interrupt, work).await
            }
        }
    }
}

/// Asks before what cannot be undone.
fn confirm(command: &Command, streams: &mut Streams) -> Result<(), Error> {
    match command {
        Command::Topic(command) => topic::confirm(command, streams),
        Command::Group(command) => group::confirm(command, streams),
        Command::Txn(command) => txn::confirm(command, streams),
        Command::Broker(command) => broker::confirm(command, streams),
        Command::Cluster(command) => inspect::confirm(command, streams),
        Command::Quorum(command) => quorum::confirm(command, streams),
        _ => Ok(()),
    }
}

/// Runs a command that asks a cluster and prints what it says.
async fn administer(
    command: &Command,
    cluster: &Cluster,
    interrupt: &Shutdown,
    output: Option<OutputFormat>,
    streams: &mut Streams,
) -> Result<(), Error> {
    let format = output.unwrap_or_default();
    match command {
        Command::Topic(command) => topic::run(command, cluster, interrupt, format, streams).await,
        Command::Group(command) => group::run(command, cluster, format, streams).await,
        Command::Cluster(command) => {
            inspect::run(command, cluster, interrupt, format, streams).await
        }
        Command::Broker(command) => broker::run(command, cluster, interrupt, format, streams).await,
        Command::Quorum(command) => quorum::run(command, cluster, format, streams).await,
        Command::Txn(command) => txn::run(command, cluster, format, streams).await,
        Command::Config(command) => config::run(command, cluster, output, streams).await,
        // These run by themselves.
        Command::Bench(_)
        | Command::Produce(_)
        | Command::Consume(_)
        | Command::Dev(_)
        | Command::Doctor(_)
        | Command::Keeper(_)
        | Command::Mirror(_)
        | Command::Log(_)
        | Command::Completions(_) => Ok(()),
    }
}

/// Announces the end at the first Ctrl-C or SIGTERM; the second one ends the process at once, for
/// when the first cannot be obeyed.
fn hear_signals(runtime: &Runtime, interrupt: &Shutdown) -> Result<(), Error> {
    let hear = |kind| {
        signal(kind).map_err(|source| Error::Stream {
            stream: "cannot listen for signals",
            source,
        })
    };
    let (mut ctrl_c, mut terminate) = (
        hear(SignalKind::interrupt())?,
        hear(SignalKind::terminate())?,
    );
    let interrupt = interrupt.clone();
    let hearing = async move {
        loop {
            let heard = tokio::select! {
                biased;
                heard = ctrl_c.recv() => heard,
                heard = terminate.recv() => heard,
            };
            if heard.is_none() {
                return Err("no more signals come");
            }
            if interrupt.is_announced() {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
            interrupt.announce();
        }
    };
    runtime
        .tasks
        .spawn(TaskKind::Housekeeping, "signals", hearing);
    Ok(())
}

/// Works until done or interrupted.
async fn until_interrupted<T>(
    interrupt: &Shutdown,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        done = work => done,
        () = interrupt.announced() => Err(Error::Interrupted),
    }
}

#[cfg(test)]
mod tests;
