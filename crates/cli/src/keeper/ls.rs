//! `ottla keeper ls`.

use ottla_jute::ErrorCode;
use serde::Serialize;

use super::data::{StatView, hex};
use super::paths::{failed, join, znode};
use super::session::Session;
use super::watch;
use crate::Error;
use crate::output::{self, OutputFormat, View};
use crate::table::table;

/// What `ottla keeper ls` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// The znode
    #[arg(default_value = "/", value_parser = znode)]
    path: String,
    /// Also the stat of the znode
    #[arg(short, long)]
    stat: bool,
    /// Also everything below the children
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Wait until a child is created or deleted, and tell it
    #[arg(short, long, conflicts_with = "recursive")]
    watch: bool,
}

/// The children of a znode.
#[derive(Debug, Serialize)]
struct Listing {
    path: String,
    /// Their names, or with everything below them their paths.
    children: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stat: Option<StatView>,
    /// Only where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Details>,
}

#[derive(Debug, Serialize)]
struct Details {
    name: String,
    #[serde(flatten)]
    stat: StatView,
    #[serde(skip)]
    cells: [String; 5],
}

impl View for Listing {
    fn table(&self, wide: bool) -> String {
        let mut text = if wide && !self.details.is_empty() {
            let row = |d: &Details| std::iter::once(d.name.clone()).chain(d.cells.clone());
            let headings = [
                "NAME", "CHILDREN", "BYTES", "VERSION", "SESSION", "MODIFIED",
            ];
            table(&headings, self.details.iter().map(row).collect::<Vec<_>>())
        } else {
            self.children
                .iter()
                .map(|name| format!("{name}\n"))
                .collect()
        };
        if let Some(stat) = &self.stat {
            text.push_str(&stat.lines());
        }
        text
    }

    fn names(&self) -> Vec<String> {
        self.children.clone()
    }
}

pub(super) async fn run(args: &LsArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let client = session.client;
    let (children, stat) = match client.children(&args.path, args.watch).await {
        Ok(listed) => listed,
        Err(failure) => return Err(failed(client, "listing", &args.path, failure).await),
    };
    let mut details = Vec::new();
    if session.format == OutputFormat::Wide {
        for name in &children {
            details.extend(details_of(session, &args.path, name).await?);
        }
    }
    let children = if args.recursive {
        below(session, &args.path, children).await?
    } else {
        children
    };
    let listing = Listing {
        path: args.path.clone(),
        children,
        stat: args.stat.then(|| stat.into()),
        details: if args.recursive { Vec::new() } else { details },
    };
    output::print(&listing, session.format, session.streams)?;
    if args.watch {
        watch::wait_for_one(&args.path, session).await?;
    }
    Ok(())
}

/// A child's stat; none if it is gone meanwhile.
async fn details_of(
    session: &Session<'_>,
    path: &str,
    name: &str,
) -> Result<Option<Details>, Error> {
    let child = join(path, name);
    let stat = session.client.exists(&child, false).await;
    let stat = stat.map_err(|failure| failure.during(format!("looking at {child}")))?;
    let Some(stat) = stat else { return Ok(None) };
    let owner = match stat.ephemeral_owner {
        0 => "-".to_owned(),
        session => hex(session),
    };
    Ok(Some(Details {
        name: name.to_owned(),
        stat: stat.into(),
        cells: [
            stat.num_children.to_string(),
            stat.data_length.to_string(),
            stat.version.to_string(),
            owner,
            crate::moment::utc_text(stat.mtime),
        ],
    }))
}

/// The paths of everything below a znode, parents before their children.
async fn below(
    session: &Session<'_>,
    path: &str,
    children: Vec<String>,
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut left: Vec<String> = children.iter().rev().map(|name| join(path, name)).collect();
    while let Some(path) = left.pop() {
        match session.client.children(&path, false).await {
            Ok((children, _)) => {
                left.extend(children.iter().rev().map(|name| join(&path, name)));
                found.push(path);
            }
            // Gone since its parent was listed.
            Err(failure) if failure.code() == Some(ErrorCode::NoNode) => {}
            Err(failure) if failure.code() == Some(ErrorCode::NoAuth) => found.push(path),
            Err(failure) => return Err(failure.during(format!("listing {path}"))),
        }
    }
    Ok(found)
}
