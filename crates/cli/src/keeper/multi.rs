//! `ottla keeper multi`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use ottla_jute::{Check, MultiOp, MultiResult};
use serde::Serialize;

use super::data::StatView;
use super::paths::znode;
use super::session::Session;
use super::words;
use super::{create, delete, set};
use crate::Error;
use crate::output::{self, View};
use crate::table::table;

/// What `ottla keeper multi` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Operations, each one argument or one line of the file:\n  \
        create [-e] [-s] [-c] [-t TIME] PATH [DATA [ACL]]\n  \
        set [-v VERSION] PATH DATA\n  \
        delete [-v VERSION] PATH...\n  \
        check PATH VERSION\n\
        Examples:\n  \
        ottla keeper multi 'check /leader 4' 'set /config \"a b\"' 'delete /lock'\n  \
        ottla keeper multi --file changes.txt"
)]
pub(crate) struct MultiArgs {
    /// The operations
    #[arg(value_name = "OPERATION", required_unless_present = "file")]
    operations: Vec<String>,
    /// A file with an operation on each line; - is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "operations")]
    file: Option<PathBuf>,
}

/// One operation as it is written.
#[derive(Debug, clap::Parser)]
#[command(multicall = true, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    op: Op,
}

#[derive(Debug, clap::Subcommand)]
enum Op {
    Create(create::CreateArgs),
    Set(set::SetArgs),
    #[command(alias = "rm")]
    Delete(delete::DeleteArgs),
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    #[arg(value_parser = znode)]
    path: String,
    #[arg(value_parser = clap::value_parser!(i32).range(-1..))]
    version: i32,
}

/// What became of the operations.
#[derive(Debug, Serialize)]
struct Done {
    results: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    operation: &'static str,
    path: String,
    /// What the znode is now; null for deletes and checks.
    stat: Option<StatView>,
    #[serde(skip)]
    version: Option<i32>,
}

impl View for Done {
    fn table(&self, _wide: bool) -> String {
        let row = |row: &Row| {
            let version = row.version.map_or("-".to_owned(), |v| v.to_string());
            [row.operation.to_owned(), row.path.clone(), version]
        };
        table(
            &["OPERATION", "PATH", "VERSION"],
            self.results.iter().map(row),
        )
    }

    fn names(&self) -> Vec<String> {
        self.results.iter().map(|row| row.path.clone()).collect()
    }
}

/// What clap says of words that do not fit, in one line.
pub(super) fn reason(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("it makes no sense");
    let first = first.strip_prefix("error: ").unwrap_or(first);
    // What is missing, or what is possible, stands on lines of its own.
    let more: Vec<&str> = lines
        .take_while(|line| !line.starts_with("For more information"))
        .map(|line| line.trim_start_matches("tip: "))
        .collect();
    if more.is_empty() {
        return first.to_owned();
    }
    format!("{first} {}", more.join("; "))
}

fn parse(line: &str, session: &mut Session<'_>) -> Result<Vec<MultiOp>, Error> {
    let words = words::split(line).map_err(Error::Usage)?;
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let parsed = Line::try_parse_from(words).map_err(|error| Error::Usage(reason(&error)))?;
    Ok(match parsed.op {
        Op::Create(args) => vec![args.op(session)?],
        Op::Set(args) => vec![args.op(session)?],
        Op::Delete(args) => args.ops(),
        Op::Check(args) => vec![MultiOp::Check(Check {
            path: args.path,
            version: args.version,
        })],
    })
}

/// The text of the file, or of standard input.
fn read(file: &Path, session: &mut Session<'_>) -> Result<String, Error> {
    let name = file.display().to_string();
    let bytes = if name == "-" {
        let mut bytes = Vec::new();
        let input = session.streams.input.take();
        let read = input.map_or(Ok(0), |mut input| input.read_to_end(&mut bytes));
        read.map(|_| bytes)
    } else {
        session.runtime.disk.read(file)
    };
    let bytes = bytes.map_err(|source| Error::File {
        path: name.clone(),
        source,
    })?;
    String::from_utf8(bytes).map_err(|_| Error::Failed {
        action: format!("reading {name}"),
        reason: "it is not UTF-8".to_owned(),
    })
}

fn operations(args: &MultiArgs, session: &mut Session<'_>) -> Result<Vec<MultiOp>, Error> {
    let (input, lines) = match &args.file {
        Some(file) => {
            let text = read(file, session)?;
            let lines = text.lines().map(str::to_owned).collect();
            (file.display().to_string(), lines)
        }
        None => ("the operations".to_owned(), args.operations.clone()),
    };
    let mut ops = Vec::new();
    for (number, line) in (1..).zip(&lines) {
        match parse(line, session) {
            Ok(parsed) => ops.extend(parsed),
            Err(Error::Usage(reason)) => {
                return Err(Error::Line {
                    input,
                    line: number,
                    reason,
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(ops)
}

/// What is told of an operation.
fn path_of(op: &MultiOp) -> String {
    let path = match op {
        MultiOp::Create(create) | MultiOp::Create2(create) | MultiOp::CreateContainer(create) => {
            &create.path
        }
        MultiOp::CreateTtl(create) => &create.path,
        MultiOp::Delete(delete) => &delete.path,
        MultiOp::SetData(set) => &set.path,
        MultiOp::Check(check) => &check.path,
    };
    path.clone()
}

pub(super) async fn run(args: &MultiArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let ops = operations(args, session)?;
    let paths: Vec<String> = ops.iter().map(path_of).collect();
    let results = match session.client.multi(ops).await {
        Ok(results) => results,
        Err(failure) => {
            let failed = match &failure {
                super::client::Failure::Operation { index, .. } => paths.get(*index),
                _ => None,
            };
            let of = failed.map_or(String::new(), |path| format!(" ({path})"));
            return Err(failure.during(format!("carrying out the operations{of}")));
        }
    };
    let row = |(result, path): (MultiResult, String)| {
        let (operation, path, stat) = match result {
            MultiResult::Create { path } => ("create", path, None),
            MultiResult::Create2 { path, stat } => ("create", path, Some(stat)),
            MultiResult::SetData(stat) => ("set", path, Some(stat)),
            MultiResult::Delete => ("delete", path, None),
            _ => ("check", path, None),
        };
        Row {
            operation,
            path,
            version: stat.map(|stat| stat.version),
            stat: stat.map(StatView::from),
        }
    };
    let results = results.into_iter().zip(paths).map(row).collect();
    output::print(&Done { results }, session.format, session.streams)
}
