//! `ottla txn list`.

use std::time::Duration;

use ottla_client::{TransactionFilter, TransactionListing};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::moment;
use crate::output::{self, OutputFormat, View};
use crate::table::table;
use crate::{Error, Streams};

/// What `ottla txn list` takes.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only in this state, such as ongoing or prepare-commit; may be repeated
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state)]
    pub state: Vec<String>,
    /// Only those that have been open for longer than this, such as 5m (Kafka 3.8)
    #[arg(long, value_name = "TIME", value_parser = moment::duration)]
    pub longer_than: Option<Duration>,
    /// Only of this producer; may be repeated
    #[arg(long, value_name = "ID")]
    pub producer_id: Vec<i64>,
    /// Only ids that match this regular expression (Kafka 4.1)
    #[arg(long, value_name = "REGEX")]
    pub pattern: Option<String>,
}

/// Kafka's states of transactions.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "PrepareEpochFence",
    "Dead",
];

/// Reads a state with or without its capitals and hyphens.
fn state(text: &str) -> Result<String, String> {
    let plain = |text: &str| text.replace(['-', '_'], "").to_lowercase();
    let found = STATES.iter().find(|state| plain(state) == plain(text));
    found
        .map(|state| (*state).to_owned())
        .ok_or_else(|| format!("there are {}", STATES.join(", ")))
}

/// The transactional ids of a cluster.
#[derive(Debug, Serialize)]
pub(super) struct TransactionList {
    transactions: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    transactional_id: String,
    state: String,
    producer_id: i64,
    coordinator: i32,
}

impl TransactionList {
    pub(super) fn new(transactions: Vec<TransactionListing>) -> Self {
        let row = |listing: TransactionListing| Row {
            transactional_id: listing.transactional_id,
            state: listing.state,
            producer_id: listing.producer_id,
            coordinator: listing.coordinator,
        };
        TransactionList {
            transactions: transactions.into_iter().map(row).collect(),
        }
    }
}

impl View for TransactionList {
    fn table(&self, wide: bool) -> String {
        if self.transactions.is_empty() {
            return String::new();
        }
        let mut headings = vec!["TRANSACTIONAL ID", "STATE", "PRODUCER"];
        if wide {
            headings.push("COORDINATOR");
        }
        let rows = self.transactions.iter().map(|row| {
            let mut cells = vec![
                row.transactional_id.clone(),
                row.state.clone(),
                row.producer_id.to_string(),
            ];
            if wide {
                cells.push(row.coordinator.to_string());
            }
            cells
        });
        table(&headings, rows)
    }

    fn names(&self) -> Vec<String> {
        let rows = self.transactions.iter();
        rows.map(|row| row.transactional_id.clone()).collect()
    }
}

pub(super) async fn run(
    args: &ListArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let longer = args
        .longer_than
        .map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    let filter = TransactionFilter {
        states: args.state.clone(),
        producer_ids: args.producer_id.clone(),
        longer_than_ms: longer,
        id_pattern: args.pattern.clone(),
    };
    let listed = cluster.client.list_transactions(&filter).await;
    let listed = cluster.checked("listing transactions", listed)?;
    if !listed.unknown_states.is_empty() {
        let unknown = listed.unknown_states.join(", ");
        streams.say(&format!(
            "note: the cluster does not know the state {unknown}"
        ));
    }
    let list = TransactionList::new(listed.transactions);
    if list.transactions.is_empty() && matches!(output, OutputFormat::Table | OutputFormat::Wide) {
        let all = filter == TransactionFilter::default();
        streams.say(if all {
            "no transactional ids"
        } else {
            "no transactional ids of this kind"
        });
    }
    output::print(&list, output, streams)
}
