//! `ottla keeper restore`: replaces the state of a running ensemble by a backup.

use std::path::PathBuf;

use ottla_runtime::disk::OpenMode;
use serde::Serialize;

use super::Context;
use super::admin::{Admin, AdminArgs};
use super::source::Source;
use crate::confirm::confirm;
use crate::output::{self, View};
use crate::progress::{Counted, bar};
use crate::{Error, Streams};

/// Standard input.
const STDIN: &str = "-";

/// What `ottla keeper restore` takes.
#[derive(Debug, clap::Args)]
pub(in crate::keeper) struct RestoreArgs {
    /// A backup, or a snapshot file of a ZooKeeper; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    admin: AdminArgs,
    /// Do not ask first
    #[arg(short, long)]
    yes: bool,
}

impl RestoreArgs {
    /// Asks before all znodes are replaced.
    pub(in crate::keeper) fn confirm(&self, streams: &mut Streams) -> Result<(), Error> {
        let question = format!(
            "Replace all znodes of the ensemble by those of {}, and end all sessions?",
            self.file.display()
        );
        confirm(&question, self.yes, streams)
    }
}

/// What was restored.
#[derive(Debug, Serialize)]
pub(super) struct Restored {
    pub(super) server: String,
    /// The last change of the ensemble.
    pub(super) zxid: String,
    /// Null if the server does not say.
    pub(super) znodes: Option<u64>,
    pub(super) sessions: Option<u64>,
}

impl Restored {
    /// What a server says.
    pub(super) fn of(server: String, told: &serde_json::Value) -> Self {
        let zxid = told["last_zxid"].as_i64().unwrap_or(0);
        Restored {
            server,
            zxid: format!("0x{zxid:x}"),
            znodes: told["znodes"].as_u64(),
            sessions: told["sessions"].as_u64(),
        }
    }
}

impl View for Restored {
    fn table(&self, _wide: bool) -> String {
        let number = |number: Option<u64>| number.map_or("?".to_owned(), |n| n.to_string());
        format!(
            "restored {} znodes and {} sessions through {}; the ensemble is at zxid {}\n",
            number(self.znodes),
            number(self.sessions),
            self.server,
            self.zxid
        )
    }

    fn names(&self) -> Vec<String> {
        vec![self.server.clone()]
    }
}

pub(in crate::keeper) async fn run(
    args: &RestoreArgs,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let path = args.file.display().to_string();
    let action = format!("restoring {path}");
    let mut input;
    let (mut source, size) = if args.file.as_os_str() == STDIN {
        input = context.streams.input.take();
        let Some(input) = &mut input else {
            return Err(Error::Usage("there is no standard input".to_owned()));
        };
        (Source::Input(&mut **input), None)
    } else {
        let opened = context.runtime.disk.open(&args.file, OpenMode::Read);
        let opened = opened.and_then(|file| Ok((file.len()?, file)));
        let (size, file) = opened.map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
        let source = Source::File {
            runtime: context.runtime,
            name: path,
            file,
            at: 0,
        };
        (source, Some(size))
    };
    let admin = Admin::connect(&args.admin, context, &action).await?;
    let server = admin.name();
    let bar = bar(Counted::Bytes, size, context.streams);
    let told = admin.restore(&mut source, false, &bar).await;
    bar.finish_and_clear();
    let restored = Restored::of(server, &told?);
    let format = context.globals.output.unwrap_or_default();
    output::print(&restored, format, context.streams)
}
