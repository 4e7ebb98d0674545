//! `ottla txn describe`.

use std::collections::BTreeMap;

use ottla_model::ErrorCode;
use ottla_wire::messages::describe_transactions_response::TransactionState;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::moment;
use crate::output::{self, OutputFormat, View};
use crate::table::{properties, table};
use crate::{Error, Streams, suggest};

/// What `ottla txn describe` takes.
#[derive(Debug, clap::Args)]
pub struct DescribeArgs {
    /// The transactional ids
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
}

/// Described transactional ids.
#[derive(Debug, Serialize)]
pub(super) struct Descriptions {
    pub(super) transactions: Vec<Description>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(super) struct Description {
    pub(super) transactional_id: String,
    pub(super) state: String,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i16,
    pub(super) coordinator: i32,
    pub(super) timeout_ms: i32,
    /// Null when no transaction is open.
    pub(super) start_time_ms: Option<i64>,
    pub(super) start_time: Option<String>,
    /// How long it has been open; null when none is.
    pub(super) duration_ms: Option<i64>,
    /// By topic.
    pub(super) partitions: BTreeMap<String, Vec<i32>>,
}

impl Description {
    pub(super) fn new(coordinator: i32, state: TransactionState, now_ms: i64) -> Self {
        // The coordinator remembers when the last one began; it is over in these states.
        let over = matches!(
            &*state.transaction_state,
            "Empty" | "CompleteCommit" | "CompleteAbort" | "Dead"
        );
        let start_time_ms = Some(state.transaction_start_time_ms).filter(|ms| *ms >= 0 && !over);
        let topics = state.topics.into_iter();
        Description {
            transactional_id: state.transactional_id.to_string(),
            state: state.transaction_state.to_string(),
            producer_id: state.producer_id,
            producer_epoch: state.producer_epoch,
            coordinator,
            timeout_ms: state.transaction_timeout_ms,
            start_time: start_time_ms.map(moment::utc_text),
            duration_ms: start_time_ms.map(|start| (now_ms - start).max(0)),
            start_time_ms,
            partitions: topics
                .map(|t| (t.topic.to_string(), t.partitions))
                .collect(),
        }
    }

    fn text(&self) -> String {
        let timeout_ms = u64::try_from(self.timeout_ms).unwrap_or(0);
        let timeout = moment::duration_text(std::time::Duration::from_millis(timeout_ms));
        let mut pairs = vec![
            ("Transactional id", self.transactional_id.clone()),
            ("State", self.state.clone()),
            (
                "Producer",
                format!("{} in epoch {}", self.producer_id, self.producer_epoch),
            ),
            ("Coordinator", format!("broker {}", self.coordinator)),
            ("Timeout", timeout),
        ];
        if let (Some(start), Some(open_ms)) = (&self.start_time, self.duration_ms) {
            pairs.push((
                "Open since",
                format!("{start} ({})", super::age(Some(0), open_ms)),
            ));
        }
        let mut text = properties(&pairs);
        if !self.partitions.is_empty() {
            text.push('\n');
            let rows = self.partitions.iter().flat_map(|(topic, partitions)| {
                partitions
                    .iter()
                    .map(move |p| [topic.clone(), p.to_string()])
            });
            text.push_str(&table(&["TOPIC", "PARTITION"], rows));
        }
        text
    }
}

impl View for Descriptions {
    fn table(&self, _wide: bool) -> String {
        let texts: Vec<String> = self.transactions.iter().map(Description::text).collect();
        texts.join("\n")
    }

    fn names(&self) -> Vec<String> {
        let all = self.transactions.iter();
        all.map(|t| t.transactional_id.clone()).collect()
    }
}

pub(super) async fn run(
    args: &DescribeArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let (mut transactions, mut missing) = (Vec::new(), Vec::new());
    for id in &args.ids {
        match cluster.client.describe_transaction(id).await {
            Ok((coordinator, state)) => {
                transactions.push(Description::new(coordinator, state, cluster.now_ms()));
            }
            Err(error) if error.code() == Some(ErrorCode::TransactionalIdNotFound) => {
                missing.push(not_there(id, cluster).await);
            }
            Err(error) => {
                return Err(cluster.failure(&format!("describing transactional id {id}"), &error));
            }
        }
    }
    if !transactions.is_empty() {
        output::print(&Descriptions { transactions }, output, streams)?;
    }
    Error::of_several(missing, args.ids.len(), "transactional ids", streams)
}

async fn not_there(id: &str, cluster: &Cluster) -> Error {
    let all = ottla_client::TransactionFilter::default();
    let listed = cluster
        .client
        .list_transactions(&all)
        .await
        .unwrap_or_default();
    let known = listed
        .transactions
        .iter()
        .map(|t| t.transactional_id.as_str());
    Error::NotThere {
        what: "transactional id",
        name: id.to_owned(),
        similar: suggest::closest(id, known),
        to_do: "`ottla txn list` shows those that exist".to_owned(),
    }
}
