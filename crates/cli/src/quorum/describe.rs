//! `ottla quorum describe`.

use ottla_client::Quorum;
use serde::Serialize;

use super::{Member, members};
use crate::cluster::Cluster;
use crate::moment;
use crate::output::{self, OutputFormat, View};
use crate::table::{properties, table};
use crate::{Error, Streams};

/// What `ottla quorum describe` takes.
#[derive(Debug, clap::Args)]
pub struct DescribeArgs {}

#[derive(Debug, Serialize)]
pub(super) struct Description {
    cluster_id: Option<String>,
    /// Null while there is none.
    leader: Option<i32>,
    leader_epoch: i32,
    /// Records up to here are on most voters.
    high_watermark: i64,
    voters: usize,
    observers: usize,
    /// How many voters can be lost before nothing can be changed any more.
    can_lose: usize,
    pub(super) members: Vec<Member>,
}

impl Description {
    pub(super) fn new(cluster_id: Option<String>, quorum: &Quorum) -> Self {
        let members = members(quorum);
        let voters = members.iter().filter(|member| member.is_voter()).count();
        Description {
            cluster_id,
            leader: Some(quorum.state.leader_id).filter(|id| *id >= 0),
            leader_epoch: quorum.state.leader_epoch,
            high_watermark: quorum.state.high_watermark,
            voters,
            observers: members.len() - voters,
            can_lose: voters.saturating_sub(1) / 2,
            members,
        }
    }
}

impl View for Description {
    fn table(&self, wide: bool) -> String {
        let leader = match self.leader {
            Some(id) => format!("node {id}, in epoch {}", self.leader_epoch),
            None => "none".to_owned(),
        };
        let voters = format!(
            "{}; the quorum works as long as {} of them do",
            self.voters,
            self.voters / 2 + 1
        );
        let pairs = [
            (
                "Cluster id",
                self.cluster_id.clone().unwrap_or_else(|| "-".to_owned()),
            ),
            ("Leader", leader),
            ("High watermark", self.high_watermark.to_string()),
            ("Voters", voters),
            ("Observers", self.observers.to_string()),
        ];
        let mut headings = vec!["NODE", "ROLE", "LOG END", "LAG", "LAG TIME", "DIRECTORY"];
        headings.push("ENDPOINTS");
        if wide {
            headings.push("LAST FETCH");
        }
        let rows = self.members.iter().map(|member| {
            let dash = || "-".to_owned();
            let endpoints = member.endpoints.join(",");
            let mut cells = vec![
                member.id.to_string(),
                member.role.word().to_owned(),
                member.log_end_offset.to_string(),
                member.lag.to_string(),
                member.lag_ms.map_or_else(dash, |ms| format!("{ms} ms")),
                member.directory_id.clone().unwrap_or_else(dash),
                if endpoints.is_empty() {
                    dash()
                } else {
                    endpoints
                },
            ];
            if wide {
                cells.push(member.last_fetch_ms.map_or_else(dash, moment::utc_text));
            }
            cells
        });
        format!("{}\n{}", properties(&pairs), table(&headings, rows))
    }

    fn names(&self) -> Vec<String> {
        self.members.iter().map(|m| m.id.to_string()).collect()
    }
}

pub(super) async fn run(
    _: &DescribeArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let quorum = super::change::quorum(cluster).await?;
    let described = cluster.client.describe_cluster().await;
    let described = cluster.checked("asking for the cluster's id", described)?;
    let cluster_id = Some(described.cluster_id.to_string());
    output::print(&Description::new(cluster_id, &quorum), output, streams)
}
