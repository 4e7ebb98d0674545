//! `ottla group list`.

use std::collections::BTreeMap;

use ottla_client::{GroupDescription, GroupListing};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::output::{self, OutputFormat, View};
use crate::table::table;
use crate::{Error, Streams};

/// What `ottla group list` takes.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only groups in this state, such as stable or empty; may be repeated
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub state: Vec<String>,
    /// Only groups of this type: classic, consumer, share or streams; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',',
          value_parser = ["classic", "consumer", "share", "streams"])]
    pub types: Vec<String>,
}

/// The groups of a cluster.
#[derive(Debug, Serialize)]
pub(super) struct GroupList {
    groups: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    #[serde(rename = "type")]
    group_type: String,
    state: String,
    protocol: String,
    /// Null for share and streams groups.
    members: Option<usize>,
    coordinator: i32,
}

impl ListArgs {
    fn wants(&self, group: &GroupListing) -> bool {
        let states = &self.state;
        (states.is_empty() || states.iter().any(|s| same_state(s, &group.state)))
            && (self.types.is_empty() || self.types.contains(&group.group_type))
    }
}

/// States are `PreparingRebalance` for Kafka, and `preparing-rebalance` for fingers.
fn same_state(wanted: &str, state: &str) -> bool {
    let plain = |text: &str| text.replace(['-', '_'], "").to_lowercase();
    plain(wanted) == plain(state)
}

impl GroupList {
    pub(super) fn new(
        groups: Vec<GroupListing>,
        described: &BTreeMap<String, GroupDescription>,
    ) -> Self {
        let row = |group: GroupListing| Row {
            members: described.get(&group.group_id).map(|d| d.members.len()),
            name: group.group_id,
            group_type: group.group_type,
            state: group.state,
            protocol: group.protocol_type,
            coordinator: group.coordinator,
        };
        GroupList {
            groups: groups.into_iter().map(row).collect(),
        }
    }
}

impl View for GroupList {
    fn table(&self, wide: bool) -> String {
        if self.groups.is_empty() {
            return String::new();
        }
        let mut headings = vec!["NAME", "TYPE", "STATE", "MEMBERS"];
        if wide {
            headings.extend(["PROTOCOL", "COORDINATOR"]);
        }
        let rows = self.groups.iter().map(|group| {
            let members = group.members.map(|n| n.to_string());
            let mut cells = vec![
                group.name.clone(),
                group.group_type.clone(),
                group.state.clone(),
                members.unwrap_or_else(|| "-".to_owned()),
            ];
            if wide {
                let protocol = Some(group.protocol.clone()).filter(|p| !p.is_empty());
                cells.push(protocol.unwrap_or_else(|| "-".to_owned()));
                cells.push(group.coordinator.to_string());
            }
            cells
        });
        table(&headings, rows)
    }

    fn names(&self) -> Vec<String> {
        self.groups.iter().map(|group| group.name.clone()).collect()
    }
}

pub(super) async fn run(
    args: &ListArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let groups = cluster.client.list_groups().await;
    let mut groups = cluster.checked("listing groups", groups)?;
    let total = groups.len();
    groups.retain(|group| args.wants(group));
    let described = cluster.client.describe_groups(&groups).await;
    let described = cluster.checked("looking into the groups", described)?;
    let list = GroupList::new(groups, &described);
    if list.groups.is_empty() && matches!(output, OutputFormat::Table | OutputFormat::Wide) {
        streams.say(match total {
            0 => "no groups yet; a consumer with a group.id makes one",
            _ => "no groups of this state and type",
        });
    }
    output::print(&list, output, streams)
}
