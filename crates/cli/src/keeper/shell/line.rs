//! What a line of the shell can be.

use serde::Serialize;

use crate::Error;
use crate::keeper::connection::Credentials;
use crate::keeper::paths::znode;
use crate::keeper::session::Session;
use crate::keeper::verbs::Verb;
use crate::output::{self, OutputFormat, View};

/// A line of the shell.
#[derive(Debug, clap::Parser)]
#[command(
    no_binary_name = true,
    about = "Commands of the shell; `help COMMAND` or `COMMAND --help` explains one.",
    help_template = "{about}\n\n{subcommands}"
)]
pub(crate) struct Line {
    /// How results are printed: table, wide, json, yaml or name
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        hide = true
    )]
    pub(crate) output: Option<OutputFormat>,
    #[command(subcommand)]
    pub(crate) verb: ShellVerb,
}

/// The verbs, and what only makes sense over a longer session.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ShellVerb {
    #[command(flatten)]
    Verb(Verb),
    /// Remove the watches of a znode
    Unwatch(PathArgs),
    /// Wait until this server has what was committed before
    Sync(PathArgs),
    /// List the ephemeral znodes of this session
    Ephemerals(PathArgs),
    /// Count the znodes below one
    Count(PathArgs),
    /// Prove who you are: auth digest alice:secret
    Auth(AuthArgs),
    /// End the session and the shell
    #[command(visible_alias = "exit")]
    Quit,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PathArgs {
    /// The znode
    #[arg(default_value = "/", value_parser = znode)]
    path: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AuthArgs {
    /// The scheme, such as digest
    scheme: String,
    /// What proves it, such as alice:secret
    credentials: String,
}

#[derive(Debug, Serialize)]
struct Paths {
    ephemerals: Vec<String>,
}

impl View for Paths {
    fn table(&self, _wide: bool) -> String {
        self.ephemerals
            .iter()
            .map(|path| format!("{path}\n"))
            .collect()
    }

    fn names(&self) -> Vec<String> {
        self.ephemerals.clone()
    }
}

#[derive(Debug, Serialize)]
struct Count {
    path: String,
    below: i32,
}

impl View for Count {
    fn table(&self, _wide: bool) -> String {
        format!("{}\n", self.below)
    }

    fn names(&self) -> Vec<String> {
        vec![self.below.to_string()]
    }
}

/// Runs what is no verb.
pub(super) async fn run(verb: ShellVerb, session: &mut Session<'_>) -> Result<(), Error> {
    let client = session.client;
    match verb {
        // The shell itself does these.
        ShellVerb::Verb(_) | ShellVerb::Quit => Ok(()),
        ShellVerb::Unwatch(args) => {
            let done = client.remove_watches(&args.path).await;
            done.map_err(|f| f.during(format!("removing the watches of {}", args.path)))
        }
        ShellVerb::Sync(args) => {
            let done = client.sync(&args.path).await;
            done.map_err(|f| f.during("waiting for what was committed"))
        }
        ShellVerb::Ephemerals(args) => {
            let asked = client.ephemerals(&args.path).await;
            let ephemerals = asked.map_err(|f| f.during("listing the ephemeral znodes"))?;
            output::print(&Paths { ephemerals }, session.format, session.streams)
        }
        ShellVerb::Count(args) => {
            let asked = client.count_below(&args.path).await;
            let below = asked.map_err(|f| f.during(format!("counting below {}", args.path)))?;
            let path = args.path;
            output::print(&Count { path, below }, session.format, session.streams)
        }
        ShellVerb::Auth(args) => {
            let credentials = Credentials::parse(&format!("{}:{}", args.scheme, args.credentials))?;
            let done = client.prove(credentials).await;
            done.map_err(|f| f.during(format!("proving an identity of the scheme {}", args.scheme)))
        }
    }
}
