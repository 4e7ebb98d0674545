//! `ottla keeper get`.

use serde::Serialize;

use super::data::{self, DataFormat, DataView, StatView};
use super::paths::{failed, znode};
use super::session::Session;
use super::watch;
use crate::Error;
use crate::output::{self, OutputFormat, View};

/// What `ottla keeper get` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The znode
    #[arg(value_parser = znode)]
    path: String,
    /// Also its stat
    #[arg(short, long)]
    stat: bool,
    /// Wait until its data are set or it is deleted, and tell it
    #[arg(short, long)]
    watch: bool,
    /// How the data are printed: text, raw, base64 or hex
    #[arg(
        short,
        long,
        value_enum,
        default_value = "text",
        hide_possible_values = true
    )]
    format: DataFormat,
}

/// A znode's data.
#[derive(Debug, Serialize)]
struct Got {
    path: String,
    #[serde(flatten)]
    data: DataView,
    stat: StatView,
}

impl View for Got {
    fn table(&self, _wide: bool) -> String {
        self.stat.lines()
    }

    fn names(&self) -> Vec<String> {
        vec![self.path.clone()]
    }
}

pub(super) async fn run(args: &GetArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let client = session.client;
    let (data, stat) = match client.get(&args.path, args.watch).await {
        Ok(got) => got,
        Err(failure) => return Err(failed(client, "reading", &args.path, failure).await),
    };
    let got = Got {
        path: args.path.clone(),
        data: DataView::of(data.as_ref()),
        stat: stat.into(),
    };
    match session.format {
        OutputFormat::Table | OutputFormat::Wide => {
            data::print(data.as_ref(), args.format, session)?;
            if args.stat {
                output::print(&got, session.format, session.streams)?;
            }
        }
        format => output::print(&got, format, session.streams)?,
    }
    if args.watch {
        watch::wait_for_one(&args.path, session).await?;
    }
    Ok(())
}
