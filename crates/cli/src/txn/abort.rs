//! `ottla txn abort`.

use ottla_client::{AbortMarker, ActiveProducer};
use serde::Serialize;

use super::hanging::coordinated;
use crate::cluster::Cluster;
use crate::output::{self, OutputFormat, View};
use crate::{Error, Streams};

/// What `ottla txn abort` takes.
#[derive(Debug, clap::Args)]
pub struct AbortArgs {
    /// The topic
    pub topic: String,
    /// The partition
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: i32,
    /// The offset at which the transaction begins in the partition, as `ottla txn find-hanging`
    /// tells it
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    pub start_offset: i64,
    /// Even when a coordinator would still end the transaction: its other partitions may then
    /// commit what is aborted here
    #[arg(long)]
    pub force: bool,
    /// Do not ask first
    #[arg(short, long)]
    pub yes: bool,
}

/// The reply to the person.
#[derive(Debug, Serialize)]
pub(super) struct Aborted {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) start_offset: i64,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i32,
    pub(super) coordinator_epoch: i32,
}

impl View for Aborted {
    fn table(&self, _wide: bool) -> String {
        format!(
            "{}-{}: the transaction of producer {} from offset {} on was aborted\n",
            self.topic, self.partition, self.producer_id, self.start_offset
        )
    }

    fn names(&self) -> Vec<String> {
        vec![format!(
            "{}:{}@{}",
            self.topic, self.partition, self.start_offset
        )]
    }
}

pub(super) fn confirm(args: &AbortArgs, streams: &mut Streams) -> Result<(), Error> {
    let question = format!(
        "Abort the transaction from offset {} of {}-{}? Its records are lost to readers of \
         committed records.",
        args.start_offset, args.topic, args.partition
    );
    crate::confirm::confirm(&question, args.yes, streams)
}

pub(super) async fn run(
    args: &AbortArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let (topic, partition) = (args.topic.as_str(), args.partition);
    let producer = producer_of(args, cluster).await?;
    let open = [(topic, partition, producer)];
    let known = coordinated(&open, cluster).await?;
    let known = known.get(&(topic.to_owned(), partition, producer.producer_id));
    if let Some(known) = known.filter(|known| known.will_end && !args.force) {
        let id = &known.transactional_id;
        return Err(Error::Failed {
            action: format!("aborting the transaction in {topic}-{partition}"),
            reason: format!(
                "it does not hang: transactional id {id} is still to end it, and does so after \
                 its timeout at the latest; `ottla txn describe {id}` shows it"
            ),
        });
    }
    let Ok(producer_epoch) = i16::try_from(producer.producer_epoch) else {
        return Err(Error::Failed {
            action: format!("aborting the transaction in {topic}-{partition}"),
            reason: format!(
                "epoch {} of its producer cannot be",
                producer.producer_epoch
            ),
        });
    };
    let marker = AbortMarker {
        producer_id: producer.producer_id,
        producer_epoch,
        // No marker was ever written for the producer there: any coordinator will do.
        coordinator_epoch: producer.coordinator_epoch.max(0),
    };
    let done = cluster
        .client
        .abort_in_partition(topic, partition, marker)
        .await;
    cluster.checked(
        format!("aborting the transaction in {topic}-{partition}"),
        done,
    )?;
    let aborted = Aborted {
        topic: topic.to_owned(),
        partition,
        start_offset: args.start_offset,
        producer_id: marker.producer_id,
        producer_epoch: producer.producer_epoch,
        coordinator_epoch: marker.coordinator_epoch,
    };
    output::print(&aborted, output, streams)
}

/// The producer whose transaction begins there.
async fn producer_of(args: &AbortArgs, cluster: &Cluster) -> Result<ActiveProducer, Error> {
    let (name, partition) = (args.topic.as_str(), args.partition);
    let topic = cluster.topic(name).await?;
    if topic.partitions.iter().all(|p| p.index != partition) {
        return Err(Error::NoPartition {
            topic: name.to_owned(),
            partition,
            partitions: topic.partitions.len(),
        });
    }
    let action = format!("describing the producers of {name}-{partition}");
    let described = cluster
        .client
        .describe_producers(&[(name, partition)])
        .await;
    let mut open = Vec::new();
    for found in cluster.checked(&action, described)? {
        open.extend(cluster.checked(&action, found.producers)?);
    }
    open.retain(|producer| producer.transaction_start_offset.is_some());
    let starts: Vec<String> = open
        .iter()
        .filter_map(|p| Some(p.transaction_start_offset?.to_string()))
        .collect();
    let start = Some(args.start_offset);
    let found = open
        .into_iter()
        .find(|p| p.transaction_start_offset == start);
    found.ok_or_else(|| Error::NotThere {
        what: "open transaction",
        name: format!(
            "in {name}-{partition} that begins at offset {}",
            args.start_offset
        ),
        similar: Vec::new(),
        to_do: match starts.as_slice() {
            [] => "none is open there".to_owned(),
            _ => format!("those that are open there begin at {}", starts.join(", ")),
        },
    })
}
