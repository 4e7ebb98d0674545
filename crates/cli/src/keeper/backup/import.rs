//! `ottla keeper import`: moves what a ZooKeeper has on its disk into a running ensemble.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::Context;
use super::admin::{Admin, AdminArgs};
use super::directory::{self, Found};
use super::restore::Restored;
use super::source::Source;
use crate::confirm::confirm;
use crate::output::{self, View};
use crate::progress::{Counted, bar};
use crate::size::bytes_text;
use crate::{Error, Streams};

/// What `ottla keeper import` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    ottla keeper import --from /var/lib/zookeeper --admin keeper-0:9644\n\
    Stop the ZooKeeper first; take the server whose zxid is the highest (`ottla keeper status`).")]
pub(in crate::keeper) struct ImportArgs {
    /// The dataDir of a ZooKeeper; its folder version-2 has the snapshots
    #[arg(long, value_name = "DATADIR")]
    from: PathBuf,
    /// Its dataLogDir, if it has one of its own
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// Replace the znodes that the ensemble has
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    admin: AdminArgs,
    /// Do not ask first
    #[arg(short, long)]
    yes: bool,
}

impl ImportArgs {
    /// Asks before all znodes are replaced.
    pub(in crate::keeper) fn confirm(&self, streams: &mut Streams) -> Result<(), Error> {
        if !self.replace {
            return Ok(());
        }
        let question = format!(
            "Replace all znodes of the ensemble by those in {}, and end all sessions?",
            self.from.display()
        );
        confirm(&question, self.yes, streams)
    }
}

/// What was moved.
#[derive(Debug, Serialize)]
struct Imported {
    from: String,
    /// The snapshot that it began with.
    snapshot: String,
    /// Transactions of the log behind it.
    transactions: u64,
    /// The last change that the ZooKeeper had.
    zxid: String,
    znodes: u64,
    sessions: u64,
    /// What was sent.
    bytes: u64,
    /// What was odd, and did no harm.
    notes: Vec<String>,
    ensemble: Restored,
}

impl View for Imported {
    fn table(&self, _wide: bool) -> String {
        let mut text = format!(
            "{}: {} and {} transactions behind it, up to zxid {}\n",
            self.from, self.snapshot, self.transactions, self.zxid
        );
        for note in &self.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        text.push_str(&format!(
            "moved {} znodes and {} sessions ({}) through {}; the ensemble is at zxid {}\n",
            self.znodes,
            self.sessions,
            bytes_text(self.bytes),
            self.ensemble.server,
            self.ensemble.zxid
        ));
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.from.clone()]
    }
}

pub(in crate::keeper) async fn run(
    args: &ImportArgs,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let from = args.from.display().to_string();
    let action = format!("importing {from}");
    let failed = |reason| Error::Failed {
        action: action.clone(),
        reason,
    };
    let disk = &context.runtime.disk;
    let log_dir = args.log_dir.as_ref().unwrap_or(&args.from);
    let files = directory::list(&**disk, &args.from, log_dir).map_err(failed)?;
    let reading = bar(Counted::Bytes, Some(files.bytes()), context.streams);
    let read = {
        let (disk, bar) = (Arc::clone(disk), reading.clone());
        move || directory::read(&*disk, &files, &bar)
    };
    let found = context.runtime.tasks.blocking(read).await;
    reading.finish_and_clear();
    let found = found.map_err(failed)?;
    send(args, &action, found, context).await
}

async fn send(
    args: &ImportArgs,
    action: &str,
    found: Found,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let zxid = format!("0x{:x}", found.state.last_zxid());
    let (znodes, sessions) = (found.state.node_count(), found.state.session_count());
    let view = found.state.view();
    let sized = view.clone();
    let measuring = move || {
        sized
            .zookeeper_snapshot()
            .map(|part| part.len() as u64)
            .sum()
    };
    let bytes: u64 = context.runtime.tasks.blocking(measuring).await;
    let admin = Admin::connect(&args.admin, context, action).await?;
    let server = admin.name();
    let sending = bar(Counted::Bytes, Some(bytes), context.streams);
    let mut source = Source::State(Box::new(view.zookeeper_snapshot()));
    let told = admin.restore(&mut source, !args.replace, &sending).await;
    sending.finish_and_clear();
    let imported = Imported {
        from: args.from.display().to_string(),
        snapshot: found.snapshot,
        transactions: found.transactions,
        zxid,
        znodes: znodes as u64,
        sessions: sessions as u64,
        bytes,
        notes: found.notes,
        ensemble: Restored::of(server, &told.map_err(hint)?),
    };
    let format = context.globals.output.unwrap_or_default();
    output::print(&imported, format, context.streams)
}

/// Tells of the flag that would have helped.
fn hint(error: Error) -> Error {
    match error {
        Error::Failed { action, reason } if reason.contains("there are znodes already") => {
            let reason = format!("{reason}. Import into a new ensemble, or give --replace");
            Error::Failed { action, reason }
        }
        error => error,
    }
}
