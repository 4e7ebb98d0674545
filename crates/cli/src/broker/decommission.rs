//! `ottla broker decommission`.

use std::time::Duration;

use ottla_runtime::Shutdown;

use super::drain::{failed, stuck};
use super::unregister::unregister;
use crate::cluster::Cluster;
use crate::confirm::confirm as ask;
use crate::moving::{MoveArgs, Moved, Mover};
use crate::output::{self, OutputFormat};
use crate::planned::{Planned, partitions};
use crate::survey::Survey;
use crate::{Error, Streams, until_interrupted};
use ottla_placement::{Plan, evacuate};

/// What `ottla broker decommission` takes.
#[derive(Debug, clap::Args)]
pub struct DecommissionArgs {
    /// The broker's id
    pub id: i32,
    /// Only show where its replicas would go
    #[arg(long)]
    pub dry_run: bool,
    /// When it is empty, wait until its process is stopped, and then forget it
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub moving: MoveArgs,
    /// Do not ask first
    #[arg(short, long)]
    pub yes: bool,
}

/// Partitions that are created meanwhile may be put onto the broker; so often it is emptied again.
const ROUNDS: usize = 5;
const POLL: Duration = Duration::from_millis(500);

pub(super) fn confirm(args: &DecommissionArgs, streams: &mut Streams) -> Result<(), Error> {
    let question = format!(
        "Give all replicas of broker {} to others, and forget the broker?",
        args.id
    );
    ask(&question, args.yes || args.dry_run, streams)
}

pub(super) async fn run(
    args: &DecommissionArgs,
    cluster: &Cluster,
    interrupt: &Shutdown,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let id = args.id;
    let (mut survey, mut plan) = plan(args, cluster, interrupt, streams).await?;
    let mut planned = Planned::new(format!("broker/{id}"), &plan);
    if args.dry_run || !plan.stuck.is_empty() {
        planned.note = format!(
            "it holds {}; nothing was changed",
            partitions(survey.held_by(id))
        );
        output::print(&planned, output, streams)?;
        return stuck(&planned, streams);
    }
    let mover = Mover {
        cluster,
        args: args.moving,
        interrupt,
        again: &again(args),
    };
    let mut total = Moved::default();
    for _ in 0..ROUNDS {
        if plan.moves.is_empty() && survey.held_by(id) == 0 {
            break;
        }
        let moved = mover.carry_out(&plan, &[], streams).await?;
        total.moved += moved.moved;
        total.reordered += moved.reordered;
        total.elected += moved.elected;
        let failures = moved.failures;
        if !failures.is_empty() {
            total.failures.clone_from(&failures);
            planned.outcome = Some(total);
            planned.executed = true;
            output::print(&planned, output, streams)?;
            return failed(failures, streams);
        }
        (survey, plan) = self::plan(args, cluster, interrupt, streams).await?;
    }
    planned.executed = true;
    planned.outcome = Some(total);
    if survey.held_by(id) > 0 {
        output::print(&planned, output, streams)?;
        return Err(Error::Failed {
            action: format!("emptying broker {id}"),
            reason: format!(
                "it holds {} that came meanwhile; to go on: {}",
                partitions(survey.held_by(id)),
                again(args)
            ),
        });
    }
    planned.note = leave(args, cluster, interrupt, &survey, streams).await?;
    output::print(&planned, output, streams)
}

async fn plan(
    args: &DecommissionArgs,
    cluster: &Cluster,
    interrupt: &Shutdown,
    streams: &mut Streams,
) -> Result<(Survey, Plan), Error> {
    let survey = Survey::of(cluster, true, streams);
    let survey = until_interrupted(interrupt, survey).await?;
    survey.broker(args.id)?;
    let mut layout = survey.layout(Some(args.id));
    layout.spare_drained();
    let plan = evacuate(&layout, args.id);
    Ok((survey, plan))
}

/// Forgets the empty broker once its process has gone; what there is to say about it.
async fn leave(
    args: &DecommissionArgs,
    cluster: &Cluster,
    interrupt: &Shutdown,
    survey: &Survey,
    streams: &mut Streams,
) -> Result<String, Error> {
    let id = args.id;
    let mut fenced = survey.broker(id)?.fenced;
    if !fenced && args.wait {
        streams.say(&format!(
            "broker {id} is empty: stop its process now; waiting until it has gone"
        ));
    }
    while !fenced && args.wait {
        let looking = async {
            cluster.runtime().clock.sleep(POLL).await;
            let described = cluster.client.describe_cluster().await;
            cluster.checked("asking for the brokers", described)
        };
        let described = until_interrupted(interrupt, looking).await?;
        let mut brokers = described.brokers.iter();
        match brokers.find(|broker| broker.broker_id == id) {
            // Before Kafka 4.0 those that are fenced are not listed at all.
            None => fenced = true,
            Some(broker) => fenced = broker.is_fenced,
        }
    }
    if !fenced {
        return Ok(format!(
            "it is empty; stop its process, and then: {} (or ottla broker unregister {id})",
            again(args)
        ));
    }
    unregister(cluster, id).await?;
    Ok("it is empty, and the cluster has forgotten it".to_owned())
}

fn again(args: &DecommissionArgs) -> String {
    let mut text = format!("ottla broker decommission {}", args.id);
    if let Some(rate) = args.moving.throttle {
        text.push_str(&format!(" --throttle {rate}"));
    }
    text
}
