//! `ottla broker unregister`.

use serde::Serialize;

use crate::cluster::Cluster;
use crate::confirm::confirm as ask;
use crate::output::{self, OutputFormat, View};
use crate::planned::partitions;
use crate::survey::Survey;
use crate::{Error, Streams};

/// What `ottla broker unregister` takes.
#[derive(Debug, clap::Args)]
pub struct UnregisterArgs {
    /// The broker's id
    pub id: i32,
    /// Even when it holds replicas: they are lost, and partitions that lie nowhere else with them
    #[arg(long)]
    pub force: bool,
    /// Do not ask first
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Serialize)]
struct Unregistered {
    id: i32,
    replicas_left_behind: usize,
}

impl View for Unregistered {
    fn table(&self, _wide: bool) -> String {
        format!("broker/{} is forgotten\n", self.id)
    }

    fn names(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}

pub(super) fn confirm(args: &UnregisterArgs, streams: &mut Streams) -> Result<(), Error> {
    let question = format!("Forget broker {} for good?", args.id);
    ask(&question, args.yes, streams)
}

pub(super) async fn run(
    args: &UnregisterArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let id = args.id;
    let survey = Survey::of(cluster, false, streams).await?;
    let broker = survey.broker(id)?;
    let action = || format!("forgetting broker {id}");
    if !broker.fenced {
        return Err(Error::Failed {
            action: action(),
            reason: "it still runs: stop its process first".to_owned(),
        });
    }
    let held = survey.held_by(id);
    if held > 0 && !args.force {
        return Err(Error::Failed {
            action: action(),
            reason: format!(
                "it holds {}; `ottla broker decommission {id}` gives them to others, --force \
                 leaves them without this replica",
                partitions(held)
            ),
        });
    }
    unregister(cluster, id).await?;
    let unregistered = Unregistered {
        id,
        replicas_left_behind: held,
    };
    output::print(&unregistered, output, streams)
}

pub(super) async fn unregister(cluster: &Cluster, id: i32) -> Result<(), Error> {
    let done = cluster.client.unregister_broker(id).await;
    cluster.checked(format!("forgetting broker {id}"), done)
}
