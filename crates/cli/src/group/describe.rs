//! `ottla group describe`.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{CommittedOffset, GroupDescription, GroupMember, OffsetAt};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::output::{self, OutputFormat, View};
use crate::table::{properties, table};
use crate::{Error, Streams};

/// What `ottla group describe` takes.
#[derive(Debug, clap::Args)]
pub struct DescribeArgs {
    /// The groups
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
}

/// Described groups.
#[derive(Debug, Serialize)]
pub(super) struct Descriptions {
    pub(super) groups: Vec<Description>,
}

/// One group.
#[derive(Debug, Serialize)]
pub(super) struct Description {
    name: String,
    #[serde(rename = "type")]
    group_type: String,
    state: String,
    protocol: String,
    assignor: Option<String>,
    /// Of a consumer group (KIP-848).
    epoch: Option<i32>,
    coordinator: i32,
    /// The sum of what is known of the partitions' lags.
    lag: i64,
    members: Vec<Member>,
    offsets: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Member {
    member_id: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
    epoch: Option<i32>,
    subscribed_topics: Vec<String>,
    assignment: BTreeMap<String, Vec<i32>>,
    /// What it is to read, where that differs.
    target_assignment: Option<BTreeMap<String, Vec<i32>>>,
}

#[derive(Debug, Serialize)]
struct Row {
    topic: String,
    partition: i32,
    /// Null when the group has committed none.
    committed_offset: Option<i64>,
    committed_leader_epoch: Option<i32>,
    metadata: Option<String>,
    /// Null when nobody could tell: the topic is gone, or has no leader.
    end_offset: Option<i64>,
    lag: Option<i64>,
    member_id: Option<String>,
    client_id: Option<String>,
    host: Option<String>,
}

impl Description {
    /// Joins what is known; `ends` by topic and partition.
    pub(super) fn new(
        group: GroupDescription,
        committed: Vec<CommittedOffset>,
        ends: &BTreeMap<(String, i32), i64>,
    ) -> Self {
        let mut readers: BTreeMap<(&str, i32), &GroupMember> = BTreeMap::new();
        for member in &group.members {
            for (topic, partitions) in &member.assignment {
                readers.extend(partitions.iter().map(|p| ((topic.as_str(), *p), member)));
            }
        }
        let mut offsets: BTreeMap<(String, i32), Option<CommittedOffset>> = readers
            .keys()
            .map(|(topic, partition)| (((*topic).to_owned(), *partition), None))
            .collect();
        offsets.extend(
            committed
                .into_iter()
                .map(|c| ((c.topic.clone(), c.partition), Some(c))),
        );
        let row = |((topic, partition), committed): ((String, i32), Option<CommittedOffset>)| {
            let member = readers.get(&(topic.as_str(), partition));
            let end_offset = ends.get(&(topic.clone(), partition)).copied();
            let committed_offset = committed.as_ref().map(|c| c.offset);
            Row {
                committed_offset,
                committed_leader_epoch: committed
                    .as_ref()
                    .map(|c| c.leader_epoch)
                    .filter(|e| *e >= 0),
                metadata: committed
                    .map(|c| c.metadata)
                    .filter(|text| !text.is_empty()),
                end_offset,
                lag: committed_offset
                    .zip(end_offset)
                    .map(|(at, end)| (end - at).max(0)),
                member_id: member.map(|m| m.member_id.clone()),
                client_id: member.map(|m| m.client_id.clone()),
                host: member.map(|m| plain_host(&m.host)),
                topic,
                partition,
            }
        };
        let offsets: Vec<Row> = offsets.into_iter().map(row).collect();
        let not_empty = |text: String| Some(text).filter(|text| !text.is_empty());
        Description {
            lag: offsets.iter().filter_map(|row| row.lag).sum(),
            offsets,
            members: group.members.into_iter().map(member).collect(),
            name: group.group_id,
            group_type: group.group_type,
            state: group.state,
            protocol: group.protocol_type,
            assignor: not_empty(group.assignor),
            epoch: group.epoch,
            coordinator: group.coordinator,
        }
    }

    fn text(&self, wide: bool) -> String {
        let mut pairs = vec![
            ("Name", self.name.clone()),
            ("Type", self.group_type.clone()),
            ("State", self.state.clone()),
            ("Coordinator", format!("broker {}", self.coordinator)),
        ];
        pairs.extend(self.assignor.clone().map(|assignor| ("Assignor", assignor)));
        pairs.extend(self.epoch.map(|epoch| ("Epoch", epoch.to_string())));
        pairs.push(("Members", self.members.len().to_string()));
        pairs.push(("Lag", self.lag_text()));
        let mut text = properties(&pairs);
        if !self.offsets.is_empty() {
            text.push('\n');
            text.push_str(&self.offset_table(wide));
        }
        if !self.members.is_empty() {
            text.push('\n');
            text.push_str(&self.member_table(wide));
        }
        text
    }

