//! `ottla keeper`: work with a keeper, ours or Apache ZooKeeper.
//!
//! ```text
//!   KeeperArgs ─┬▶ status: `srvr` on each server
//!               ├▶ a verb (ls, get, create …) ─▶ client: one session ─▶ View ─▶ -o
//!               ├▶ shell: lines of verbs over one session
//!               └▶ snapshot, restore, import: AdminServer, over HTTP
//! ```

mod acl;
mod backup;
mod client;
mod connection;
mod create;
mod data;
mod delete;
mod get;
mod ls;
mod members;
mod multi;
mod paths;
mod quota;
mod servers;
mod session;
mod set;
mod shell;
mod stat;
mod status;
mod verbs;
mod watch;
mod whoami;
mod words;

use std::collections::BTreeMap;

use ottla_runtime::{Runtime, Shutdown};

use crate::globals::{GlobalArgs, Globals};
use crate::{Error, Streams};
use client::Client;
use connection::{ConnectionArgs, Target};
use session::Session;
use verbs::Verb;

/// What `ottla keeper` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        ottla keeper status -S zk-0:2181,zk-1:2181,zk-2:2181\n  \
        ottla keeper create /app/config '{\"retries\": 3}' --parents\n  \
        ottla keeper get /app/config -S zk-0:2181/tenant-a --auth digest:alice:secret\n  \
        ottla keeper watch /app --recursive\n  \
        ottla keeper snapshot keeper.snap --admin zk-0:9644\n  \
        ottla keeper shell")]
pub struct KeeperArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: KeeperCommand,
}

/// The verbs of `ottla keeper`.
#[derive(Debug, clap::Subcommand)]
enum KeeperCommand {
    /// Show which servers answer, and what each is: leader, follower, observer or standalone
    Status,
    /// Work with znodes in a shell, with completion and a history
    Shell(shell::ShellArgs),
    /// Back up a running ensemble into a file, which is a snapshot of ZooKeeper's format
    #[command(visible_alias = "backup")]
    Snapshot(backup::SnapshotArgs),
    /// Replace everything that a running ensemble has by a backup
    Restore(backup::RestoreArgs),
    /// Move the data of a ZooKeeper, snapshot and log, into a running ensemble that is empty
    Import(backup::ImportArgs),
    #[command(flatten)]
    Verb(Verb),
}

impl KeeperArgs {
    /// Asks before what cannot be undone.
    pub(crate) fn confirm(&self, streams: &mut Streams) -> Result<(), Error> {
        match &self.command {
            KeeperCommand::Verb(verb) => verb.confirm(streams),
            KeeperCommand::Restore(args) => args.confirm(streams),
            KeeperCommand::Import(args) => args.confirm(streams),
            _ => Ok(()),
        }
    }

    /// Whether the command deals with Ctrl-C by itself.
    pub(crate) fn hears_signals(&self, streams: &Streams) -> bool {
        matches!(self.command, KeeperCommand::Shell(_)) && shell::ShellArgs::is_interactive(streams)
    }
}

/// Refuses what belongs to commands that work with Kafka.
fn refuse_foreign(global: &GlobalArgs) -> Result<(), Error> {
    if global.bootstrap_server.is_none() {
        return Ok(());
    }
    Err(Error::Usage(
        "--bootstrap-server names brokers; a keeper's servers are named with --server".to_owned(),
    ))
}

pub(crate) async fn run(
    args: &KeeperArgs,
    global: &GlobalArgs,
    globals: &Globals,
    env: &BTreeMap<String, String>,
    runtime: &Runtime,
    interrupt: &Shutdown,
    streams: &mut Streams,
) -> Result<(), Error> {
    refuse_foreign(global)?;
    let target = args.connection.resolve(env)?;
    match &args.command {
        KeeperCommand::Status => {
            let asking = status::run(&target, globals, runtime, streams);
            crate::until_interrupted(interrupt, asking).await
        }
        KeeperCommand::Shell(shell) => {
            shell::run(shell, &target, globals, env, runtime, interrupt, streams).await
        }
        KeeperCommand::Snapshot(_) | KeeperCommand::Restore(_) | KeeperCommand::Import(_) => {
            let context = backup::Context {
                target: &target,
                globals,
                runtime,
                streams,
            };
            let working = Box::pin(back_up(&args.command, context));
            crate::until_interrupted(interrupt, working).await
        }
        KeeperCommand::Verb(verb) => {
            let (client, events) = connect(&target, globals, runtime, interrupt).await?;
            let mut session = Session {
                client: &client,
                events: Some(events),
                runtime,
                interrupt,
                format: globals.output.unwrap_or_default(),
                streams,
            };
            let done = verb.run(&mut session).await;
            client.close().await;
            done
        }
    }
}

async fn back_up(command: &KeeperCommand, mut context: backup::Context<'_>) -> Result<(), Error> {
    let context = &mut context;
    match command {
        KeeperCommand::Snapshot(args) => backup::snapshot(args, context).await,
        KeeperCommand::Restore(args) => backup::restore(args, context).await,
        KeeperCommand::Import(args) => backup::import(args, context).await,
        KeeperCommand::Status | KeeperCommand::Shell(_) | KeeperCommand::Verb(_) => Ok(()),
    }
}

async fn connect(
    target: &Target,
    globals: &Globals,
    runtime: &Runtime,
    interrupt: &Shutdown,
) -> Result<(Client, client::Events), Error> {
    let connecting = async {
        let connected = Client::connect(runtime, target, globals.timeout).await;
        connected.map_err(|failure| failure.during("opening a session"))
    };
    crate::until_interrupted(interrupt, connecting).await
}
