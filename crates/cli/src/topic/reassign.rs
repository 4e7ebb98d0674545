//! `ottla topic reassign`.

use std::collections::BTreeSet;

use ottla_runtime::Shutdown;

use crate::broker::{failed, stuck};
use crate::cluster::Cluster;
use crate::moving::{MoveArgs, Mover};
use crate::output::{self, OutputFormat};
use crate::planned::Planned;
use crate::survey::Survey;
use crate::{Error, Streams, until_interrupted};
use ottla_placement::{self as plan, Assign, Layout, Plan};

/// What `ottla topic reassign` takes.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["replicas", "brokers", "replication_factor"])))]
pub struct ReassignArgs {
    /// The topic
    pub name: String,
    /// Which brokers hold a partition, the one that is to lead first, such as 0:1,2,3; may be
    /// repeated
    #[arg(long, value_name = "PARTITION:ID,ID,…", value_parser = replicas,
          conflicts_with_all = ["brokers", "replication_factor"])]
    pub replicas: Vec<(i32, Vec<i32>)>,
    /// The brokers over which the topic is spread, moving as little as possible
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',')]
    pub brokers: Vec<i32>,
    /// How many replicas each partition is to have
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub replication_factor: Option<u16>,
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub moving: MoveArgs,
}

/// Reads `0:1,2,3`.
fn replicas(text: &str) -> Result<(i32, Vec<i32>), String> {
    let wrong = || "write it as PARTITION:ID,ID,…, such as 0:1,2,3".to_owned();
    let (partition, ids) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse().ok().filter(|number: &i32| *number >= 0);
    let ids: Option<Vec<i32>> = ids.split(',').map(number).collect();
    let (partition, ids) = number(partition).zip(ids).ok_or_else(wrong)?;
    if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
        return Err("a broker holds one replica of a partition at most".to_owned());
    }
    Ok((partition, ids))
}

pub(super) async fn run(
    args: &ReassignArgs,
    cluster: &Cluster,
    interrupt: &Shutdown,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let name = args.name.as_str();
    until_interrupted(interrupt, cluster.topic(name)).await?;
    let survey = Survey::of(cluster, true, streams);
    let survey = until_interrupted(interrupt, survey).await?;
    let mut layout = survey.layout(None);
    layout.partitions.retain(|placed| placed.topic == name);
    let plan = plan(args, &survey, &layout)?;
    let mut planned = Planned::new(format!("topic/{name}"), &plan);
    if args.dry_run || !plan.stuck.is_empty() || plan.moves.is_empty() {
        planned.note = if plan.moves.is_empty() && plan.stuck.is_empty() {
            "it is so already; nothing was changed".to_owned()
        } else {
            "nothing was changed".to_owned()
        };
        output::print(&planned, output, streams)?;
        return stuck(&planned, streams);
    }
    let mover = Mover {
        cluster,
        args: args.moving,
        interrupt,
        again: "the same command",
    };
    let moved = mover.carry_out(&plan, &[], streams).await?;
    planned.executed = true;
    let failures = moved.failures.clone();
    planned.outcome = Some(moved);
    output::print(&planned, output, streams)?;
    failed(failures, streams)
}

fn plan(args: &ReassignArgs, survey: &Survey, layout: &Layout) -> Result<Plan, Error> {
    let listed = args.replicas.iter().flat_map(|(_, ids)| ids);
    for id in args.brokers.iter().chain(listed) {
        if survey.broker(*id)?.fenced {
            return Err(Error::Failed {
                action: format!("moving replicas to broker {id}"),
                reason: "it is fenced: start it first".to_owned(),
            });
        }
    }
    if args.replicas.is_empty() {
        let brokers = args.brokers.iter().copied().collect::<BTreeSet<_>>();
        let wished = Assign {
            brokers: (!brokers.is_empty()).then_some(brokers),
            replicas: args.replication_factor.map(usize::from),
        };
        return Ok(plan::assign(layout, &wished));
    }
    let mut after = layout.clone();
    for (partition, ids) in &args.replicas {
        let mut placed = after.partitions.iter_mut();
        let placed = placed.find(|placed| placed.partition == *partition);
        let placed = placed.ok_or_else(|| Error::NoPartition {
            topic: args.name.clone(),
            partition: *partition,
            partitions: layout.partitions.len(),
        })?;
        placed.replicas.clone_from(ids);
    }
    Ok(Plan::between(layout.clone(), after, Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_read_and_named_once() {
        assert_eq!(replicas("0:1,2,3"), Ok((0, vec![1, 2, 3])));
        assert_eq!(replicas("7: 4"), Ok((7, vec![4])));
        for wrong in ["", "0", "0:", ":1", "0:1,,2", "0:-1", "-1:1", "0:1,1"] {
            assert!(replicas(wrong).is_err(), "{wrong}");
        }
    }
}