    /// The sum, with the number of partitions whose part in it is not known.
    fn lag_text(&self) -> String {
        match self.offsets.iter().filter(|row| row.lag.is_none()).count() {
            0 => self.lag.to_string(),
            1 => format!("{}, without 1 partition that has no offset", self.lag),
            n => format!("{}, without {n} partitions that have no offset", self.lag),
        }
    }

    fn offset_table(&self, wide: bool) -> String {
        let mut headings = vec!["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "READ BY"];
        if wide {
            headings.extend(["HOST", "LEADER EPOCH", "METADATA"]);
        }
        let rows = self.offsets.iter().map(|row| {
            // One client can be several members: only the id of the member tells them apart.
            let reader = if wide { &row.member_id } else { &row.client_id };
            let mut cells = vec![
                row.topic.clone(),
                row.partition.to_string(),
                dash(row.committed_offset),
                dash(row.end_offset),
                dash(row.lag),
                dash(reader.clone()),
            ];
            if wide {
                cells.push(dash(row.host.clone()));
                cells.push(dash(row.committed_leader_epoch));
                cells.push(dash(row.metadata.clone()));
            }
            cells
        });
        table(&headings, rows)
    }

    fn member_table(&self, wide: bool) -> String {
        let of_consumers = self.epoch.is_some();
        let mut headings = vec!["MEMBER", "CLIENT", "HOST", "PARTITIONS"];
        if of_consumers {
            headings.push("EPOCH");
        }
        if wide {
            headings.extend(["INSTANCE", "SUBSCRIBED", "ASSIGNED", "TO BE ASSIGNED"]);
        }
        let rows = self.members.iter().map(|member| {
            let partitions: usize = member.assignment.values().map(Vec::len).sum();
            let mut cells = vec![
                member.member_id.clone(),
                member.client_id.clone(),
                member.host.clone(),
                partitions.to_string(),
            ];
            if of_consumers {
                cells.push(dash(member.epoch));
            }
            if wide {
                cells.push(dash(member.instance_id.clone()));
                cells.push(member.subscribed_topics.join(","));
                cells.push(assignment_text(&member.assignment));
                cells.push(dash(member.target_assignment.as_ref().map(assignment_text)));
            }
            cells
        });
        table(&headings, rows)
    }
}

fn dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// `orders:0,1 payments:3`.
fn assignment_text(assignment: &BTreeMap<String, Vec<i32>>) -> String {
    let topic = |(topic, partitions): (&String, &Vec<i32>)| {
        let numbers: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        format!("{topic}:{}", numbers.join(","))
    };
    let topics: Vec<String> = assignment.iter().map(topic).collect();
    if topics.is_empty() {
        return "-".to_owned();
    }
    topics.join(" ")
}

/// Kafka writes `/10.0.0.1`, as Java prints addresses.
pub(super) fn plain_host(host: &str) -> String {
    host.trim_start_matches('/').to_owned()
}

fn member(member: GroupMember) -> Member {
    Member {
        host: plain_host(&member.host),
        member_id: member.member_id,
        instance_id: member.instance_id,
        client_id: member.client_id,
        epoch: member.epoch,
        subscribed_topics: member.topics,
        assignment: member.assignment,
        target_assignment: member.target,
    }
}

impl View for Descriptions {
    fn table(&self, wide: bool) -> String {
        let texts: Vec<String> = self.groups.iter().map(|group| group.text(wide)).collect();
        texts.join("\n")
    }

    fn names(&self) -> Vec<String> {
        self.groups.iter().map(|group| group.name.clone()).collect()
    }
}

pub(super) async fn run(
    args: &DescribeArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let (mut groups, mut missing) = (Vec::new(), Vec::new());
    for name in &args.names {
        match super::find(name, cluster).await? {
            Some(group) => groups.push(describe(group, cluster, streams).await?),
            None => missing.push(super::not_there(name, cluster).await),
        }
    }
    if !groups.is_empty() {
        output::print(&Descriptions { groups }, output, streams)?;
    }
    Error::of_several(missing, args.names.len(), "groups", streams)
}

async fn describe(
    group: GroupDescription,
    cluster: &Cluster,
    streams: &mut Streams,
) -> Result<Description, Error> {
    let committed = cluster.client.committed_offsets(&group.group_id).await;
    let action = format!("looking up the offsets of group {}", group.group_id);
    let committed = cluster.checked(action, committed)?;
    let mut wanted: BTreeSet<(String, i32)> = committed
        .iter()
        .map(|c| (c.topic.clone(), c.partition))
        .collect();
    for member in &group.members {
        for (topic, partitions) in &member.assignment {
            wanted.extend(partitions.iter().map(|p| (topic.clone(), *p)));
        }
    }
    let (ends, gone) = super::target::offsets_at(&wanted, OffsetAt::Latest, cluster).await?;
    if !gone.is_empty() {
        let topics: BTreeSet<&str> = gone.iter().map(|(topic, _)| topic.as_str()).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        streams.say(&format!(
            "note: nobody could tell the end of {}: deleted, or without a leader",
            topics.join(", ")
        ));
    }
    Ok(Description::new(group, committed, &ends))
}
