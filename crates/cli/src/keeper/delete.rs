//! `ottla keeper delete` and `deleteall`.

use ottla_jute::{Delete, ErrorCode, MultiOp};
use serde::Serialize;

use super::paths::{failed, join, znode};
use super::session::Session;
use crate::output::{self, View};
use crate::{Error, Streams};

/// What `ottla keeper delete` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    /// The znodes
    #[arg(required = true, value_name = "PATH", value_parser = znode)]
    paths: Vec<String>,
    /// Only if its data have this version
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    version: Option<i32>,
    /// One that does not exist is no failure
    #[arg(long)]
    if_exists: bool,
}

/// What `ottla keeper deleteall` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteAllArgs {
    /// The znodes
    #[arg(required = true, value_name = "PATH", value_parser = znode)]
    paths: Vec<String>,
    /// One that does not exist is no failure
    #[arg(long)]
    if_exists: bool,
    /// Only print what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Do not ask first
    #[arg(short, long)]
    yes: bool,
}

/// So many are deleted with one request.
const TOGETHER: usize = 100;

/// The reply to the person.
#[derive(Debug, Serialize)]
struct Deleted {
    znodes: Vec<Row>,
    #[serde(skip)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    path: String,
    /// False if it was not there.
    deleted: bool,
    /// How many were below it.
    below: usize,
}

impl View for Deleted {
    fn table(&self, _wide: bool) -> String {
        let line = |row: &Row| {
            let path = &row.path;
            if !row.deleted {
                return format!("{path} does not exist; nothing was changed\n");
            }
            let done = if self.dry_run {
                "would be deleted"
            } else {
                "deleted"
            };
            match row.below {
                0 => format!("{path} {done}\n"),
                below => format!("{path} {done} with {below} below it\n"),
            }
        };
        self.znodes.iter().map(line).collect()
    }

    fn names(&self) -> Vec<String> {
        let deleted = self.znodes.iter().filter(|row| row.deleted);
        deleted.map(|row| row.path.clone()).collect()
    }
}

impl DeleteArgs {
    /// The operations of a multi.
    pub(super) fn ops(&self) -> Vec<MultiOp> {
        let version = self.version.unwrap_or(-1);
        let op = |path: &String| {
            MultiOp::Delete(Delete {
                path: path.clone(),
                version,
            })
        };
        self.paths.iter().map(op).collect()
    }
}

pub(super) async fn run(args: &DeleteArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let client = session.client;
    let (mut znodes, mut errors) = (Vec::new(), Vec::new());
    for path in &args.paths {
        let row = |deleted| Row {
            path: path.clone(),
            deleted,
            below: 0,
        };
        match client.delete(path, args.version.unwrap_or(-1)).await {
            Ok(()) => znodes.push(row(true)),
            Err(failure) if args.if_exists && failure.code() == Some(ErrorCode::NoNode) => {
                znodes.push(row(false));
            }
            Err(failure) => errors.push(failed(client, "deleting", path, failure).await),
        }
    }
    finish(znodes, errors, args.paths.len(), false, session)
}

fn finish(
    znodes: Vec<Row>,
    errors: Vec<Error>,
    total: usize,
    dry_run: bool,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    if !znodes.is_empty() {
        let view = Deleted { znodes, dry_run };
        output::print(&view, session.format, session.streams)?;
    }
    Error::of_several(errors, total, "znodes", session.streams)
}

impl DeleteAllArgs {
    /// Asks first.
    pub(super) fn confirm(&self, streams: &mut Streams) -> Result<(), Error> {
        let what = self.paths.join(", ");
        let question = format!("Delete {what} with everything below?");
        crate::confirm::confirm(&question, self.yes || self.dry_run, streams)
    }
}

pub(super) async fn run_all(args: &DeleteAllArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let (mut znodes, mut errors) = (Vec::new(), Vec::new());
    for path in &args.paths {
        match delete_all(path, args, session).await {
            Ok(row) => znodes.push(row),
            Err(error) => errors.push(error),
        }
    }
    finish(znodes, errors, args.paths.len(), args.dry_run, session)
}

/// Deletes a znode and what is below it. The root and what is the service's own stay.
async fn delete_all(path: &str, args: &DeleteAllArgs, session: &Session<'_>) -> Result<Row, Error> {
    let client = session.client;
    // What is created meanwhile needs another look.
    for _ in 0..ROUNDS_MAX {
        let found = match collect(path, session).await? {
            Some(found) => found,
            None if args.if_exists => {
                return Ok(Row {
                    path: path.to_owned(),
                    deleted: false,
                    below: 0,
                });
            }
            None => {
                let none = super::client::Failure::Refused(ErrorCode::NoNode);
                return Err(failed(client, "deleting", path, none).await);
            }
        };
        let row = Row {
            path: path.to_owned(),
            deleted: true,
            below: found.len() - 1,
        };
        if args.dry_run || delete_found(&found, session).await? {
            return Ok(row);
        }
    }
    Err(Error::Failed {
        action: format!("deleting {path}"),
        reason: "somebody creates znodes below it all the time; stop that first".to_owned(),
    })
}

const ROUNDS_MAX: usize = 20;

/// The paths below a znode and its own, parents before their children; none if it is not there.
async fn collect(path: &str, session: &Session<'_>) -> Result<Option<Vec<String>>, Error> {
    let mut found = Vec::new();
    let mut left = vec![path.to_owned()];
    while let Some(at) = left.pop() {
        // Nobody can delete these; below the root they are the service's own.
        if at == "/zookeeper" {
            continue;
        }
        match session.client.children(&at, false).await {
            Ok((children, _)) => {
                left.extend(children.iter().map(|name| join(&at, name)));
                found.push(at);
            }
            Err(failure) if failure.code() == Some(ErrorCode::NoNode) => {}
            Err(failure) => return Err(failed(session.client, "listing", &at, failure).await),
        }
    }
    Ok((!found.is_empty()).then_some(found))
}

/// Deletes children before their parents; false if something new is below one.
async fn delete_found(found: &[String], session: &Session<'_>) -> Result<bool, Error> {
    let client = session.client;
    let upwards: Vec<&String> = found.iter().rev().filter(|path| *path != "/").collect();
    for paths in upwards.chunks(TOGETHER) {
        let op = |path: &&String| {
            MultiOp::Delete(Delete {
                path: (*path).clone(),
                version: -1,
            })
        };
        let done = client.multi(paths.iter().map(op).collect()).await;
        let Err(failure) = done else { continue };
        match failure.code() {
            // Somebody else deletes or creates there: one by one, and then look again.
            Some(ErrorCode::NoNode | ErrorCode::NotEmpty) => {
                for path in paths {
                    match client.delete(path, -1).await {
                        Ok(()) => {}
                        Err(failure) => match failure.code() {
                            Some(ErrorCode::NoNode) => {}
                            Some(ErrorCode::NotEmpty) => return Ok(false),
                            _ => return Err(failed(client, "deleting", path, failure).await),
                        },
                    }
                }
            }
            _ => {
                let first = paths.first().map_or("", |path| path.as_str());
                return Err(failed(client, "deleting", first, failure).await);
            }
        }
    }
    Ok(true)
}
