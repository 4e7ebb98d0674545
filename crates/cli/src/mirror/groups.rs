//! Offsets of groups.

use std::collections::BTreeMap;

use ottla_client::CommittedOffset;
use serde::Serialize;

use super::MirrorArgs;
use super::copy::Partition;
use super::pattern::{fits, fits_any};
use crate::Error;
use crate::cluster::Cluster;

/// What became of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct GroupCopied {
    pub(super) group: String,
    /// Partitions whose offsets were committed.
    pub(super) committed: usize,
    /// Partitions that are there already, or further on.
    pub(super) unchanged: usize,
    /// Why it was left alone.
    pub(super) note: Option<String>,
}

/// Which groups of the source fit; share and streams groups keep their offsets elsewhere.
pub(super) async fn choose(args: &MirrorArgs, source: &Cluster) -> Result<Vec<String>, Error> {
    let groups = source.client.list_groups().await;
    let mut groups = source.checked("listing the groups of the source", groups)?;
    groups.retain(|g| matches!(g.group_type.as_str(), "classic" | "consumer" | ""));
    let missing = |pattern: &&String| !groups.iter().any(|g| fits(pattern, &g.group_id));
    if let Some(pattern) = args.group.iter().find(missing) {
        return Err(Error::NotThere {
            what: "group of the source that fits",
            name: pattern.clone(),
            similar: crate::suggest::closest(pattern, groups.iter().map(|g| g.group_id.as_str())),
            to_do: "`ottla group list` shows those that exist".to_owned(),
        });
    }
    let ids = groups.into_iter().map(|group| group.group_id);
    Ok(ids
        .filter(|id| args.group.is_empty() || fits_any(&args.group, id))
        .collect())
}

/// Commits a group's offsets in the target, translated; `None` when it has none of these
/// partitions. Offsets only ever grow: a group that has read on in the target is not set back.
pub(super) async fn copy(
    group: &str,
    partitions: &BTreeMap<(String, i32), &Partition>,
    source: &Cluster,
    target: &Cluster,
) -> Result<Option<GroupCopied>, Error> {
    let committed = source.client.committed_offsets(group).await;
    let committed = source.checked(format!("reading the offsets of group {group}"), committed)?;
    let translated = committed.into_iter().filter_map(|offset| {
        let key = (offset.topic.clone(), offset.partition);
        let partition = partitions.get(&key)?;
        let there = partition
            .runs
            .translate(offset.offset, partition.target_end);
        Some(CommittedOffset {
            offset: there,
            leader_epoch: -1,
            ..offset
        })
    });
    let mut translated: Vec<CommittedOffset> = translated.collect();
    if translated.is_empty() {
        return Ok(None);
    }
    let mut copied = GroupCopied {
        group: group.to_owned(),
        committed: 0,
        unchanged: 0,
        note: None,
    };
    let there = target.client.describe_group(group).await;
    let there = target.checked(format!("looking up group {group} in the target"), there)?;
    if let Some(active) = there.filter(crate::group::is_active) {
        let members = active.members.len();
        copied.note = Some(format!(
            "it is active in the target ({members} members): left alone"
        ));
        return Ok(Some(copied));
    }
    let present = target.client.committed_offsets(group).await;
    let present = target.checked(format!("reading the offsets of group {group}"), present)?;
    let all = translated.len();
    translated.retain(|offset| {
        let same =
            |p: &&CommittedOffset| (&p.topic, p.partition) == (&offset.topic, offset.partition);
        present
            .iter()
            .find(same)
            .is_none_or(|present| present.offset < offset.offset)
    });
    copied.committed = translated.len();
    copied.unchanged = all - translated.len();
    if !translated.is_empty() {
        let done = target.client.commit_offsets(group, &translated).await;
        target.checked(format!("committing the offsets of group {group}"), done)?;
    }
    Ok(Some(copied))
}
