//! `ottla cluster elect-leaders`.

use ottla_client::Election;
use ottla_model::ErrorCode;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::confirm::confirm as ask;
use crate::output::{self, OutputFormat, View};
use crate::planned::partitions;
use crate::table::table;
use crate::{Error, Streams};

/// What `ottla cluster elect-leaders` takes.
#[derive(Debug, clap::Args)]
pub struct ElectArgs {
    /// Of this topic only [default: of all]
    #[arg(short, long, value_name = "NAME", required_if_eq("unclean", "true"))]
    pub topic: Option<String>,
    /// Of this partition only; may be repeated
    #[arg(short, long, value_name = "N", requires = "topic",
          value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Vec<i32>,
    /// Where nobody leads, let a replica lead that is not in sync: records that only others had
    /// are LOST
    #[arg(long)]
    pub unclean: bool,
    /// Do not ask first
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Serialize)]
struct Elections {
    election: &'static str,
    elected: Vec<Row>,
    /// Partitions that needed none.
    not_needed: usize,
    failed: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    topic: String,
    partition: i32,
    /// Null when it worked.
    error: Option<String>,
}

impl View for Elections {
    fn table(&self, _wide: bool) -> String {
        let rows = self.elected.iter().chain(&self.failed).map(|row| {
            let outcome = row.error.as_deref().unwrap_or("elected");
            [
                row.topic.clone(),
                row.partition.to_string(),
                outcome.to_owned(),
            ]
        });
        let mut text = String::new();
        if !(self.elected.is_empty() && self.failed.is_empty()) {
            text = table(&["TOPIC", "PARTITION", "OUTCOME"], rows);
        }
        text.push_str(&format!(
            "{} got another leader; {} needed none, {} failed\n",
            partitions(self.elected.len()),
            self.not_needed,
            self.failed.len()
        ));
        text
    }

    fn names(&self) -> Vec<String> {
        let name = |row: &Row| format!("{}-{}", row.topic, row.partition);
        self.elected.iter().map(name).collect()
    }
}

pub(crate) fn confirm(args: &ElectArgs, streams: &mut Streams) -> Result<(), Error> {
    let topic = args.topic.as_deref().unwrap_or_default();
    let question = format!(
        "Let replicas of topic {topic} lead that are not in sync? Records that only others had are \
         lost."
    );
    ask(&question, args.yes || !args.unclean, streams)
}

pub(crate) async fn run(
    args: &ElectArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let election = if args.unclean {
        Election::Unclean
    } else {
        Election::Preferred
    };
    let wanted = match &args.topic {
        None => None,
        Some(name) => Some(chosen(name, &args.partition, cluster).await?),
    };
    let outcomes = cluster.client.elect_leaders(election, wanted.as_deref());
    let outcomes = cluster.checked("electing leaders", outcomes.await)?;
    let mut elections = Elections {
        election: if args.unclean { "unclean" } else { "preferred" },
        elected: Vec::new(),
        not_needed: 0,
        failed: Vec::new(),
    };
    for (topic, partition, outcome) in outcomes {
        let error = match outcome {
            Err(error) if error.code() == Some(ErrorCode::ElectionNotNeeded) => {
                elections.not_needed += 1;
                continue;
            }
            Err(error) => {
                let action = format!("electing a leader of {topic}-{partition}");
                Some(cluster.failure(&action, &error).to_string())
            }
            Ok(()) => None,
        };
        let list = match error {
            None => &mut elections.elected,
            Some(_) => &mut elections.failed,
        };
        list.push(Row {
            topic,
            partition,
            error,
        });
    }
    let by_name = |row: &Row| (row.topic.clone(), row.partition);
    elections.elected.sort_by_key(by_name);
    elections.failed.sort_by_key(by_name);
    let failed = elections.failed.len();
    output::print(&elections, output, streams)?;
    if failed > 0 {
        return Err(Error::Failed {
            action: format!("electing leaders: {} failed", partitions(failed)),
            reason: "the table says why".to_owned(),
        });
    }
    Ok(())
}

async fn chosen(
    name: &str,
    partitions: &[i32],
    cluster: &Cluster,
) -> Result<Vec<(String, i32)>, Error> {
    let topic = cluster.topic(name).await?;
    let known = topic.partitions.len();
    let exists = |partition: &i32| topic.partitions.iter().any(|p| p.index == *partition);
    if let Some(wrong) = partitions.iter().find(|partition| !exists(partition)) {
        return Err(Error::NoPartition {
            topic: name.to_owned(),
            partition: *wrong,
            partitions: known,
        });
    }
    let all = topic.partitions.iter().map(|p| p.index);
    let chosen = all.filter(|index| partitions.is_empty() || partitions.contains(index));
    Ok(chosen.map(|index| (name.to_owned(), index)).collect())
}
