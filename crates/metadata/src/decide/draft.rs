//! Records in the making, and the image as it will be with them.

use std::sync::Arc;

use ottla_model::{BrokerId, ErrorCode, PartitionIndex};

use super::Defaults;
use crate::command::Refusal;
use crate::election::{Election, PartitionChange, Surroundings};
use crate::features::ELIGIBLE_LEADER_REPLICAS_VERSION;
use crate::image::{Image, PartitionImage, TopicImage};
use crate::record::Record;

pub(super) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
pub(super) const UNCLEAN_LEADER_ELECTION: &str = "unclean.leader.election.enable";

/// Whether a decision about many partitions may be cut into several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Whoever asked will ask again.
    Bounded,
    /// It is all or nothing.
    Unbounded,
}

/// A decision of several steps, each of which sees what the ones before it have changed.
pub(super) struct Draft {
    image: Image,
    records: Vec<Record>,
    defaults: Defaults,
}

impl Draft {
    pub(super) fn new(image: &Image, defaults: Defaults) -> Self {
        Draft {
            image: image.clone(),
            records: Vec::new(),
            defaults,
        }
    }

    /// The image with all records so far.
    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    pub(super) fn into_records(self) -> Vec<Record> {
        self.records
    }

    /// All topics as they are now, for a walk during which they change.
    pub(super) fn topics(&self) -> Vec<Arc<TopicImage>> {
        self.image.topics().cloned().collect()
    }

    pub(super) fn push(&mut self, record: Record) -> Result<(), Refusal> {
        let offset = self.image.metadata_offset() + 1;
        self.image.apply(&record, offset).map_err(|error| {
            let message = format!("The decision contradicts the metadata: {error}");
            Refusal::new(ErrorCode::UnknownServerError, message)
        })?;
        self.records.push(record);
        Ok(())
    }

    /// Whether a partition of the topic that nobody eligible can lead may be led by any replica.
    pub(super) fn unclean_election_allowed(&self, topic: &TopicImage) -> bool {
        self.config(topic, UNCLEAN_LEADER_ELECTION)
            .map_or(self.defaults.unclean_leader_election_enable, |value| {
                value.trim().eq_ignore_ascii_case("true")
            })
    }

    fn min_insync_replicas(&self, topic: &TopicImage) -> usize {
        let configured = self
            .config(topic, MIN_INSYNC_REPLICAS)
            .and_then(|value| value.trim().parse().ok());
        let min = configured.unwrap_or(self.defaults.min_insync_replicas);
        usize::try_from(min).unwrap_or(0).max(1)
    }

    /// A topic's property: its own, or what holds for all brokers.
    fn config(&self, topic: &TopicImage, key: &str) -> Option<&str> {
        // The topic as it is now: the walk may be older than a change of its overrides.
        let own = self.image.topic(topic.name.as_str());
        let own = own.and_then(|topic| topic.configs.get(key));
        let default = || self.image.default_broker_configs()?.get(key);
        own.or_else(default).map(String::as_str)
    }

    /// What is elected when a partition of the topic loses its leader by itself.
    pub(super) fn usual_election(&self, topic: &TopicImage) -> Election {
        if self.unclean_election_allowed(topic) {
            Election::Unclean
        } else {
            Election::Online
        }
    }

    /// Changes a partition as `change` says. Answers what it is after that; none when nothing
    /// changes.
    pub(super) fn change(
        &mut self,
        topic: &TopicImage,
        index: PartitionIndex,
        change: impl for<'a> FnOnce(PartitionChange<'a>) -> PartitionChange<'a>,
    ) -> Result<Option<Arc<PartitionImage>>, Refusal> {
        let partition = self.image.topic_by_id(topic.id);
        let Some(old) = partition.and_then(|topic| topic.partition(index).cloned()) else {
            return Ok(None);
        };
        let around = Surroundings {
            acceptable: &|id: BrokerId| self.image.is_active(id),
            min_insync_replicas: self.min_insync_replicas(topic),
            elr_enabled: self.image.feature_level(ELIGIBLE_LEADER_REPLICAS_VERSION) > 0,
        };
        let Some(new) = change(PartitionChange::of(&old, &around)).build() else {
            return Ok(None);
        };
        self.push(Record::Partition(new.to_record(topic.id, index)))?;
        Ok(Some(Arc::new(new)))
    }

    /// Changes each partition for which `concerned` says so, as long as there is room for it.
    /// Answers whether there was.
    pub(super) fn change_all(
        &mut self,
        room: Room,
        concerned: impl Fn(&PartitionImage) -> bool,
        change: impl for<'a> Fn(PartitionChange<'a>) -> PartitionChange<'a>,
    ) -> Result<bool, Refusal> {
        for topic in self.topics() {
            let election = self.usual_election(&topic);
            for (index, partition) in (0..).zip(&topic.partitions) {
                if !concerned(partition) {
                    continue;
                }
                if room == Room::Bounded
                    && self.records.len() >= self.defaults.partitions_per_decision
                {
                    return Ok(false);
                }
                self.change(&topic, index, |c| change(c).election(election))?;
            }
        }
        Ok(true)
    }

    /// Looks again at the partitions without a leader, and at those with eligible replicas, for
    /// what holds for all of them has changed.
    pub(super) fn settle(&mut self) -> Result<(), Refusal> {
        self.change_all(
            Room::Unbounded,
            |partition| partition.leader.is_none() || !partition.elr.is_empty(),
            |change| change,
        )?;
        Ok(())
    }

    /// Looks for leaders of the partitions that have none and that this broker holds. What there
    /// is no room for, its next heartbeat finds.
    pub(super) fn elect_for_leaderless(&mut self, holder: BrokerId) -> Result<(), Refusal> {
        if self.image.leaderless_count() > 0 {
            self.change_all(
                Room::Bounded,
                |partition| partition.leader.is_none() && partition.replicas.contains(&holder),
                |change| change,
            )?;
        }
        Ok(())
    }
}
