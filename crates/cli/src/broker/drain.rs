//! `ottla broker drain` and `undrain`.
//!
//! A drained broker keeps its replicas and stays in sync, but comes last in the order of each
//! partition's replicas, so that no election chooses it while another one can lead: neither that
//! of the controller, which lets preferred replicas lead again every few minutes, nor one after a
//! failure. A clean stop hands leaders over as well, but only for as long as the broker is away.

use ottla_runtime::Shutdown;

use crate::cluster::Cluster;
use crate::moving::{MoveArgs, Mover};
use crate::output::{self, OutputFormat};
use crate::planned::{Planned, partitions};
use crate::survey::Survey;
use crate::{Error, Streams, until_interrupted};
use ottla_placement::{drain, undrain};

/// What `ottla broker drain` and `undrain` take.
#[derive(Debug, clap::Args)]
pub struct DrainArgs {
    /// The broker's id
    pub id: i32,
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Drain,
    Undrain,
}

pub(super) async fn run(
    args: &DrainArgs,
    verb: Verb,
    cluster: &Cluster,
    interrupt: &Shutdown,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let id = args.id;
    let survey = Survey::of(cluster, false, streams);
    let survey = until_interrupted(interrupt, survey).await?;
    let broker = survey.broker(id)?;
    if verb == Verb::Undrain && broker.fenced {
        return Err(Error::Failed {
            action: format!("letting broker {id} lead again"),
            reason: "it is fenced: start it, and wait until `ottla broker list` shows it running"
                .to_owned(),
        });
    }
    let mut layout = survey.layout(None);
    layout.spare_drained();
    let plan = match verb {
        Verb::Drain => drain(&layout, id),
        Verb::Undrain => undrain(&layout, id),
    };
    let mut planned = Planned::new(format!("broker/{id}"), &plan);
    let led = match verb {
        Verb::Drain => survey.led_by(id),
        Verb::Undrain => Vec::new(),
    };
    if args.dry_run {
        planned.note = match verb {
            Verb::Drain => format!(
                "it leads {} now; nothing was changed",
                partitions(led.len())
            ),
            Verb::Undrain => "nothing was changed".to_owned(),
        };
        output::print(&planned, output, streams)?;
        return stuck(&planned, streams);
    }
    let word = match verb {
        Verb::Drain => "drain",
        Verb::Undrain => "undrain",
    };
    let mover = Mover {
        cluster,
        args: MoveArgs {
            max_moves_in_flight: usize::MAX,
            throttle: None,
        },
        interrupt,
        again: &format!("ottla broker {word} {id}"),
    };
    let only_here = |name: &(String, i32)| {
        let replicas = survey.partitions.get(name).map(|p| p.replicas.len());
        replicas == Some(1)
    };
    let elect: Vec<_> = led.into_iter().filter(|name| !only_here(name)).collect();
    let moved = mover.carry_out(&plan, &elect, streams).await?;
    planned.executed = true;
    let after = Survey::of(cluster, false, streams);
    let after = until_interrupted(interrupt, after).await?.led_by(id).len();
    planned.note = match (verb, after) {
        (Verb::Drain, 0) => {
            format!("it leads nothing any more; to undo: ottla broker undrain {id}")
        }
        (_, after) => format!("it leads {} now", partitions(after)),
    };
    let failures = moved.failures.clone();
    planned.outcome = Some(moved);
    output::print(&planned, output, streams)?;
    failed(failures, streams)?;
    stuck(&planned, streams)
}

/// Tells what failed, partition by partition; that is the command's failure.
pub(crate) fn failed(failures: Vec<String>, streams: &mut Streams) -> Result<(), Error> {
    if failures.is_empty() {
        return Ok(());
    }
    for failure in &failures {
        streams.say(&format!("failed: {failure}"));
    }
    Err(Error::Failed {
        action: format!("{} did not move as planned", partitions(failures.len())),
        reason: "the reasons are above; call it again to go on".to_owned(),
    })
}

/// Tells what the plan found no way for; that is the command's failure.
pub(crate) fn stuck(planned: &Planned, streams: &mut Streams) -> Result<(), Error> {
    let (subject, stuck) = (&planned.subject, &planned.stuck);
    if stuck.is_empty() {
        return Ok(());
    }
    for one in stuck.iter().take(20) {
        streams.say(&format!("stays: {one}"));
    }
    if stuck.len() > 20 {
        streams.say(&format!(
            "… and {} more (-o json has all)",
            stuck.len() - 20
        ));
    }
    Err(Error::Failed {
        action: format!("{subject}: {} cannot be placed", partitions(stuck.len())),
        reason: "the lines above say which, and why".to_owned(),
    })
}
