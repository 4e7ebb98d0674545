//! `ottla broker list`.

use serde::Serialize;

use crate::cluster::Cluster;
use crate::output::{self, OutputFormat, View};
use crate::size::bytes_text;
use crate::survey::Survey;
use crate::table::table;
use crate::{Error, Streams};

/// What `ottla broker list` takes.
#[derive(Debug, clap::Args)]
pub struct ListArgs {}

#[derive(Debug, Serialize)]
struct Brokers {
    brokers: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    id: i32,
    host: String,
    port: i32,
    rack: Option<String>,
    fenced: bool,
    /// Replicas that lie here, or are on their way.
    replicas: usize,
    /// Partitions that it leads now.
    leaders: usize,
    /// Partitions that it leads when all are in sync.
    preferred_leaders: usize,
    /// Replicas that are not in sync.
    out_of_sync: usize,
    /// What its replicas take on its disk; null when it does not tell.
    bytes: Option<u64>,
}

impl View for Brokers {
    fn table(&self, wide: bool) -> String {
        let mut headings = vec![
            "BROKER", "ADDRESS", "RACK", "STATE", "REPLICAS", "LEADS", "BEHIND",
        ];
        headings.push("SIZE");
        if wide {
            headings.push("PREFERRED LEADER OF");
        }
        let rows = self.brokers.iter().map(|row| {
            let state = if row.fenced { "fenced" } else { "running" };
            let mut cells = vec![
                row.id.to_string(),
                format!("{}:{}", row.host, row.port),
                row.rack.clone().unwrap_or_else(|| "-".to_owned()),
                state.to_owned(),
                row.replicas.to_string(),
                row.leaders.to_string(),
                row.out_of_sync.to_string(),
                row.bytes.map_or_else(|| "-".to_owned(), bytes_text),
            ];
            if wide {
                cells.push(row.preferred_leaders.to_string());
            }
            cells
        });
        table(&headings, rows)
    }

    fn names(&self) -> Vec<String> {
        self.brokers.iter().map(|row| row.id.to_string()).collect()
    }
}

pub(super) async fn run(
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let survey = Survey::of(cluster, true, streams).await?;
    let rows = survey.brokers.iter().map(|(id, broker)| {
        let partitions = || survey.partitions.values();
        let holds = || partitions().filter(|p| p.replicas.contains(id));
        Row {
            id: *id,
            host: broker.host.clone(),
            port: broker.port,
            rack: broker.rack.clone(),
            fenced: broker.fenced,
            replicas: holds().count(),
            leaders: partitions().filter(|p| p.leader == Some(*id)).count(),
            preferred_leaders: holds().filter(|p| p.replicas.first() == Some(id)).count(),
            out_of_sync: holds().filter(|p| !p.isr.contains(id)).count(),
            bytes: survey.used_bytes.get(id).copied(),
        }
    });
    let brokers = rows.collect();
    output::print(&Brokers { brokers }, output, streams)
}
