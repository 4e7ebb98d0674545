//! `ottla broker describe`.

use serde::Serialize;

use crate::cluster::Cluster;
use crate::inspect::{LogDir, log_dir, told};
use crate::output::{self, OutputFormat, View};
use crate::quorum::{Member, members};
use crate::size::bytes_text;
use crate::survey::Survey;
use crate::table::properties;
use crate::{Error, Streams, throttle};

/// What `ottla broker describe` takes.
#[derive(Debug, clap::Args)]
pub struct DescribeArgs {
    /// The brokers' ids
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<i32>,
}

#[derive(Debug, Serialize)]
struct Descriptions {
    brokers: Vec<Description>,
}

#[derive(Debug, Serialize)]
struct Description {
    id: i32,
    host: String,
    port: i32,
    rack: Option<String>,
    fenced: bool,
    /// Its place in the metadata quorum; null when it has none, or nobody told.
    quorum: Option<Member>,
    replicas: usize,
    leaders: usize,
    /// Partitions of which its replica is not in sync.
    out_of_sync: Vec<String>,
    /// Partitions that only this broker has.
    only_here: Vec<String>,
    /// Partitions that come here, and that go from here.
    arriving: Vec<String>,
    departing: Vec<String>,
    /// What it may copy in a second for partitions that move; null without a limit.
    throttle_bytes_per_second: Option<u64>,
    log_dirs: Vec<LogDir>,
}

/// So many names are shown to people.
const SHOWN: usize = 10;

impl Description {
    fn text(&self, wide: bool) -> String {
        let names = |names: &[String]| {
            let shown = if wide { names.len() } else { SHOWN };
            let mut text = names.iter().take(shown).cloned().collect::<Vec<_>>();
            if names.len() > shown {
                text.push(format!("and {} more", names.len() - shown));
            }
            format!("{}: {}", names.len(), text.join(", "))
        };
        let mut pairs = vec![
            ("Broker", self.id.to_string()),
            ("Address", format!("{}:{}", self.host, self.port)),
            ("Rack", self.rack.clone().unwrap_or_else(|| "-".to_owned())),
            (
                "State",
                if self.fenced { "fenced" } else { "running" }.to_owned(),
            ),
        ];
        if let Some(member) = &self.quorum {
            pairs.push(("Metadata quorum", member.words()));
        }
        pairs.push(("Replicas", self.replicas.to_string()));
        pairs.push(("Leads", self.leaders.to_string()));
        let lists = [
            ("Behind", &self.out_of_sync),
            ("Only here", &self.only_here),
            ("Arriving", &self.arriving),
            ("Departing", &self.departing),
        ];
        for (heading, list) in lists {
            if !list.is_empty() {
                pairs.push((heading, names(list)));
            }
        }
        if let Some(rate) = self.throttle_bytes_per_second {
            pairs.push(("Throttle", format!("{}/s for what moves", bytes_text(rate))));
        }
        let dirs: Vec<String> = self.log_dirs.iter().map(LogDir::words).collect();
        if !dirs.is_empty() {
            pairs.push(("Log folders", dirs.join("\n")));
        }
        properties(&pairs)
    }
}

impl View for Descriptions {
    fn table(&self, wide: bool) -> String {
        let texts: Vec<String> = self.brokers.iter().map(|b| b.text(wide)).collect();
        texts.join("\n")
    }

    fn names(&self) -> Vec<String> {
        self.brokers.iter().map(|b| b.id.to_string()).collect()
    }
}

pub(super) async fn run(
    args: &DescribeArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let survey = Survey::of(cluster, false, streams).await?;
    let quorum = cluster.client.describe_quorum().await;
    let quorum = cluster.checked("asking for the metadata quorum", quorum);
    let members = told(quorum, streams)?.flatten().map(|q| members(&q));
    let members = members.unwrap_or_default();
    let mut brokers = Vec::new();
    let mut missing = Vec::new();
    for id in &args.ids {
        match survey.broker(*id) {
            Ok(_) => brokers.push(describe(*id, &survey, &members, cluster, streams).await?),
            Err(error) => missing.push(error),
        }
    }
    if !brokers.is_empty() {
        output::print(&Descriptions { brokers }, output, streams)?;
    }
    Error::of_several(missing, args.ids.len(), "brokers", streams)
}

async fn describe(
    id: i32,
    survey: &Survey,
    members: &[Member],
    cluster: &Cluster,
    streams: &mut Streams,
) -> Result<Description, Error> {
    let broker = survey.broker(id)?;
    let held = survey.partitions.iter();
    let held: Vec<_> = held.filter(|(_, p)| p.replicas.contains(&id)).collect();
    let name = |(topic, partition): &(String, i32)| format!("{topic}-{partition}");
    let moving = |of: fn(&ottla_client::OngoingReassignment) -> &[i32]| {
        let moving = survey.ongoing.iter().filter(|one| of(one).contains(&id));
        moving
            .map(|one| format!("{}-{}", one.topic, one.partition))
            .collect()
    };
    let (mut log_dirs, mut rate) = (Vec::new(), None);
    if !broker.fenced {
        let dirs = cluster.client.describe_log_dirs(id).await;
        let dirs = cluster.checked(format!("asking broker {id} for its log folders"), dirs);
        let dirs = told(dirs, streams)?.unwrap_or_default().into_iter();
        log_dirs = dirs.map(|dir| log_dir(id, dir)).collect();
        let found = throttle::find(cluster, [id].into_iter(), &[]).await;
        rate = told(found, streams)?.and_then(|found| found.brokers.get(&id).copied());
    }
    Ok(Description {
        id,
        host: broker.host.clone(),
        port: broker.port,
        rack: broker.rack.clone(),
        fenced: broker.fenced,
        quorum: members.iter().find(|member| member.id == id).cloned(),
        replicas: held.len(),
        leaders: survey.led_by(id).len(),
        out_of_sync: held
            .iter()
            .filter(|(_, p)| !p.isr.contains(&id))
            .map(|(n, _)| name(n))
            .collect(),
        only_here: held
            .iter()
            .filter(|(_, p)| p.replicas.len() == 1)
            .map(|(n, _)| name(n))
            .collect(),
        arriving: moving(|one| &one.adding),
        departing: moving(|one| &one.removing),
        throttle_bytes_per_second: rate,
        log_dirs,
    })
}
