//! `ottla keeper stat`.

use serde::Serialize;

use super::data::StatView;
use super::paths::{stat_of, znode};
use super::session::Session;
use super::watch;
use crate::Error;
use crate::output::{self, View};

/// What `ottla keeper stat` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct StatArgs {
    /// The znode
    #[arg(value_parser = znode)]
    path: String,
    /// Wait until its data are set or it is deleted, and tell it
    #[arg(short, long)]
    watch: bool,
}

/// The stat of a znode.
#[derive(Debug, Serialize)]
pub(super) struct StatOf {
    pub(super) path: String,
    #[serde(flatten)]
    pub(super) stat: StatView,
}

impl View for StatOf {
    fn table(&self, _wide: bool) -> String {
        self.stat.lines()
    }

    fn names(&self) -> Vec<String> {
        vec![self.path.clone()]
    }
}

pub(super) async fn run(args: &StatArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let stat = stat_of(session.client, "looking at", &args.path, args.watch).await?;
    let view = StatOf {
        path: args.path.clone(),
        stat: stat.into(),
    };
    output::print(&view, session.format, session.streams)?;
    if args.watch {
        watch::wait_for_one(&args.path, session).await?;
    }
    Ok(())
}
