//! A topic as the cluster has it.

use std::collections::BTreeMap;

use ottla_client::{Client, ConfigResource};
use ottla_model::ErrorCode;
use ottla_placement::Placed;

use crate::error::{Asked, Error};

/// The source of a value that the topic itself has, and not its broker (KIP-226).
const OWN: i8 = 1;

/// A topic as the cluster has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: Option<String>,
    /// In the order of their numbers. Those that move have the replicas that they are going to have.
    pub(crate) partitions: Vec<Placed>,
    /// How many of them move.
    pub(crate) moving: usize,
    /// Its own values of the properties that were asked for; those that it leaves to its broker are
    /// not there.
    pub(crate) own: BTreeMap<String, String>,
}

impl Found {
    /// Asks for one topic and for some of its properties; `None` when there is no such topic.
    /// Whether it moves is asked only if its partitions do not have so many replicas.
    pub(crate) async fn of(
        client: &Client,
        name: &str,
        properties: &[&str],
        replicas: Option<i32>,
    ) -> Result<Option<Found>, Error> {
        let asked = || format!("asking for topic {name}");
        let metadata = client.metadata(Some(&[name])).await.when(asked)?;
        let mut topics = metadata.topics.into_iter();
        let Some(topic) = topics.find(|topic| topic.name.as_deref() == Some(name)) else {
            return Ok(None);
        };
        if topic.error_code == ErrorCode::UnknownTopicOrPartition.code() {
            return Ok(None);
        }
        let mut partitions: Vec<Placed> = topic
            .partitions
            .into_iter()
            .map(|partition| Placed {
                topic: name.to_owned(),
                partition: partition.partition_index,
                replicas: partition.replica_nodes,
                isr: partition.isr_nodes,
                bytes: 0,
            })
            .collect();
        if partitions.is_empty() {
            // No leader yet, or a name that no topic can have: the second is said when it is made.
            return Ok(None);
        }
        partitions.sort_by_key(|placed| placed.partition);
        let mut own = BTreeMap::new();
        if !properties.is_empty() {
            let described = client.describe_configs(ConfigResource::Topic(name), Some(properties));
            let described = described.await;
            let described = described.when(|| format!("asking for the properties of {name}"))?;
            for config in described {
                if let (OWN, Some(value)) = (config.config_source, config.value) {
                    own.insert(config.name.to_string(), value.to_string());
                }
            }
        }
        let id = Some(topic.topic_id).filter(|id| !id.is_zero());
        let mut found = Found {
            id: id.map(|id| id.to_string()),
            partitions,
            moving: 0,
            own,
        };
        if found.partitions_without(replicas) > 0 {
            found.look_at_moves(client, name).await?;
        }
        Ok(Some(found))
    }

    async fn look_at_moves(&mut self, client: &Client, name: &str) -> Result<(), Error> {
        let ongoing = client.list_reassignments().await;
        let ongoing = ongoing.when(|| "asking for reassignments".to_owned())?;
        for one in ongoing.iter().filter(|one| one.topic == name) {
            let mut placed = self.partitions.iter_mut();
            if let Some(placed) = placed.find(|placed| placed.partition == one.partition) {
                placed.replicas = one.target();
                self.moving += 1;
            }
        }
        Ok(())
    }

    /// How many partitions have another number of replicas than this; none if nothing is wanted.
    pub(crate) fn partitions_without(&self, replicas: Option<i32>) -> usize {
        let wanted = replicas.and_then(|wanted| usize::try_from(wanted).ok());
        let Some(wanted) = wanted else { return 0 };
        let others = self.partitions.iter();
        others
            .filter(|placed| placed.replicas.len() != wanted)
            .count()
    }

    /// The least number of replicas of a partition.
    pub(crate) fn replicas(&self) -> usize {
        let counts = self.partitions.iter().map(|placed| placed.replicas.len());
        counts.min().unwrap_or(0)
    }
}
