//! `ottla txn`: transactions, and the end of those that hang (KIP-664).

mod abort;
mod describe;
mod hanging;
mod list;
mod producers;

use crate::cluster::Cluster;
use crate::output::OutputFormat;
use crate::{Error, Streams, moment};

/// The verbs of `ottla txn`.
#[derive(Debug, clap::Subcommand)]
pub enum TxnCommand {
    /// List transactional ids with their state
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show the state, the age and the partitions of transactions
    Describe(describe::DescribeArgs),
    /// Show the producers that a partition knows, with their open transactions
    Producers(producers::ProducersArgs),
    /// Find transactions that are open in a partition, and that no coordinator will end
    FindHanging(hanging::HangingArgs),
    /// End a hanging transaction in a partition
    Abort(abort::AbortArgs),
}

/// Asks before what cannot be undone.
pub(crate) fn confirm(command: &TxnCommand, streams: &mut Streams) -> Result<(), Error> {
    match command {
        TxnCommand::Abort(args) => abort::confirm(args, streams),
        _ => Ok(()),
    }
}

/// Runs one of the verbs.
pub(crate) async fn run(
    command: &TxnCommand,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    match command {
        TxnCommand::List(args) => list::run(args, cluster, output, streams).await,
        TxnCommand::Describe(args) => describe::run(args, cluster, output, streams).await,
        TxnCommand::Producers(args) => producers::run(args, cluster, output, streams).await,
        TxnCommand::FindHanging(args) => hanging::run(args, cluster, output, streams).await,
        TxnCommand::Abort(args) => abort::run(args, cluster, output, streams).await,
    }
}

/// How long ago, as people say it; `-` for never.
fn age(since_ms: Option<i64>, now_ms: i64) -> String {
    let Some(since) = since_ms.filter(|ms| *ms >= 0) else {
        return "-".to_owned();
    };
    let ms = u64::try_from(now_ms - since).unwrap_or(0);
    // Nobody needs the milliseconds of minutes.
    let rounded = if ms >= 1000 { ms - ms % 1000 } else { ms };
    moment::duration_text(std::time::Duration::from_millis(rounded))
}

fn dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests;
