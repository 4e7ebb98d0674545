//! `ottla cluster rebalance`.

use ottla_runtime::Shutdown;

use crate::broker::{failed, stuck};
use crate::cluster::Cluster;
use crate::moving::{MoveArgs, Mover};
use crate::output::{self, OutputFormat};
use crate::planned::{Planned, partitions};
use crate::survey::Survey;
use crate::{Error, Streams, until_interrupted};
use ottla_placement::{self as plan, Limits};

/// What `ottla cluster rebalance` takes.
#[derive(Debug, clap::Args)]
pub struct RebalanceArgs {
    /// Do it; without this, what would be done is only shown
    #[arg(long)]
    pub execute: bool,
    /// Even out who leads, and move no replica
    #[arg(long)]
    pub leaders_only: bool,
    /// Give at most so many partitions to other brokers [default: as many as it takes]
    #[arg(long, value_name = "N", conflicts_with = "leaders_only")]
    pub max_moves: Option<usize>,
    /// Also when brokers that hold replicas do not run: these stay as they are
    #[arg(long)]
    pub with_fenced: bool,
    #[command(flatten)]
    pub moving: MoveArgs,
}

pub(crate) async fn run(
    args: &RebalanceArgs,
    cluster: &Cluster,
    interrupt: &Shutdown,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let survey = Survey::of(cluster, true, streams);
    let survey = until_interrupted(interrupt, survey).await?;
    refuse_with_fenced(args, &survey)?;
    let limits = Limits {
        moves_max: args.max_moves,
        leaders_only: args.leaders_only,
    };
    let plan = plan::rebalance(&survey.layout(None), limits);
    let mut planned = Planned::new("cluster".to_owned(), &plan);
    let unfinished = survey.ongoing.len();
    let under_way = match unfinished {
        0 => String::new(),
        some => format!("; {} are being moved already", partitions(some)),
    };
    if plan.moves.is_empty() && (unfinished == 0 || !args.execute) {
        planned.note = format!("it is balanced: there is nothing to move{under_way}");
        return output::print(&planned, output, streams);
    }
    if !args.execute {
        planned.note = format!("nothing was moved yet; --execute does what is shown{under_way}");
        return output::print(&planned, output, streams);
    }
    let mover = Mover {
        cluster,
        args: args.moving,
        interrupt,
        again: &again(args),
    };
    let moved = mover.carry_out(&plan, &[], streams).await?;
    planned.executed = true;
    let failures = moved.failures.clone();
    planned.outcome = Some(moved);
    output::print(&planned, output, streams)?;
    failed(failures, streams)?;
    stuck(&planned, streams)
}

/// A broker that is away for a moment would come back to a cluster in which all has moved.
fn refuse_with_fenced(args: &RebalanceArgs, survey: &Survey) -> Result<(), Error> {
    let fenced = survey.brokers.iter().filter(|(_, broker)| broker.fenced);
    let holding: Vec<String> = fenced
        .map(|(id, _)| (*id, survey.held_by(*id)))
        .filter(|(_, held)| *held > 0)
        .map(|(id, held)| format!("broker {id} ({})", partitions(held)))
        .collect();
    if holding.is_empty() || args.with_fenced {
        return Ok(());
    }
    Err(Error::Failed {
        action: "balancing the cluster".to_owned(),
        reason: format!(
            "these do not run and hold replicas: {}; start them, or `ottla broker decommission` \
             those that do not come back, or leave them as they are with --with-fenced",
            holding.join(", ")
        ),
    })
}

fn again(args: &RebalanceArgs) -> String {
    let mut text = "ottla cluster rebalance --execute".to_owned();
    if args.leaders_only {
        text.push_str(" --leaders-only");
    }
    if let Some(moves) = args.max_moves {
        text.push_str(&format!(" --max-moves {moves}"));
    }
    if args.with_fenced {
        text.push_str(" --with-fenced");
    }
    if let Some(rate) = args.moving.throttle {
        text.push_str(&format!(" --throttle {rate}"));
    }
    text
}
