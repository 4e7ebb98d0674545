//! `ottla txn find-hanging`.
//!
//! A transaction hangs when a partition has it open, but no coordinator knows that it is open
//! there: nobody will ever write its marker, and readers of committed records wait behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_client::{ActiveProducer, TransactionFilter};
use ottla_model::ErrorCode;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::moment;
use crate::output::{self, OutputFormat, View};
use crate::table::table;
use crate::{Error, Streams};

/// What `ottla txn find-hanging` takes.
#[derive(Debug, clap::Args)]
pub struct HangingArgs {
    /// Only in this topic [default: all]
    #[arg(short, long)]
    pub topic: Option<String>,
    /// Only in this partition of the topic
    #[arg(short, long, value_name = "N", requires = "topic",
          value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// Only in partitions that this broker leads
    #[arg(long, value_name = "ID")]
    pub broker: Option<i32>,
    /// Only transactions that have not written for longer than this: the brokers'
    /// transaction.max.timeout.ms, within which coordinators end them by themselves
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = moment::duration)]
    pub longer_than: Duration,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Hangings {
    pub(super) transactions: Vec<Hanging>,
    #[serde(skip)]
    pub(super) now_ms: i64,
}

/// A transaction that hangs in a partition.
#[derive(Debug, Serialize)]
pub(super) struct Hanging {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) start_offset: i64,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i32,
    pub(super) last_timestamp_ms: i64,
    pub(super) last_timestamp: String,
    /// Null when no coordinator knows the producer any more.
    pub(super) transactional_id: Option<String>,
}

impl View for Hangings {
    fn table(&self, _wide: bool) -> String {
        if self.transactions.is_empty() {
            return String::new();
        }
        let rows = self.transactions.iter().map(|row| {
            [
                row.topic.clone(),
                row.partition.to_string(),
                row.start_offset.to_string(),
                row.producer_id.to_string(),
                row.producer_epoch.to_string(),
                format!(
                    "{} ago",
                    super::age(Some(row.last_timestamp_ms), self.now_ms)
                ),
                super::dash(row.transactional_id.clone()),
            ]
        });
        let headings = [
            "TOPIC",
            "PARTITION",
            "START OFFSET",
            "PRODUCER",
            "EPOCH",
            "LAST WRITE",
            "TRANSACTIONAL ID",
        ];
        table(&headings, rows)
    }

    fn names(&self) -> Vec<String> {
        let rows = self.transactions.iter();
        rows.map(|row| format!("{}:{}@{}", row.topic, row.partition, row.start_offset))
            .collect()
    }
}

/// What a coordinator knows of a producer.
pub(super) struct Coordinated {
    pub(super) transactional_id: String,
    /// Whether it will still end the producer's transaction in the partition.
    pub(super) will_end: bool,
}

/// A partition's open transaction.
pub(super) type Open<'a> = (&'a str, i32, ActiveProducer);

/// What the coordinators know of these transactions, by topic, partition and producer.
pub(super) async fn coordinated(
    open: &[Open<'_>],
    cluster: &Cluster,
) -> Result<BTreeMap<(String, i32, i64), Coordinated>, Error> {
    let producers: BTreeSet<i64> = open.iter().map(|(_, _, p)| p.producer_id).collect();
    let filter = TransactionFilter {
        producer_ids: producers.into_iter().collect(),
        ..TransactionFilter::default()
    };
    let listed = cluster.client.list_transactions(&filter).await;
    let listed = cluster.checked("listing the producers' transactions", listed)?;
    let mut known = BTreeMap::new();
    for listing in listed.transactions {
        let id = listing.transactional_id;
        let state = match cluster.client.describe_transaction(&id).await {
            Ok((_, state)) => state,
            Err(error) if error.code() == Some(ErrorCode::TransactionalIdNotFound) => continue,
            Err(error) => {
                return Err(cluster.failure(&format!("describing transactional id {id}"), &error));
            }
        };
        for (topic, partition, producer) in open {
            if producer.producer_id != listing.producer_id {
                continue;
            }
            let holds = |t: &ottla_wire::messages::describe_transactions_response::TopicData| {
                *t.topic == **topic && t.partitions.contains(partition)
            };
            let coordinated = Coordinated {
                transactional_id: id.clone(),
                will_end: state.topics.iter().any(holds),
            };
            let key = ((*topic).to_owned(), *partition, producer.producer_id);
            known.insert(key, coordinated);
        }
    }
    Ok(known)
}

pub(super) async fn run(
    args: &HangingArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let topics = match &args.topic {
        Some(name) => vec![cluster.topic(name).await?],
        None => cluster.topics().await?,
    };
    let mut places = Vec::new();
    for topic in &topics {
        let led = topic.partitions.iter().filter(|p| match args.broker {
            Some(broker) => p.leader == Some(broker),
            None => p.leader.is_some(),
        });
        let chosen = led.filter(|p| args.partition.is_none_or(|only| only == p.index));
        places.extend(chosen.map(|p| (topic.name.as_str(), p.index)));
    }
    let described = cluster.client.describe_producers(&places).await;
    let described = cluster.checked("describing the partitions' producers", described)?;
    let now_ms = cluster.now_ms();
    let patience_ms = i64::try_from(args.longer_than.as_millis()).unwrap_or(i64::MAX);
    let (mut open, mut errors): (Vec<Open<'_>>, Vec<Error>) = (Vec::new(), Vec::new());
    for found in &described {
        match &found.producers {
            Ok(producers) => {
                let is_old = |p: &&ActiveProducer| {
                    let waited_ms = now_ms.saturating_sub(p.last_timestamp_ms);
                    p.transaction_start_offset.is_some() && waited_ms > patience_ms
                };
                let old = producers.iter().filter(is_old);
                open.extend(old.map(|p| (found.topic.as_str(), found.partition, *p)));
            }
            Err(error) => errors.push(cluster.failure("looking for open transactions", error)),
        }
    }
    let known = if open.is_empty() {
        BTreeMap::new()
    } else {
        coordinated(&open, cluster).await?
    };
    let hanging = open.iter().filter_map(|(topic, partition, producer)| {
        let known = known.get(&((*topic).to_owned(), *partition, producer.producer_id));
        if known.is_some_and(|known| known.will_end) {
            return None;
        }
        Some(Hanging {
            topic: (*topic).to_owned(),
            partition: *partition,
            start_offset: producer.transaction_start_offset?,
            producer_id: producer.producer_id,
            producer_epoch: producer.producer_epoch,
            last_timestamp_ms: producer.last_timestamp_ms,
            last_timestamp: moment::utc_text(producer.last_timestamp_ms),
            transactional_id: known.map(|known| known.transactional_id.clone()),
        })
    });
    let found = Hangings {
        transactions: hanging.collect(),
        now_ms,
    };
    output::print(&found, output, streams)?;
    match found.transactions.first() {
        None => streams.say("no transaction hangs"),
        Some(first) => streams.say(&format!(
            "to end the first: ottla txn abort {} --partition {} --start-offset {}",
            first.topic, first.partition, first.start_offset
        )),
    }
    Error::of_several(errors, places.len(), "partitions", streams)
}
