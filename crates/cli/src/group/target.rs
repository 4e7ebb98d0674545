//! Where a group is to be moved, for each partition.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::OffsetAt;

use crate::Error;
use crate::cluster::Cluster;

/// A partition of a topic.
pub(super) type Place = (String, i32);

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Earliest,
    Latest,
    /// Where the group is already: what is not there any more is moved to the nearest.
    Current,
    Offset(i64),
    /// So many records on, or back.
    ShiftBy(i64),
    /// The first record of this time or later.
    Time(i64),
    /// Each partition by itself.
    Each(BTreeMap<Place, i64>),
}

/// What is known of a partition when its new offset is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) committed: Option<i64>,
    pub(super) earliest: i64,
    pub(super) latest: i64,
    /// The first record at the target's time; `None` when there is none.
    pub(super) at_time: Option<i64>,
}

impl Target {
    /// The new offset within what the partition has; `None` when it cannot be said: there is
    /// nothing to shift, or the file does not name the partition.
    pub(super) fn choose(&self, place: &Place, known: Known) -> Option<i64> {
        let offset = match self {
            Target::Earliest => known.earliest,
            Target::Latest => known.latest,
            Target::Current => known.committed?,
            Target::Offset(offset) => *offset,
            Target::ShiftBy(by) => known.committed?.saturating_add(*by),
            // No record is that new: reading begins with the next one that comes.
            Target::Time(_) => known.at_time.unwrap_or(known.latest),
            Target::Each(offsets) => *offsets.get(place)?,
        };
        Some(offset.clamp(known.earliest, known.latest))
    }
}

/// One offset of each partition, and the partitions that nobody could tell it of.
pub(super) async fn offsets_at(
    places: &BTreeSet<Place>,
    at: OffsetAt,
    cluster: &Cluster,
) -> Result<(BTreeMap<Place, i64>, BTreeSet<Place>), Error> {
    let led = led(places, cluster).await?;
    let wanted: Vec<_> = led
        .iter()
        .map(|(topic, p)| (topic.as_str(), *p, at))
        .collect();
    let found = cluster.client.list_offsets(&wanted).await;
    let found = cluster.checked("looking up the offsets of the topics", found)?;
    let found: BTreeMap<Place, i64> = found
        .into_iter()
        .filter_map(|f| Some(((f.topic, f.partition), f.offset?)))
        .collect();
    let missing = places.difference(&led).cloned().collect();
    Ok((found, missing))
}

/// Those of the partitions that exist and have a leader: asking for others would only wait.
async fn led(places: &BTreeSet<Place>, cluster: &Cluster) -> Result<BTreeSet<Place>, Error> {
    let names: BTreeSet<&str> = places.iter().map(|(topic, _)| topic.as_str()).collect();
    if names.is_empty() {
        return Ok(BTreeSet::new());
    }
    let names: Vec<&str> = names.into_iter().collect();
    let metadata = cluster.client.metadata(Some(&names)).await;
    let metadata = cluster.checked("looking up the topics", metadata)?;
    let mut led = BTreeSet::new();
    for topic in metadata.topics {
        let Some(name) = topic.name.filter(|_| topic.error_code == 0) else {
            continue;
        };
        let partitions = topic.partitions.iter().filter(|p| p.leader_id >= 0);
        led.extend(partitions.map(|p| (name.to_string(), p.partition_index)));
    }
    Ok(places.intersection(&led).cloned().collect())
}
